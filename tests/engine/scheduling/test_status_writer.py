import logging
import time

import pytest

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.engine.scheduling.status_writer import RateMeter, StatusWriter
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault, FaultPlan

SOURCES = [InputObject(f"{index}.jpg", 1, 1, "") for index in range(10)]


def account(result_log: ResultLog, index: int, outcome: Outcome) -> None:
    result_log.record(index, SOURCES[index], Result(SOURCES[index], outcome))


def read_status(store: Store, layout: RunLayout) -> ChunkStatus | None:
    found = store.stat(layout.progress(3))
    return ChunkStatus.from_metadata(found.metadata) if found else None


def wait_for_status(store: Store, layout: RunLayout, done: int, within: float = 10.0) -> ChunkStatus:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if (status := read_status(store, layout)) and status.done == done:
            return status
        time.sleep(0.05)
    raise AssertionError(f"no status with {done} images: {read_status(store, layout)}")


def test_statuses_report_progress_and_rate_and_the_last_one_the_end(store: Store, layout: RunLayout) -> None:
    result_log = ResultLog(10)
    account(result_log, 0, Outcome.SKIPPED)
    writer = StatusWriter(store, layout.progress(3), result_log, 1.0)
    with writer:
        account(result_log, 1, Outcome.DONE)
        # Skipped because its mask exists: it counts as done, but not toward the rate.
        account(result_log, 2, Outcome.SKIPPED)
        first = wait_for_status(store, layout, 3)
        account(result_log, 3, Outcome.QUARANTINED)
        second = wait_for_status(store, layout, 4)
    writer.settle()
    last = read_status(store, layout)
    assert (first.total, first.ended, second.ended) == (10, False, False)
    assert 0.2 < first.images_per_second < 0.6  # one image in slightly more than two seconds
    assert last is not None
    assert (last.done, last.ended) == (4, True)
    assert 0.2 < last.images_per_second < 1.0


def test_a_chunk_that_ends_immediately_writes_one_status(store: Store, layout: RunLayout, emulator: Emulator) -> None:
    before = emulator.calls().get("objects.insert", 0)
    writer = StatusWriter(store, layout.progress(3), ResultLog(1), 10.0)
    with writer:
        pass
    writer.settle()
    last = read_status(store, layout)
    assert last is not None
    assert last.ended
    assert emulator.calls()["objects.insert"] - before == 1


def test_the_final_status_is_written_after_a_failure_too(store: Store, layout: RunLayout) -> None:
    writer = StatusWriter(store, layout.progress(3), ResultLog(1), 10.0)
    with pytest.raises(ZeroDivisionError), writer:
        raise ZeroDivisionError
    writer.settle()
    last = read_status(store, layout)
    assert last is not None
    assert last.ended


def test_without_an_address_nothing_is_written(store: Store, emulator: Emulator) -> None:
    before = emulator.calls()
    writer = StatusWriter(store, None, ResultLog(1), 10.0)
    with writer:
        pass
    writer.settle()
    assert writer._thread is None
    assert emulator.calls() == before


def test_a_refused_write_is_logged_once_and_the_chunk_continues(
    store: Store, layout: RunLayout, faults: FaultPlan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    faults.add(Fault(status=403, method="POST", path="/upload/", times=3))
    result_log = ResultLog(10)
    writer = StatusWriter(store, layout.progress(3), result_log, 1.0)
    with writer:
        time.sleep(3.3)  # writes after 2 s and 3 s
    writer.settle()
    assert read_status(store, layout) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the chunk continues without it" in caplog.text
    assert "PermissionDenied" in caplog.text or "refused" in caplog.text


def test_storage_that_does_not_answer_does_not_delay_the_chunk(
    store: Store, layout: RunLayout, faults: FaultPlan
) -> None:
    faults.latency = 5.0
    writer = StatusWriter(store, layout.progress(3), ResultLog(1), 10.0)
    began = time.monotonic()
    with writer:
        pass
    writer.settle()
    assert time.monotonic() - began < 1.5


def test_the_initial_count_is_excluded_from_the_rates() -> None:
    meter = RateMeter(100.0, 400)
    assert (meter.recent, meter.overall) == (0.0, 0.0)
    meter.add(110.0, 450)
    assert (meter.recent, meter.overall) == (5.0, 5.0)


def test_a_slow_start_affects_the_overall_rate_but_not_the_recent_one() -> None:
    meter = RateMeter(0.0, 0)
    for second in range(5, 65, 5):
        # Nothing in the first 20 seconds, then ten per second.
        meter.add(float(second), max(0, 10 * (second - 20)))
    assert meter.recent == pytest.approx(10.0)
    assert meter.overall == pytest.approx(400 / 60)


def test_samples_far_apart_still_give_a_rate() -> None:
    meter = RateMeter(0.0, 0)
    meter.add(100.0, 100)
    meter.add(200.0, 300)
    assert meter.recent == 2.0


def test_a_stall_shows_within_half_a_minute() -> None:
    meter = RateMeter(0.0, 0)
    for second in range(5, 105, 5):
        meter.add(float(second), min(10 * second, 500))
    assert (meter.recent, meter.overall) == (0.0, 5.0)


def test_memory_is_bounded() -> None:
    meter = RateMeter(0.0, 0)
    for second in range(1, 10_000):
        meter.add(float(second), second)
    assert len(meter._seen) < 40
