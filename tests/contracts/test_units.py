import pytest

from cloudseg_ops.contracts.units import readable_bytes, readable_percent, readable_seconds, readable_time, three_digits


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_250_000_000, "1.25 GB"),
    ],
)
def test_bytes(number: int, text: str) -> None:
    assert readable_bytes(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert readable_seconds(seconds) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0, "0 %"), (0.001, "< 1 %"), (0.006, "1 %"), (0.5, "50 %"), (0.994, "99 %"), (0.9951, "> 99 %"), (1, "100 %")],
)
def test_percent(fraction: float, text: str) -> None:
    assert readable_percent(fraction) == text


@pytest.mark.parametrize(("value", "text"), [(0.05, "0.05"), (9.996, "10.0"), (27.24, "27.2"), (1249.6, "1,250")])
def test_three_digits(value: float, text: str) -> None:
    assert three_digits(value) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-08-26T03:00:04.1+00:00", "26 August 2026, 03:00 UTC"),
        ("2026-08-26T03:00:04+02:00", "26 August 2026, 01:00 UTC"),
        ("2026-08-26T03:00:04", "26 August 2026, 03:00 UTC"),
        ("this morning", "this morning"),
    ],
)
def test_time(text: str, shown: str) -> None:
    assert readable_time(text) == shown
