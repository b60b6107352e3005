import pytest

from cloudseg_ops.contracts.quantities import check_size, format_bytes, in_bytes


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1010, "0.986 KiB"),
        (1024, "1 KiB"),
        (1010 * 2**20, "0.986 GiB"),
        (100_000, "97.7 KiB"),
        (5.5 * 2**30, "5.5 GiB"),
        (5000 * 2**30, "5000 GiB"),
    ],
)
def test_readable_quantities(amount: float, words: str) -> None:
    assert format_bytes(amount) == words


def test_kubernetes_quantities() -> None:
    assert in_bytes(check_size("1.5Gi")) == 3 * 2**29
    with pytest.raises(ValueError, match="is its unit missing"):
        check_size("6")
