"""Reads of parts of objects: exactly the requested bytes of exactly that generation."""

import gzip

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, ObjectNotFoundError, StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.storage.conftest import Counter

DATA = bytes(range(256)) * 4


@pytest.mark.parametrize(("start", "end"), [(0, 1), (0, 1024), (10, 20), (1000, 5000), (1023, 1024)])
def test_the_requested_bytes_up_to_the_end_are_returned(store: Store, uri: GcsUri, start: int, end: int) -> None:
    store.write(uri, DATA)
    assert store.read_part(uri, start, end) == DATA[start:end]


def test_no_bytes_are_returned_beyond_the_end(store: Store, uri: GcsUri) -> None:
    store.write(uri, DATA)
    assert store.read_part(uri, 1024, 2000) == b""
    assert store.read_part(uri, 10**12, 10**12 + 1) == b""


def test_exactly_that_generation_is_read(store: Store, uri: GcsUri) -> None:
    old = store.write(uri, b"old").generation
    assert store.read_part(uri, 0, 3, generation=old) == b"old"
    store.write(uri, b"new")
    with pytest.raises(ObjectNotFoundError, match=f"#{old}"):
        store.read_part(uri, 0, 3, generation=old)


def test_a_missing_object_raises(store: Store, uri: GcsUri) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.read_part(uri, 0, 9)
    with pytest.raises(BucketNotFoundError):
        store.read_part(GcsUri("nowhere-1", "a"), 0, 9)


@pytest.mark.parametrize("action", ["status", "cut_before", "cut_within"])
def test_a_part_recovers_from_a_fault(store: Store, uri: GcsUri, emulator: Emulator, action: str) -> None:
    store.write(uri, DATA)
    emulator.faults.add(Fault(action=action, path="alt=media"))  # type: ignore[arg-type]
    calls = Counter(emulator)
    assert store.read_part(uri, 100, 900) == DATA[100:900]
    assert calls["objects.download"] >= 1


def test_a_compressed_object_cannot_be_read_in_parts(store: Store, uri: GcsUri) -> None:
    blob = store._client.bucket(uri.bucket).blob(uri.name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(bytes(100_000)))
    with pytest.raises(StorageError, match="cannot be read in parts"):
        store.read_part(uri, 0, 50)
