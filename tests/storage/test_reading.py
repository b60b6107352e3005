"""Reads of objects and lines."""

from pathlib import Path
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, ObjectNotFoundError, StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from tests.conftest import Buckets


def test_exactly_that_generation_is_read(store: Store, uri: GcsUri) -> None:
    old = store.write(uri, b"old").generation
    assert store.read(uri, generation=old) == b"old"
    new = store.write(uri, b"new").generation
    assert store.read(uri) == store.read(uri, generation=new) == b"new"
    with pytest.raises(ObjectNotFoundError, match=f"#{old}: there is no such object"):
        store.read(uri, generation=old)


def test_a_missing_object_cannot_be_read(store: Store, uri: GcsUri) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.read(uri)
    with pytest.raises(ObjectNotFoundError):
        list(store.read_lines(uri))


def test_missing_object_in_a_bucket_named_bucket_is_recognized(store: Store) -> None:
    # Many bucket names contain the word "bucket", and Cloud Storage's message contains the name.
    store.create_bucket("the-input-bucket")
    with pytest.raises(ObjectNotFoundError):
        store.read(GcsUri("the-input-bucket", "a.jpg"))
    with pytest.raises(ObjectNotFoundError):
        store.copy(GcsUri("the-input-bucket", "a.jpg"), 7, GcsUri("the-input-bucket", "b.jpg"), metadata={})


def test_a_missing_object_named_after_a_bucket_is_a_missing_object(store: Store, buckets: Buckets) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.read(GcsUri(buckets.input, "bucket.jpg"))


def test_every_call_reports_a_missing_bucket(store: Store, buckets: Buckets, tmp_path: Path) -> None:
    nowhere = GcsUri("nowhere-1", "a")
    there = store.write(GcsUri(buckets.input, "a"), b"x")
    (tmp_path / "x").write_bytes(b"x")
    calls: list[Any] = [
        lambda: store.read(nowhere),
        lambda: store.write(nowhere, b"x"),
        lambda: store.write(nowhere, b"x", if_generation_match=0),
        lambda: store.write_file(nowhere, tmp_path / "x"),
        lambda: store.write_lines(nowhere, ["x"]),
        lambda: store.copy(GcsUri(buckets.input, "a"), there.generation, nowhere, metadata={}),
    ]
    for call in calls:
        with pytest.raises(BucketNotFoundError, match="gs://nowhere-1"):
            call()
    with pytest.raises(StorageError, match="gs://nowhere-1"):
        list(store.read_lines(nowhere))
