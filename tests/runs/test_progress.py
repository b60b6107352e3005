from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.chunk_plan import write_plan
from cloudseg_ops.runs.progress import ChunkPhase, ChunkProgress, combine, judge_chunk, read_run_progress, seconds_left
from cloudseg_ops.runs.snapshots import Snapshot
from cloudseg_ops.storage import ObjectInfo, Store
from gcs_emulator import Emulator
from tests.support.samples import WHEN, described, put_snapshot, version

SOON = WHEN + timedelta(seconds=5)
LATER = WHEN + timedelta(seconds=61)


def status_object(done: int, total: int = 500, rate: float = 10.0, *, ended: bool = False) -> ObjectInfo:
    return described("progress/00000", metadata=ChunkStatus(done, total, rate, ended).to_metadata())


def results(*, complete: bool, started: float = 100.0, finished: float = 150.0) -> ObjectInfo:
    return described("results/00000.jsonl", metadata=ChunkSummary(started, finished, 500, complete).to_metadata())


@pytest.mark.parametrize(
    ("status", "written", "now", "expected"),
    [
        (None, None, SOON, (0, 0.0, "waiting")),
        (status_object(0), None, SOON, (0, 10.0, "running")),
        (status_object(420), None, SOON, (420, 10.0, "running")),
        (status_object(420), None, LATER, (420, 0.0, "stalled")),
        (status_object(420, ended=True), None, SOON, (420, 10.0, "stopped")),
        (status_object(420, ended=True), results(complete=False), LATER, (420, 10.0, "stopped")),
        # A retry continues after an earlier try.
        (status_object(430), results(complete=False), SOON, (430, 10.0, "running")),
        # All images are done; the results file is still missing, or never written.
        (status_object(500, ended=True), None, SOON, (500, 10.0, "running")),
        (status_object(500, ended=True), None, LATER, (500, 10.0, "stopped")),
        (status_object(500, ended=True), results(complete=True), LATER, (500, 10.0, "done")),
        # The last status did not arrive: the results file has the totals.
        (status_object(420), results(complete=True), LATER, (500, 10.0, "done")),
        (None, results(complete=True), LATER, (500, 10.0, "done")),
        (None, results(complete=False), LATER, (0, 0.0, "stopped")),
        (described(), None, SOON, (0, 0.0, "waiting")),
        # More images than planned: the status of another plan.
        (status_object(600, 600), None, SOON, (500, 10.0, "running")),
    ],
)
def test_phase_of_a_chunk(
    status: ObjectInfo | None, written: ObjectInfo | None, now: datetime, expected: tuple[int, float, str]
) -> None:
    chunk = judge_chunk(3, 500, status, written, now=now)
    assert (chunk.done, chunk.images_per_second, chunk.state) == expected
    assert (chunk.index, chunk.total) == (3, 500)
    assert chunk.updated == (WHEN if status or written else None)


def chunk(
    index: int, done: int, total: int, rate: float, state: str, *, updated: datetime | None = WHEN
) -> ChunkProgress:
    return ChunkProgress(index, done, total, rate, updated, ChunkPhase(state))


def test_run_progress_sums_chunks_and_rates_of_running_ones() -> None:
    found = combine(
        [
            chunk(2, 10, 100, 5.0, "running", updated=SOON),
            chunk(0, 100, 100, 8.0, "done"),
            chunk(1, 50, 100, 7.5, "running"),
            chunk(3, 60, 100, 9.0, "stopped"),
            chunk(4, 0, 100, 0.0, "waiting", updated=None),
        ],
        at_once=None,
    )
    assert (found.done, found.total, found.images_per_second) == (220, 500, 12.5)
    assert found.updated == SOON
    assert not found.finished
    assert [one.index for one in found.chunks] == [0, 1, 2, 3, 4]
    assert (found.count(ChunkPhase.RUNNING), found.count(ChunkPhase.STALLED)) == (2, 0)


def test_a_run_without_a_plan_is_not_finished() -> None:
    found = combine([], at_once=2)
    assert (found.done, found.total, found.finished, found.seconds_left, found.updated) == (0, 0, False, None, None)


def test_a_finished_run_has_no_time_left() -> None:
    found = combine([chunk(0, 5, 5, 0.0, "done")], at_once=None)
    assert (found.finished, found.seconds_left) == (True, 0.0)


@pytest.mark.parametrize(
    ("chunks", "at_once", "expected"),
    [
        ([chunk(0, 0, 100, 0.0, "waiting")], 2, None),
        ([chunk(0, 0, 100, 0.0, "running")], 2, None),
        # The slower of two running chunks.
        ([chunk(0, 50, 100, 10.0, "running"), chunk(1, 80, 100, 1.0, "running")], 2, 20.0),
        # A chunk that has just started gets the usual rate.
        ([chunk(0, 50, 100, 10.0, "running"), chunk(1, 0, 100, 0.0, "running")], 2, 10.0),
        # A third chunk takes the first free place.
        ([chunk(0, 90, 100, 10.0, "running"), chunk(1, 0, 100, 10.0, "running"), chunk(2, 0, 100, 0.0, "waiting")],
         2, 11.0),
        # A free place is used immediately, if the number of places is known.
        ([chunk(0, 90, 100, 10.0, "running"), chunk(1, 0, 100, 0.0, "waiting")], 2, 10.0),
        ([chunk(0, 90, 100, 10.0, "running"), chunk(1, 0, 100, 0.0, "waiting")], None, 11.0),
        # More chunks run than there are slots, because the pool was larger before.
        ([chunk(0, 0, 100, 10.0, "running"), chunk(1, 0, 100, 10.0, "running")], 1, 10.0),
        # Waiting chunks get the rate of done ones, which includes their start; running chunks their own rate.
        ([chunk(0, 100, 100, 5.0, "done"), chunk(1, 0, 100, 10.0, "running"), chunk(2, 0, 100, 0.0, "waiting")],
         1, 30.0),
        # Stalled and stopped chunks continue where they are.
        ([chunk(0, 100, 100, 5.0, "done"), chunk(1, 50, 100, 0.0, "stalled"), chunk(2, 75, 100, 4.0, "stopped")],
         1, 15.0),
    ],
)  # fmt: skip
def test_estimated_time_left(chunks: list[ChunkProgress], at_once: int | None, expected: float | None) -> None:
    assert seconds_left(chunks, at_once=at_once) == (None if expected is None else pytest.approx(expected))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0.1, 100)), min_size=1, max_size=30),
    st.integers(1, 8),
)
def test_time_left_is_at_most_that_of_sequential_chunks(
    given_chunks: list[tuple[int, int, float]], at_once: int
) -> None:
    chunks = [
        chunk(index, done, done + left, rate, "running" if index < at_once else "waiting")
        for index, (done, left, rate) in enumerate(given_chunks)
    ]
    found = seconds_left(chunks, at_once=at_once)
    assert found is not None
    one_by_one = sum((one.total - one.done) / one.images_per_second for one in chunks if one.state == "running")
    usual = sorted(one.images_per_second for one in chunks if one.state == "running")
    slowest_usual = usual[0]
    one_by_one += sum((one.total - one.done) / slowest_usual for one in chunks if one.state == "waiting")
    longest = max((one.total - one.done) / one.images_per_second for one in chunks if one.state == "running")
    assert longest - 1e-6 <= found <= one_by_one + 1e-6


@pytest.fixture
def planned(store: Store, layout: RunLayout) -> RunLayout:
    """Five chunks of four images."""
    put_snapshot(store, layout, [version(f"{number:02}.jpg") for number in range(20)])
    write_plan(store, layout, Snapshot(layout.snapshot, 20, 20_000), chunk_objects=4, max_chunks=200)
    return layout


def _write_status(store: Store, layout: RunLayout, index: int, done: int, **how: Any) -> None:
    metadata: Mapping[str, str] = ChunkStatus(done, 4, how.pop("rate", 2.0), how.pop("ended", False)).to_metadata()
    store.write(layout.progress(index), b"", metadata=metadata)


def test_run_progress_is_read_from_statuses_and_results(store: Store, planned: RunLayout) -> None:
    _write_status(store, planned, 0, 4, ended=True)
    store.write_lines(planned.results(0), [], metadata=ChunkSummary(0.0, 2.0, 4, complete=True).to_metadata())
    _write_status(store, planned, 1, 1)
    _write_status(store, planned, 2, 3, rate=1.0)
    # Other objects are ignored.
    store.write(planned.previews_folder / "00000-0.jpg", b"x", metadata=ChunkStatus(9, 9, 9, ended=False).to_metadata())
    found = read_run_progress(store, planned, at_once=2)
    assert [str(one.state) for one in found.chunks] == ["done", "running", "running", "waiting", "waiting"]
    assert (found.done, found.total, found.images_per_second, found.finished) == (8, 20, 3.0, False)
    # 1.5 s and 1 s for the running chunks, 2 s for each waiting one.
    assert found.seconds_left == pytest.approx(3.5)
    assert found.updated is not None
    assert abs(datetime.now(UTC) - found.updated) < timedelta(minutes=1)
    silent = read_run_progress(store, planned, now=datetime.now(UTC) + timedelta(minutes=2))
    assert [str(one.state) for one in silent.chunks] == ["done", "stalled", "stalled", "waiting", "waiting"]
    document = found.to_json()
    assert (document["done"], document["seconds_left"], document["chunks"][1]["state"]) == (8, 3.5, "running")
    assert datetime.fromisoformat(document["updated"]) == found.updated


def test_run_progress_takes_two_requests(store: Store, planned: RunLayout, emulator: Emulator) -> None:
    for index in range(5):
        _write_status(store, planned, index, 1)
    before = emulator.calls()
    read_run_progress(store, planned)
    spent = {
        call: count - before.get(call, 0) for call, count in emulator.calls().items() if count > before.get(call, 0)
    }
    assert sum(spent.values()) == 2, spent


def test_run_without_a_plan_has_no_chunks(store: Store, layout: RunLayout) -> None:
    found = read_run_progress(store, layout)
    assert (found.total, found.chunks, found.finished) == (0, [], False)
    assert found.to_json()["updated"] is None
