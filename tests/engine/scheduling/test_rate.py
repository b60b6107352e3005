import pytest

from cloudseg_ops.engine.scheduling.rate import RateMeter


def test_what_was_there_at_the_beginning_counts_toward_nothing() -> None:
    pace = RateMeter(100.0, 400)
    assert (pace.lately, pace.overall) == (0.0, 0.0)
    pace.see(110.0, 450)
    assert (pace.lately, pace.overall) == (5.0, 5.0)


def test_a_slow_start_is_forgotten_lately_and_counts_in_all() -> None:
    pace = RateMeter(0.0, 0)
    for second in range(5, 65, 5):
        # Nothing in the first 20 seconds, then ten a second.
        pace.see(float(second), max(0, 10 * (second - 20)))
    assert pace.lately == pytest.approx(10.0)
    assert pace.overall == pytest.approx(400 / 60)


def test_looks_far_apart_still_give_a_rate() -> None:
    pace = RateMeter(0.0, 0)
    pace.see(100.0, 100)
    pace.see(200.0, 300)
    assert pace.lately == 2.0


def test_a_halt_shows_within_half_a_minute() -> None:
    pace = RateMeter(0.0, 0)
    for second in range(5, 105, 5):
        pace.see(float(second), min(10 * second, 500))
    assert (pace.lately, pace.overall) == (0.0, 5.0)


def test_memory_is_bounded() -> None:
    pace = RateMeter(0.0, 0)
    for second in range(1, 10_000):
        pace.see(float(second), second)
    assert len(pace._seen) < 40
