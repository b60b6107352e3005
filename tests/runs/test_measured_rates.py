import json
import logging
import time
from typing import Any

import pytest

from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report import write_report
from cloudseg_ops.runs.forecast import MeasuredChunk
from cloudseg_ops.runs.measured_rates import REPORTS_READ, measured_chunks, read_measured_runs
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.support.report_runs import MODEL, done, facts_of, planned, write_chunk


def _entry(**changes: Any) -> dict[str, Any]:
    outcomes = {"done": 90, "skipped": 0, "quarantined": 10, "vanished": 0, "changed": 0}
    entry = {
        "index": 0,
        "objects": 100,
        "state": "complete",
        "outcomes": outcomes,
        "seconds": 9.0,
        "start_seconds": 3.0,
    }
    return {**entry, **changes}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [MeasuredChunk(90, 9.0, 3.0)]),
        ({"start_seconds": None}, [MeasuredChunk(90, 9.0, None)]),
        ({"outcomes": {"done": 50}}, [MeasuredChunk(50, 9.0, 3.0)]),
        # A retry or an earlier run did most of the chunk.
        ({"outcomes": {"done": 49}}, []),
        ({"outcomes": {"done": 0}, "objects": 0}, []),
        ({"state": "partial"}, []),
        ({"seconds": None}, []),
        ({"seconds": 0.0}, []),
    ],
)
def test_rates_are_measured_on_complete_chunks(changes: dict[str, Any], expected: list[MeasuredChunk]) -> None:
    assert measured_chunks([_entry(**changes)]) == expected


def test_older_reports_have_no_start_time() -> None:
    entry = _entry()
    del entry["start_seconds"]
    assert measured_chunks([entry]) == [MeasuredChunk(90, 9.0, None)]


def _report(store: Store, layout: RunLayout, images: int = 2, seconds: float = 4.0) -> None:
    summary = ChunkSummary(100.0, 100.0 + seconds, images, complete=True, asked=98.0)
    lines = [done(f"{number}.jpg").to_line() for number in range(images)]
    store.write_lines(layout.results(0), lines, metadata=summary.to_metadata())
    write_chunk(store, layout, 1, [], complete=False)
    write_report(store, layout, facts_of(layout, planned(layout, images, 1)))


def test_report_has_the_rate_of_each_chunk(store: Store, layout: RunLayout) -> None:
    _report(store, layout)
    (run,) = read_measured_runs(store, layout.output)
    assert (run.run_id, run.model_digest) == (layout.run_id, MODEL.digest)
    assert run.chunks == [MeasuredChunk(2, 4.0, 2.0)]


def test_latest_reports_are_read_newest_first(store: Store, buckets: Buckets) -> None:
    # Not in the order of their names.
    names = ["manual__3", "scheduled__1", "b", "a", "scheduled__0", "manual__9", "c"]
    for name in names:
        _report(store, buckets.layout(name))
        time.sleep(0.002)
    found = read_measured_runs(store, buckets.layout("new").output)
    assert [run.run_id for run in found] == names[::-1][:REPORTS_READ]


def test_the_list_of_images_is_not_read(store: Store, layout: RunLayout, emulator: Emulator) -> None:
    _report(store, layout, images=20_000)
    info = store.stat(layout.report_folder / "report.json")
    assert info is not None
    assert info.size > 2 * 1024 * 1024
    before = emulator.calls()
    assert read_measured_runs(store, layout.output)[0].chunks[0].images == 20_000
    spent = {
        call: count - before.get(call, 0) for call, count in emulator.calls().items() if count > before.get(call, 0)
    }
    # The listing, the metadata, and the first MiB.
    assert sum(spent.values()) <= 4, spent


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "{}", '{"run_id": "x", "chunks": []}', '{\n"run_id": "x",\n"quarantined": [\n]}',
     '{\n"run_id": "x", "model": [1],\n"chunks": [],\n"quarantined": [\n]}', "\xff"],
)  # fmt: skip
def test_invalid_report_is_skipped_with_a_warning(
    store: Store, buckets: Buckets, layout: RunLayout, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    _report(store, layout)
    broken = buckets.layout("broken").report_folder / "report.json"
    store.write(broken, text.encode("latin-1"))
    assert [run.run_id for run in read_measured_runs(store, layout.output)] == [layout.run_id]
    assert f"cannot read a rate from {broken}" in caplog.text


def test_no_reports_give_no_rates(store: Store, layout: RunLayout) -> None:
    store.write(layout.plan_json, json.dumps({}).encode())
    assert read_measured_runs(store, layout.output) == []
