import time
from collections.abc import Mapping

import pytest

from cloudseg_ops.engine.scheduling.autoscaler import IoAutoscaler, Reading, load_between


def reading(at: float, cpu: float, idle: float, done: int, helpers: Mapping[int, float] | None = None) -> Reading:
    return Reading(at, cpu, idle, done, helpers or {})


def test_the_load_is_computed_between_two_readings() -> None:
    load = load_between(reading(10, 5, 1, 100), reading(12, 7.4, 2, 300), workers=2, on_gpu=False, left=1000)
    assert load
    # Workers waited one of four worker seconds; of 2.4 CPU seconds, they used three quarters of two CPUs.
    assert load.starved == pytest.approx(0.25)
    assert load.busy == pytest.approx(1.2 - 1.5)
    assert load.seconds_left == pytest.approx(10)


def test_workers_on_a_gpu_use_no_cpu() -> None:
    load = load_between(reading(10, 5, 1, 100), reading(12, 7.4, 2, 300), workers=2, on_gpu=True, left=1000)
    assert load
    assert load.busy == pytest.approx(1.2)


def test_the_busiest_helper_counts_where_it_is_busier_than_this_process() -> None:
    before = reading(10, 5, 1, 100, {7: 1.0, 8: 1.0})
    now = reading(12, 5.2, 2, 300, {7: 1.4, 8: 2.8, 9: 100.0})
    load = load_between(before, now, workers=2, on_gpu=True, left=1000)
    assert load
    assert load.busy == pytest.approx(0.9)


def test_there_is_no_load_before_the_first_image() -> None:
    nothing, something = reading(0, 0, 0, 0), reading(2, 1, 0, 5)
    assert load_between(nothing, reading(2, 1, 0, 0), workers=2, on_gpu=False, left=10) is None
    assert load_between(nothing, something, workers=0, on_gpu=False, left=10) is None


class Pool:
    helpers = 0
    joining = 0

    def helper_cpu_seconds(self) -> dict[int, float]:
        return {}

    def grow(self) -> None:
        self.helpers += 1


class Endless:
    """The result log of a chunk that takes forever."""

    total = 10**12
    accounted = 0


class Idle:
    """Workers that are always idle."""

    count = 1
    on_gpu = False

    @property
    def idle_seconds(self) -> float:
        return time.monotonic()


def test_the_pool_grows_while_workers_starve_and_python_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudseg_ops.engine.scheduling.autoscaler._SECONDS", 0.05)
    pool, result_log = Pool(), Endless()
    with IoAutoscaler(pool, Idle(), result_log, cpus=3):  # type: ignore[arg-type]
        end = time.monotonic() + 20
        while pool.helpers < 2 and time.monotonic() < end:
            result_log.accounted += 1
    assert pool.helpers == 2


def test_no_further_helper_is_started_while_another_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudseg_ops.engine.scheduling.autoscaler._SECONDS", 0.05)
    pool, result_log = Pool(), Endless()
    pool.joining = 1
    with IoAutoscaler(pool, Idle(), result_log, cpus=3):  # type: ignore[arg-type]
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            result_log.accounted += 1
    assert pool.helpers == 0
