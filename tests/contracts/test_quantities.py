import pytest

from cloudseg_ops.contracts.quantities import in_bytes, in_words, size


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
    assert in_words(amount) == words


def test_kubernetes_quantities() -> None:
    assert in_bytes(size("1.5Gi")) == 3 * 2**29
    with pytest.raises(ValueError, match="is its unit missing"):
        size("6")
