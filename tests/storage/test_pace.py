"""The rate limit of writes and deletes, and the waiting of threads."""

import threading
from math import log, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.storage import Pace, Pacer

BATCH = 100
DOUBLING = 20 * 60


def _saturated(pace: Pace, writes: int) -> float:
    """Return when the last of a number of writes is sent, if each batch is ready as soon as it may be sent."""
    now = 0.0
    for _ in range(writes // BATCH):
        now = pace.turn(BATCH, now)
    return now


def test_first_write_is_immediate_and_1000_per_second_follow() -> None:
    pace = Pace()
    assert [round(pace.turn(BATCH, 50.0), 3) for _ in range(4)] == [50.0, 50.1, 50.2, 50.3]


def test_twenty_thousand_writes_take_twenty_seconds() -> None:
    assert 19.5 < _saturated(Pace(), 20_000) < 20


def test_a_million_writes_take_thirteen_minutes() -> None:
    # The integral of 1000 × 2^(t / 1200 s), solved for a million.
    expected = DOUBLING * log2(1 + 1000 * log(2) / DOUBLING)
    assert _saturated(Pace(), 1_000_000) == pytest.approx(expected, rel=0.001)
    assert expected == pytest.approx(13.1 * 60, rel=0.01)


def test_the_rate_has_doubled_after_twenty_minutes_and_again_after_forty() -> None:
    pace, now = Pace(), 0.0
    while now < DOUBLING:
        now = pace.turn(BATCH, now)
    assert pace.rate == pytest.approx(2000, rel=0.001)
    while now < 2 * DOUBLING:
        now = pace.turn(BATCH, now)
    assert pace.rate == pytest.approx(4000, rel=0.001)


def test_idle_time_neither_raises_the_rate_nor_allows_a_burst() -> None:
    pace = Pace()
    pace.turn(BATCH, 0.0)
    assert pace.turn(BATCH, 24 * 3600.0) == 24 * 3600.0
    assert pace.rate < 1001
    assert pace.turn(BATCH, 24 * 3600.0) == pytest.approx(24 * 3600 + 0.1, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 400), st.integers(1, 100), st.booleans()), min_size=2, max_size=60))
def test_no_pattern_of_arrivals_and_push_backs_exceeds_the_ramp(steps: list[tuple[float, int, bool]]) -> None:
    pace, now = Pace(), 0.0
    gone: list[tuple[float, int]] = []
    for pause, writes, refused in steps:
        now += pause
        gone.append((pace.turn(writes, now), writes))
        if refused:
            pace.push_back(now)
    assert [when for when, _ in gone] == sorted(when for when, _ in gone)
    for first in range(len(gone)):
        sent = 0
        for when, writes in gone[first:]:
            # In any period before this write, the number of writes is within the highest rate possible by now.
            fastest = 1000 * 2 ** (when / DOUBLING)
            assert sent <= (when - gone[first][0]) * fastest * (1 + 1e-9) + 1e-6
            sent += writes


def test_a_push_back_halves_the_rate_once_for_all_calls_in_flight() -> None:
    pace = Pace()
    for moment in (10.0, 10.1, 11.0, 14.9):
        pace.push_back(moment)
    assert pace.rate == 500
    assert pace.turn(BATCH, 20.0) == 20.0
    assert pace.turn(BATCH, 20.0) == pytest.approx(20.2)
    pace.push_back(16.0)
    assert pace.rate == pytest.approx(250, rel=0.01)


def test_the_rate_never_reaches_zero() -> None:
    pace = Pace()
    for minute in range(60):
        pace.push_back(60.0 * minute)
    assert pace.rate == 1000 / 16


def test_after_a_push_back_the_rate_recovers_and_then_ramps_up() -> None:
    pace, now = Pace(), 0.0
    pace.push_back(0.0)
    while now < 60:
        now = pace.turn(BATCH, now)
    assert pace.rate == pytest.approx(1000, rel=0.01)
    while now < 120:
        now = pace.turn(BATCH, now)
    assert pace.rate < 1000 * 2 ** (120 / DOUBLING)


class Clock:
    """A clock that advances only while a thread sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_pacer_sleeps_until_the_scheduled_time() -> None:
    clock = Clock()
    pacer = Pacer(clock=clock, sleep=clock.sleep)
    for _ in range(200):
        pacer.wait(BATCH)
    assert clock.now == pytest.approx(19.8, rel=0.01)
    pacer.push_back()
    clock.slept.clear()
    pacer.wait(BATCH)
    pacer.wait(BATCH)
    assert clock.slept[-1] == pytest.approx(0.2, rel=0.02)


def test_threads_share_one_pace() -> None:
    slept: list[float] = []
    pacer = Pacer(clock=lambda: 0.0, sleep=slept.append)

    def work() -> None:
        for _ in range(10):
            pacer.wait(BATCH)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == pytest.approx([number / 10 for number in range(1, 40)], rel=0.01)
