"""Clean-up against the emulator: what it deletes, and what it must leave whatever happens meanwhile."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, PermissionDeniedError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.provenance import Source, mask_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.runs.cleanup import AfterSuccess, Cleaned, clean_inputs
from cloudseg_ops.storage import Deletion, Store
from gcs_emulator import Emulator, Fault
from tests.conftest import Buckets
from tests.support.samples import (
    DIGEST,
    OTHER_DIGEST,
    names_in,
    put_copy,
    put_input,
    put_inputs,
    put_mask,
    put_masks,
    put_snapshot,
    source_of,
)


@pytest.fixture(autouse=True)
def _no_faults_left(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.faults.clear()


@pytest.fixture
def clean(store: Store, buckets: Buckets) -> Callable[..., dict[str, int]]:
    def call(
        inputs: Iterable[InputObject], after_success: AfterSuccess = "delete", *, by: Store = store
    ) -> dict[str, int]:
        counts = clean_inputs(
            by,
            inputs,
            input_bucket=buckets.input,
            output_bucket=buckets.output,
            model_digest=DIGEST,
            after_success=after_success,
        )
        assert set(counts) == {fate.value for fate in Cleaned}
        return {fate: count for fate, count in counts.items() if count}

    return call


@pytest.fixture
def masked(store: Store, buckets: Buckets) -> Callable[[str], InputObject]:
    def put(name: str) -> InputObject:
        version = put_input(store, buckets.input, name, f"photograph {name}".encode())
        put_mask(store, buckets.output, source_of(version, buckets.input))
        return version

    return put


def _generation(store: Store, bucket: str, name: str) -> int | None:
    found = store.stat(GcsUri(bucket, name))
    return found.generation if found else None


def test_what_is_proven_is_deleted_and_the_rest_is_left(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    done, unproven = masked("a/done.jpg"), put_input(store, buckets.input, "b.jpg")
    bad = put_input(store, buckets.input, "bad.jpg", b"no photograph")
    put_copy(store, buckets.output, source_of(bad, buckets.input), b"no photograph")
    not_of_this_run = masked("z.jpg")
    before = names_in(store, buckets.output)
    assert clean([done, unproven, bad]) == {"deleted": 2, "left": 1}
    assert names_in(store, buckets.input) == ["b.jpg", not_of_this_run.name]
    assert names_in(store, buckets.output) == before


def test_keep_deletes_nothing_and_says_what_it_kept(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    versions = [masked("a.jpg"), put_input(store, buckets.input, "b.jpg")]
    assert clean(versions, "keep") == {"kept": 1, "left": 1}
    assert names_in(store, buckets.input) == ["a.jpg", "b.jpg"]


def test_archive_moves_what_is_masked_with_its_source(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    done, unproven = masked("a/Größe 1#2.jpg"), put_input(store, buckets.input, "b.jpg")
    bad = put_input(store, buckets.input, "bad.jpg", b"no photograph")
    put_copy(store, buckets.output, source_of(bad, buckets.input), b"no photograph")
    assert clean([done, unproven, bad], "archive") == {"archived": 1, "deleted": 1, "left": 1}
    assert names_in(store, buckets.input) == ["b.jpg"]
    assert names_in(store, buckets.output, "archive/") == ["archive/a/Größe 1#2.jpg"]
    copy = store.stat(GcsUri(buckets.output, "archive/a/Größe 1#2.jpg"))
    assert copy is not None
    assert (copy.size, copy.crc32c) == (done.size, done.crc32c)
    assert Source.from_metadata(copy.metadata) == source_of(done, buckets.input)


@pytest.mark.parametrize("after_success", ["delete", "archive", "keep"])
def test_repeated_it_changes_nothing_more(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    masked: Callable[[str], InputObject],
    after_success: AfterSuccess,
) -> None:
    versions = [masked("a.jpg"), put_input(store, buckets.input, "b.jpg"), masked("c.jpg")]
    clean(versions, after_success)
    state = [(info.name, info.generation) for bucket in (buckets.input, buckets.output)
             for info in store.list_objects(GcsUri(bucket))]  # fmt: skip
    again = clean(versions, after_success)
    assert again == ({"kept": 2, "left": 1} if after_success == "keep" else {"gone": 2, "left": 1})
    assert state == [(info.name, info.generation) for bucket in (buckets.input, buckets.output)
                     for info in store.list_objects(GcsUri(bucket))]  # fmt: skip


def test_nothing_to_clean(clean: Callable[..., Any]) -> None:
    assert clean([]) == {}


def _bare(store: Store, bucket: str, name: str) -> None:
    store.write(GcsUri(bucket, name), b"photograph")


def _archived(store: Store, output: str, source: Source) -> None:
    store.write(GcsUri(output, f"archive/{source.name}"), b"photograph", metadata=source.to_metadata())


NO_PROOF: dict[str, Callable[[Store, str, Source], None]] = {
    "another model's mask": lambda store, output, source: put_mask(store, output, source, digest=OTHER_DIGEST),
    "an older version's mask": lambda store, output, source: put_mask(
        store, output, replace(source, generation=source.generation - 1)
    ),
    "a newer version's mask": lambda store, output, source: put_mask(
        store, output, replace(source, generation=source.generation + 1)
    ),
    "another bucket's mask": lambda store, output, source: put_mask(store, output, replace(source, bucket="elsewhere")),
    "a mask of other bytes": lambda store, output, source: put_mask(store, output, replace(source, crc32c="AAAAAA==")),
    "an empty mask": lambda store, output, source: put_mask(store, output, source, data=b""),
    "an object that is not a mask": lambda store, output, source: _bare(store, output, mask_name(source.name)),
    "half a quarantined copy": lambda store, output, source: put_copy(store, output, source, b"half"),
    "an older version's copy": lambda store, output, source: put_copy(
        store, output, replace(source, generation=source.generation - 1)
    ),
    "a file at the quarantined copy's name": lambda store, output, source: _bare(
        store, output, f"quarantine/{source.name}"
    ),
    "an archived copy": _archived,
}


@pytest.mark.parametrize("put", NO_PROOF.values(), ids=NO_PROOF)
@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_what_looks_like_a_proof_deletes_nothing(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    put: Callable[[Store, str, Source], None],
    after_success: AfterSuccess,
) -> None:
    version = put_input(store, buckets.input, "a.jpg")
    put(store, buckets.output, source_of(version, buckets.input))
    assert clean([version], after_success) == {"left": 1}
    assert _generation(store, buckets.input, "a.jpg") == version.generation


def test_a_newer_upload_stays_and_so_does_one_with_the_same_bytes(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    newer = put_input(store, buckets.input, "a.jpg", b"newer")
    same = put_input(store, buckets.input, "b.jpg", b"photograph b.jpg")
    assert clean(versions) == {"changed": 2}
    assert _generation(store, buckets.input, "a.jpg") == newer.generation
    assert _generation(store, buckets.input, "b.jpg") == same.generation


class Intruded(Store):
    """A store in whose bucket another user uploads or deletes right before a call."""

    def __init__(self, real: Store, before_delete: Callable[[], object], before_copy: Callable[[], object]) -> None:
        super().__init__(real._client)
        self._before_delete = before_delete
        self._before_copy = before_copy

    def delete_many(self, bucket: str, versions: Iterable[tuple[str, int]]) -> list[Deletion]:
        listed = list(versions)
        self._before_delete()
        return super().delete_many(bucket, listed)

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
def test_an_upload_between_the_look_and_the_delete_stays(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    masked: Callable[[str], InputObject],
    after_success: AfterSuccess,
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    newer: list[InputObject] = []
    intruded = Intruded(store, lambda: newer.append(put_input(store, buckets.input, "a.jpg", b"newer")), _nothing)
    fate = "deleted" if after_success == "delete" else "archived"
    assert clean(versions, after_success, by=intruded) == {fate: 1, "changed": 1}
    assert names_in(store, buckets.input) == ["a.jpg"]
    assert _generation(store, buckets.input, "a.jpg") == newer[0].generation


def test_an_upload_between_the_look_and_the_copy_to_the_archive_stays_and_is_not_archived(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    version = masked("a.jpg")
    uploads = iter([True])
    intruded = Intruded(
        store, _nothing, lambda: next(uploads, False) and put_input(store, buckets.input, "a.jpg", b"newer")
    )
    assert clean([version], "archive", by=intruded) == {"changed": 1}
    assert store.read(GcsUri(buckets.input, "a.jpg")) == b"newer"
    assert names_in(store, buckets.output, "archive/") == []


@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_one_that_somebody_deletes_meanwhile_costs_the_others_nothing(
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
    counts = clean([first, second], after_success, by=Intruded(store, before_delete, before_copy))
    assert sum(counts.values()) == 2
    assert names_in(store, buckets.input) == []


def test_deletes_go_out_a_hundred_at_a_time(
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


def test_more_than_a_page(store: Store, buckets: Buckets, clean: Callable[..., Any]) -> None:
    versions = put_inputs(store, buckets.input, [f"{number:04d}.jpg" for number in range(1005)])
    proven = [version for version in versions if int(version.name[:4]) % 200 in (0, 199)]
    put_masks(store, buckets.output, [source_of(version, buckets.input) for version in proven])
    assert clean(iter(versions)) == {"deleted": len(proven), "left": 1005 - len(proven)}
    assert set(names_in(store, buckets.input)) == {version.name for version in versions} - {
        version.name for version in proven
    }


def test_deletes_that_are_put_off_inside_a_batch_are_done_in_the_end(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject], emulator: Emulator
) -> None:
    versions = [masked(f"{number}.jpg") for number in range(5)]
    emulator.faults.add(Fault(status=429, method="DELETE", times=7))
    assert clean(versions) == {"deleted": 5}
    assert names_in(store, buckets.input) == []


def test_a_delete_whose_answer_was_lost_counts_as_deleted(
    buckets: Buckets, store: Store, clean: Callable[..., Any], masked: Callable[[str], InputObject], emulator: Emulator
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    emulator.faults.add(Fault(action="cut_after", method="POST", path="/batch"))
    assert clean(versions) == {"deleted": 2}
    assert names_in(store, buckets.input) == []


@pytest.mark.parametrize("call", ["rewriteTo", "/batch"])
def test_an_archive_that_is_cut_short_loses_nothing_and_may_be_repeated(
    store: Store, buckets: Buckets, clean: Callable[..., Any], emulator: Emulator, call: str
) -> None:
    layout = buckets.layout("r")
    versions = put_inputs(store, buckets.input, [f"{number}.jpg" for number in range(5)])
    put_masks(store, buckets.output, [source_of(version, buckets.input) for version in versions])
    put_snapshot(store, layout, versions)
    emulator.faults.add(Fault(status=403, method="POST", path=call))
    with pytest.raises(PermissionDeniedError):
        clean(versions, "archive")
    assert names_in(store, buckets.input) == [version.name for version in versions]
    assert audit_run(store, layout, buckets.input).holds
    assert clean(versions, "archive") == {"archived": 5}
    assert len(names_in(store, buckets.output, "archive/")) == 5


def test_without_the_output_bucket_nothing_is_proven_and_nothing_is_deleted(
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
    assert _generation(store, buckets.input, "a.jpg") == version.generation


def test_an_archive_in_a_bucket_that_is_called_a_bucket(store: Store) -> None:
    """The commonest names hold the word, and an object that is gone meanwhile is not a missing bucket."""
    names = ("our-bucket-in", "our-bucket-out")
    for name in names:
        store.create_bucket(name)
    version = put_input(store, names[0], "a.jpg")
    put_mask(store, names[1], source_of(version, names[0]))
    uploads = iter([True])
    intruded = Intruded(store, _nothing, lambda: next(uploads, False) and put_input(store, names[0], "a.jpg", b"newer"))
    counts = clean_inputs(
        intruded,
        [version],
        input_bucket=names[0],
        output_bucket=names[1],
        model_digest=DIGEST,
        after_success="archive",
    )
    assert counts["changed"] == 1
