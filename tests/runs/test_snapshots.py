from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.snapshots import Snapshot, count_snapshot, pages, read_inputs, take_snapshot
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.support.samples import put_input, put_inputs, put_snapshot, version

TYPES = ("jpg", "png")


@pytest.fixture(autouse=True)
def _no_faults_left(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.faults.clear()


def _take(store: Store, layout: RunLayout, bucket: str, prefix: str = "", **changes: Any) -> Snapshot | None:
    options: dict[str, Any] = {"now": datetime.now(UTC), "settle": timedelta(0), "image_types": TYPES, **changes}
    return take_snapshot(store, layout, GcsUri(bucket, prefix), **options)


def test_new_objects_are_written_with_their_generations(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    versions = put_inputs(store, buckets.input, ["b/größe.png", "a.jpg", "notes.txt", "a.jpg.mask.png"])
    snapshot = _take(store, layout, buckets.input)
    assert snapshot == Snapshot(layout.snapshot, 2, versions[0].size + versions[1].size)
    assert list(read_inputs(store, layout.snapshot)) == [versions[1], versions[0]]


def test_no_new_objects_write_no_snapshot(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_inputs(store, buckets.input, ["notes.txt"])
    assert _take(store, layout, buckets.input) is None
    assert store.stat(layout.snapshot) is None


def test_unsettled_objects_are_left_to_the_next_run(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_inputs(store, buckets.input, ["a.jpg"])
    assert _take(store, layout, buckets.input, settle=timedelta(hours=1)) is None
    later = datetime.now(UTC) + timedelta(hours=1)
    assert _take(store, layout, buckets.input, settle=timedelta(hours=1), now=later) is not None


def test_prefix_and_max_objects_limit_the_snapshot(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_inputs(store, buckets.input, ["2026/a.jpg", "2026/b.jpg", "2026/c.jpg", "2025/d.jpg", "2027/e.jpg"])
    assert _take(store, layout, buckets.input, "2026/", max_objects=2) is not None
    assert [item.name for item in read_inputs(store, layout.snapshot)] == ["2026/a.jpg", "2026/b.jpg"]


def test_repeated_snapshot_ignores_later_uploads(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    put_inputs(store, buckets.input, ["a.jpg"])
    first = _take(store, layout, buckets.input)
    before = store.stat(layout.snapshot)
    put_input(store, buckets.input, "a.jpg", b"a newer version")
    put_inputs(store, buckets.input, ["b.jpg"])
    assert _take(store, layout, buckets.input) == first
    assert store.stat(layout.snapshot) == before
    assert _take(store, buckets.layout("next-run"), buckets.input) != first


def test_concurrent_snapshots_give_the_same_result(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    versions = put_inputs(store, buckets.input, ["a.jpg", "b.jpg"])

    class Raced(Store):
        def write_lines(self, uri: GcsUri, *arguments: Any, **options: Any) -> None:
            put_snapshot(store, layout, versions[:1])
            super().write_lines(uri, *arguments, **options)

    snapshot = _take(Raced(store._client), layout, buckets.input)
    assert snapshot == Snapshot(layout.snapshot, 1, versions[0].size)
    assert list(read_inputs(store, layout.snapshot)) == versions[:1]


FAULTS = [Fault(action=action, method=method, path="/upload/")
          for action in ("cut_before", "cut_after", "status") for method in ("POST", "PUT")]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.action}-{fault.method}")
def test_fault_while_writing_is_retried(
    store: Store, buckets: Buckets, layout: RunLayout, emulator: Emulator, fault: Fault
) -> None:
    versions = put_inputs(store, buckets.input, ["a.jpg", "b.jpg"])
    emulator.faults.add(fault)
    snapshot = _take(store, layout, buckets.input)
    assert emulator.faults.pending() == []
    assert snapshot is not None
    assert snapshot.objects == 2
    assert list(read_inputs(store, layout.snapshot)) == versions


def test_snapshot_of_more_than_a_page(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    versions = put_inputs(store, buckets.input, [f"{number:04d}.jpg" for number in range(1010)])
    snapshot = _take(store, layout, buckets.input)
    assert snapshot is not None
    assert snapshot.objects == 1010
    assert list(read_inputs(store, layout.snapshot)) == versions
    assert count_snapshot(store, layout) == snapshot


def test_counting_a_missing_snapshot_raises(store: Store, layout: RunLayout) -> None:
    with pytest.raises(ObjectNotFoundError):
        count_snapshot(store, layout)


def test_damaged_line_raises(store: Store, layout: RunLayout) -> None:
    store.write(layout.snapshot, f"{version().to_line()}\n{{".encode())
    with pytest.raises(ManifestError):
        count_snapshot(store, layout)


def test_missing_bucket_raises(store: Store, buckets: Buckets, layout: RunLayout) -> None:
    with pytest.raises(BucketNotFoundError, match="gs://nowhere-1"):
        _take(store, layout, "nowhere-1")
    put_inputs(store, buckets.input, ["a.jpg"])
    nowhere = RunLayout(GcsUri("nowhere-1"), layout.output, "r")
    with pytest.raises(BucketNotFoundError, match="gs://nowhere-1"):
        _take(store, nowhere, buckets.input)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3])])
def test_pages_have_the_given_size(count: int, sizes: list[int]) -> None:
    versions = [version(str(number)) for number in range(count)]
    found = list(pages(iter(versions), 3))
    assert [len(page) for page in found] == sizes
    assert [item for page in found for item in page] == versions
