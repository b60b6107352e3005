"""Clean-up during concurrent writes, storage failures, and with more than a page of inputs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, PermissionDeniedError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.runs.cleanup import clean_inputs
from cloudseg_ops.storage import DeleteResult, Store
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.runs.conftest import generation_of
from tests.support.samples import (
    DIGEST,
    names_in,
    put_input,
    put_inputs,
    put_mask,
    put_masks,
    put_snapshot,
    source_of,
)


class RacedStore(Store):
    """A store in whose bucket another user uploads or deletes right before a call."""

    def __init__(self, real: Store, before_delete: Callable[[], object], before_copy: Callable[[], object]) -> None:
        super().__init__(real._client)
        self._before_delete = before_delete
        self._before_copy = before_copy

    def try_delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[DeleteResult]:
        listed = list(versions)
        self._before_delete()
        return super().try_delete_many(bucket, listed)

    def copy(
        self,
        source: GcsUri,
        generation: int,
        target: GcsUri,
        *,
        metadata: Mapping[str, str],
        if_generation_match: int | None = None,
    ) -> None:
        self._before_copy()
        super().copy(source, generation, target, metadata=metadata, if_generation_match=if_generation_match)


def _nothing() -> None:
    return None


@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_upload_between_listing_and_delete_is_kept(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    masked: Callable[[str], InputObject],
    after_success: AfterSuccess,
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    newer: list[InputObject] = []
    raced = RacedStore(store, lambda: newer.append(put_input(store, buckets.input, "a.jpg", b"newer")), _nothing)
    fate = "deleted" if after_success == "delete" else "archived"
    assert clean(versions, after_success, by=raced) == {fate: 1, "changed": 1}
    assert names_in(store, buckets.input) == ["a.jpg"]
    assert generation_of(store, buckets.input, "a.jpg") == newer[0].generation


def test_upload_between_listing_and_archiving_is_kept(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    version = masked("a.jpg")
    uploads = iter([True])
    raced = RacedStore(
        store, _nothing, lambda: next(uploads, False) and put_input(store, buckets.input, "a.jpg", b"newer")
    )
    assert clean([version], "archive", by=raced) == {"changed": 1}
    assert store.read(GcsUri(buckets.input, "a.jpg")) == b"newer"
    assert names_in(store, buckets.output, "archive/") == []


@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_concurrent_delete_of_one_input_does_not_affect_others(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    masked: Callable[[str], InputObject],
    after_success: AfterSuccess,
) -> None:
    first, second = masked("a.jpg"), masked("b.jpg")

    def other_user() -> None:
        store.delete_many(buckets.input, [("a.jpg", first.generation)])

    before_copy = other_user if after_success == "archive" else _nothing
    before_delete = other_user if after_success == "delete" else _nothing
    counts = clean([first, second], after_success, by=RacedStore(store, before_delete, before_copy))
    assert sum(counts.values()) == 2
    assert names_in(store, buckets.input) == []


def test_deletes_are_sent_in_batches_of_a_hundred(
    store: Store, buckets: Buckets, clean: Callable[..., Any], emulator: Emulator
) -> None:
    versions = put_inputs(store, buckets.input, [f"{number:03d}.jpg" for number in range(250)])
    put_masks(store, buckets.output, [source_of(version, buckets.input) for version in versions])
    before = emulator.calls()
    assert clean(iter(versions)) == {"deleted": 250}
    spent = {call: count - before.get(call, 0) for call, count in emulator.calls().items()}
    assert spent["batch"] == 3
    assert spent["objects.delete"] == 250
    assert spent["objects.get"] == 0
    assert spent["objects.list"] <= 6
    assert names_in(store, buckets.input) == []


def test_cleanup_of_more_than_a_page(store: Store, buckets: Buckets, clean: Callable[..., Any]) -> None:
    versions = put_inputs(store, buckets.input, [f"{number:04d}.jpg" for number in range(1005)])
    proven = [version for version in versions if int(version.name[:4]) % 200 in (0, 199)]
    put_masks(store, buckets.output, [source_of(version, buckets.input) for version in proven])
    assert clean(iter(versions)) == {"deleted": len(proven), "left": 1005 - len(proven)}
    assert set(names_in(store, buckets.input)) == {version.name for version in versions} - {
        version.name for version in proven
    }


def test_throttled_deletes_in_a_batch_are_retried(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject], emulator: Emulator
) -> None:
    versions = [masked(f"{number}.jpg") for number in range(5)]
    emulator.faults.add(Fault(status=429, method="DELETE", times=7))
    assert clean(versions) == {"deleted": 5}
    assert names_in(store, buckets.input) == []


def test_delete_whose_response_was_lost_counts_as_deleted(
    buckets: Buckets, store: Store, clean: Callable[..., Any], masked: Callable[[str], InputObject], emulator: Emulator
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/batch"))
    assert clean(versions) == {"deleted": 2}
    assert names_in(store, buckets.input) == []


def test_failed_archiving_loses_nothing_and_can_be_repeated(
    store: Store, buckets: Buckets, clean: Callable[..., Any], emulator: Emulator
) -> None:
    layout = buckets.layout("r")
    versions = put_inputs(store, buckets.input, [f"{number}.jpg" for number in range(5)])
    put_masks(store, buckets.output, [source_of(version, buckets.input) for version in versions])
    put_snapshot(store, layout, versions)
    emulator.faults.add(Fault(status=403, method="POST", path="/batch"))
    with pytest.raises(PermissionDeniedError):
        clean(versions, "archive")
    assert names_in(store, buckets.input) == [version.name for version in versions]
    assert audit_run(store, layout, buckets.input).holds
    assert clean(versions, "archive") == {"archived": 5}
    assert len(names_in(store, buckets.output, "archive/")) == 5


def test_missing_output_bucket_deletes_nothing(
    store: Store, buckets: Buckets, masked: Callable[[str], InputObject]
) -> None:
    version = masked("a.jpg")
    with pytest.raises(BucketNotFoundError):
        clean_inputs(
            store,
            [version],
            input_bucket=buckets.input,
            output_bucket="nowhere-1",
            model_digest=DIGEST,
            after_success="delete",
        )
    assert generation_of(store, buckets.input, "a.jpg") == version.generation


def test_archiving_works_if_bucket_names_contain_bucket(store: Store) -> None:
    """Common bucket names contain the word, and a deleted object is not a missing bucket."""
    names = ("our-bucket-in", "our-bucket-out")
    for name in names:
        store.create_bucket(name)
    version = put_input(store, names[0], "a.jpg")
    put_mask(store, names[1], source_of(version, names[0]))
    uploads = iter([True])
    raced = RacedStore(store, _nothing, lambda: next(uploads, False) and put_input(store, names[0], "a.jpg", b"newer"))
    counts = clean_inputs(
        raced,
        [version],
        input_bucket=names[0],
        output_bucket=names[1],
        model_digest=DIGEST,
        after_success="archive",
    ).counts
    assert counts["changed"] == 1
