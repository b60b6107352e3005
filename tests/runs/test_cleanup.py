"""Clean-up against the emulator: which inputs it deletes, and which it must keep."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import AfterSuccess
from cloudseg_ops.contracts.provenance import Source, mask_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.runs.conftest import generation_of
from tests.support.samples import (
    OTHER_DIGEST,
    names_in,
    put_copy,
    put_input,
    put_mask,
    source_of,
)


def test_proven_inputs_are_deleted_and_others_are_left(
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


def test_keep_deletes_nothing_and_counts_the_kept_inputs(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    versions = [masked("a.jpg"), put_input(store, buckets.input, "b.jpg")]
    assert clean(versions, "keep") == {"kept": 1, "left": 1}
    assert names_in(store, buckets.input) == ["a.jpg", "b.jpg"]


def test_archive_moves_masked_inputs_with_their_source(
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
def test_repeated_cleanup_changes_nothing(
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


def test_cleanup_of_no_inputs_does_nothing(clean: Callable[..., Any]) -> None:
    assert clean([]) == {}


def _bare(store: Store, bucket: str, name: str) -> None:
    store.write(GcsUri(bucket, name), b"photograph")


def _archived(store: Store, output: str, source: Source) -> None:
    store.write(GcsUri(output, f"archive/{source.name}"), b"photograph", metadata=source.to_metadata())


INVALID_PROOFS: dict[str, Callable[[Store, str, Source], None]] = {
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


@pytest.mark.parametrize("put", INVALID_PROOFS.values(), ids=INVALID_PROOFS)
@pytest.mark.parametrize("after_success", ["delete", "archive"])
def test_inputs_with_an_invalid_proof_are_left(
    store: Store,
    buckets: Buckets,
    clean: Callable[..., Any],
    put: Callable[[Store, str, Source], None],
    after_success: AfterSuccess,
) -> None:
    version = put_input(store, buckets.input, "a.jpg")
    put(store, buckets.output, source_of(version, buckets.input))
    assert clean([version], after_success) == {"left": 1}
    assert generation_of(store, buckets.input, "a.jpg") == version.generation


def test_newer_uploads_are_kept_even_with_equal_bytes(
    store: Store, buckets: Buckets, clean: Callable[..., Any], masked: Callable[[str], InputObject]
) -> None:
    versions = [masked("a.jpg"), masked("b.jpg")]
    newer = put_input(store, buckets.input, "a.jpg", b"newer")
    same = put_input(store, buckets.input, "b.jpg", b"photograph b.jpg")
    assert clean(versions) == {"changed": 2}
    assert generation_of(store, buckets.input, "a.jpg") == newer.generation
    assert generation_of(store, buckets.input, "b.jpg") == same.generation
