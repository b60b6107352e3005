import json
from dataclasses import asdict

import pytest

from cloudseg_ops.contracts.errors import ManifestError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.chunk_plan import Chunk, read_plan, write_plan
from cloudseg_ops.runs.snapshots import Snapshot, read_inputs
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator
from tests.support.samples import names_in, put_snapshot


def _snapshot(store: Store, layout: RunLayout, sizes: list[int]) -> tuple[Snapshot, list[InputObject]]:
    versions = [InputObject(f"{number:04d} größe.jpg", number + 1, size, "c") for number, size in enumerate(sizes)]
    put_snapshot(store, layout, versions)
    return Snapshot(layout.snapshot, len(sizes), sum(sizes)), versions


def _read(store: Store, chunks: list[Chunk]) -> list[list[InputObject]]:
    return [list(read_inputs(store, GcsUri.parse(chunk.uri))) for chunk in chunks]


def test_chunks_cover_the_snapshot_and_have_their_totals(store: Store, layout: RunLayout) -> None:
    snapshot, versions = _snapshot(store, layout, [10**6 * (number % 7) for number in range(100)])
    chunks = write_plan(store, layout, snapshot, chunk_objects=10, max_chunks=200)
    members = _read(store, chunks)
    assert [item for chunk in members for item in chunk] == versions
    assert [chunk.index for chunk in chunks] == list(range(10))
    assert [chunk.uri for chunk in chunks] == [str(layout.chunk(index)) for index in range(10)]
    assert [chunk.objects for chunk in chunks] == [len(chunk) for chunk in members]
    assert [chunk.bytes for chunk in chunks] == [sum(item.size for item in chunk) for chunk in members]


def test_chunk_list_is_written(store: Store, layout: RunLayout) -> None:
    snapshot, _ = _snapshot(store, layout, [5, 5, 5])
    chunks = write_plan(store, layout, snapshot, chunk_objects=1, max_chunks=200)
    assert json.loads(store.read(layout.plan)) == [asdict(chunk) for chunk in chunks]
    assert len(chunks) == 3
    assert read_plan(store, layout) == chunks


def test_missing_plan_is_empty(store: Store, layout: RunLayout) -> None:
    assert read_plan(store, layout) == []


def test_plan_is_sorted_by_index(store: Store, layout: RunLayout) -> None:
    snapshot, _ = _snapshot(store, layout, [5, 5, 5])
    chunks = write_plan(store, layout, snapshot, chunk_objects=1, max_chunks=200)
    store.write(layout.plan, json.dumps([asdict(chunk) for chunk in reversed(chunks)]).encode())
    assert read_plan(store, layout) == chunks


@pytest.mark.parametrize("text", [b"{", b"\xff", b"5", b"[7]", b'[{"index": 0}]'])
def test_damaged_plan_names_the_task_to_clear(store: Store, layout: RunLayout, text: bytes) -> None:
    store.write(layout.plan, text)
    with pytest.raises(ManifestError, match="clear `plan_chunks`"):
        read_plan(store, layout)


def test_single_empty_object_makes_one_chunk(store: Store, layout: RunLayout) -> None:
    snapshot, _ = _snapshot(store, layout, [0])
    assert write_plan(store, layout, snapshot, chunk_objects=500, max_chunks=200) == [
        Chunk(0, str(layout.chunk(0)), 1, 0)
    ]


def test_number_of_chunks_is_limited(store: Store, layout: RunLayout) -> None:
    snapshot, versions = _snapshot(store, layout, [1] * 50)
    chunks = write_plan(store, layout, snapshot, chunk_objects=1, max_chunks=3)
    assert len(chunks) == 3
    assert [item for chunk in _read(store, chunks) for item in chunk] == versions


def test_repeated_planning_changes_nothing(store: Store, layout: RunLayout) -> None:
    snapshot, _ = _snapshot(store, layout, [3, 1, 4, 1, 5, 9, 2, 6])
    chunks = write_plan(store, layout, snapshot, chunk_objects=3, max_chunks=200)
    files = names_in(store, layout.staging.bucket)
    contents = [store.read(GcsUri(layout.staging.bucket, name)) for name in files]
    assert write_plan(store, layout, snapshot, chunk_objects=3, max_chunks=200) == chunks
    assert names_in(store, layout.staging.bucket) == files
    assert [store.read(GcsUri(layout.staging.bucket, name)) for name in files] == contents


def test_long_chunks_are_written_completely(store: Store, layout: RunLayout) -> None:
    snapshot, versions = _snapshot(store, layout, [1] * 20_100)
    chunks = write_plan(store, layout, snapshot, chunk_objects=500, max_chunks=2)
    assert [chunk.objects for chunk in chunks] == [10_050, 10_050]
    assert [item for chunk in _read(store, chunks) for item in chunk] == versions
    (exactly,) = write_plan(store, layout, snapshot, chunk_objects=500, max_chunks=1)
    assert list(read_inputs(store, GcsUri.parse(exactly.uri))) == versions


def test_a_chunk_takes_one_request(store: Store, layout: RunLayout, emulator: Emulator) -> None:
    snapshot, _ = _snapshot(store, layout, [1] * 1000)
    before = emulator.calls()
    assert len(write_plan(store, layout, snapshot, chunk_objects=100, max_chunks=200)) == 10
    spent = {call: count - before.get(call, 0) for call, count in emulator.calls().items()}
    # And one for plan.json.
    assert (spent["objects.insert"], spent.get("uploads.chunk", 0)) == (11, 0)


def test_dry_run_gives_the_same_plan_and_writes_nothing(store: Store, layout: RunLayout) -> None:
    snapshot, _ = _snapshot(store, layout, [3, 1, 4, 1, 5, 9, 2, 6])
    files = names_in(store, layout.staging.bucket)
    forecast = write_plan(store, layout, snapshot, chunk_objects=3, max_chunks=200, dry_run=True)
    assert names_in(store, layout.staging.bucket) == files
    assert forecast == write_plan(store, layout, snapshot, chunk_objects=3, max_chunks=200)
