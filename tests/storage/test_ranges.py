"""Large reads in ranges at once: the same bytes, whatever befalls one of the ranges."""

import gzip
import random
import threading
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ObjectNotFoundError, StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import ObjectInfo, Store
from cloudseg_ops.storage._connection import RANGES_AT_ONCE
from cloudseg_ops.storage._reads import RANGE_BYTES, RANGED_BYTES
from gcs_emulator import Emulator, Fault
from tests.storage.conftest import MIB, Counter
from tests.storage.serving import served, without_answer_header, without_request_header

DATA = random.Random(7).randbytes(20 * MIB + 3)
RANGES = -(-len(DATA) // RANGE_BYTES)


@pytest.fixture
def large(store: Store, uri: GcsUri) -> ObjectInfo:
    return store.write(uri, DATA)


def read(store: Store, info: ObjectInfo) -> bytes:
    return store.read(GcsUri(info.bucket, info.name), generation=info.generation, size=info.size)


def corrupt(emulator: Emulator, position: int) -> None:
    """Turn a bit of the only object of about that size, where it lies."""
    payloads: Any = emulator._service.store.payloads
    (payload,) = [key for key, data in payloads._bytes.items() if len(data) > position]
    data = bytearray(payloads._bytes[payload])
    data[position] ^= 1
    payloads._bytes[payload] = bytes(data)


def test_a_large_object_comes_in_ranges(store: Store, large: ObjectInfo, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert read(store, large) == DATA
    assert calls["objects.download"] == RANGES > 2
    assert calls["objects.get"] == 0


@pytest.mark.parametrize("size", [RANGED_BYTES - 1, RANGED_BYTES, RANGED_BYTES + 1])
def test_what_is_smaller_comes_in_one_request(store: Store, uri: GcsUri, emulator: Emulator, size: int) -> None:
    info = store.write(uri, DATA[:size])
    calls = Counter(emulator)
    assert read(store, info) == DATA[:size]
    assert (calls["objects.download"] > 1) == (size >= RANGED_BYTES)


@pytest.mark.parametrize("skip", [0, RANGES - 1], ids=["first", "last"])
@pytest.mark.parametrize("action", ["status", "cut_before", "cut_within", "cut_after"])
def test_a_range_gets_over_a_fault(store: Store, large: ObjectInfo, emulator: Emulator, action: Any, skip: int) -> None:
    emulator.faults.add(Fault(action=action, path="alt=media", skip=skip))
    calls = Counter(emulator)
    assert read(store, large) == DATA
    assert calls["objects.download"] == RANGES + (action in {"cut_within", "cut_after"})


def test_a_range_that_is_refused_is_told(store: Store, large: ObjectInfo, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=400, path="alt=media", skip=2))
    with pytest.raises(StorageError, match=r"read gs://.*BadRequest"):
        read(store, large)
    assert read(store, large) == DATA


def test_exactly_that_generation_is_read_in_ranges(store: Store, uri: GcsUri, large: ObjectInfo) -> None:
    store.write(uri, b"newer")
    with pytest.raises(ObjectNotFoundError, match=f"#{large.generation}: it is not there"):
        read(store, large)


@pytest.mark.parametrize("told", [-1, 1, MIB])
def test_a_wrong_size_does_no_harm(store: Store, uri: GcsUri, large: ObjectInfo, told: int) -> None:
    assert store.read(uri, generation=large.generation, size=large.size + told) == DATA


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["whole", "in ranges"])
def test_damaged_bytes_are_not_handed_out(size: int) -> None:
    with served(lambda app: app) as emulator:
        store, uri = Store(emulator.client()), GcsUri("bucket", "a")
        info = store.write(uri, DATA[:size])
        corrupt(emulator, size - 7)
        with pytest.raises(StorageError, match=f"{size} bytes have the CRC32C .*, not {info.crc32c[:4]}"):
            read(store, info)


def test_a_server_that_gives_no_ranges_is_read_whole() -> None:
    with served(without_request_header("range")) as emulator:
        store, uri = Store(emulator.client()), GcsUri("bucket", "a")
        assert read(store, store.write(uri, DATA)) == DATA


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["whole", "in ranges"])
def test_a_checksum_that_is_not_told_is_asked_for(size: int) -> None:
    with served(without_answer_header("x-goog-hash")) as emulator:
        store, uri = Store(emulator.client()), GcsUri("bucket", "a")
        info = store.write(uri, DATA[:size])
        calls = Counter(emulator)
        assert read(store, info) == DATA[:size]
        assert calls["objects.get"] == 1
        assert store.read(uri, generation=info.generation, size=size, crc32c=info.crc32c) == DATA[:size]
        assert calls["objects.get"] == 1
        corrupt(emulator, size - 7)
        for known in (None, info.crc32c):
            with pytest.raises(StorageError, match="CRC32C"):
                store.read(uri, generation=info.generation, size=size, crc32c=known)


@pytest.fixture
def packed(store: Store, uri: GcsUri, emulator: Emulator) -> ObjectInfo:
    blob = emulator.client().bucket(uri.bucket).blob(uri.name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(gzip.compress(DATA, compresslevel=0))
    info = store.stat(uri)
    assert info is not None
    assert info.size > RANGED_BYTES
    return info


def test_what_is_stored_compressed_is_unpacked(store: Store, uri: GcsUri, packed: ObjectInfo) -> None:
    assert read(store, packed) == DATA
    assert store.read(uri) == DATA


def test_what_is_not_compressed_as_it_says_is_told(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    blob = emulator.client().bucket(uri.bucket).blob(uri.name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(b"no gzip")
    with pytest.raises(StorageError, match="Content-Encoding is gzip, and its bytes are not"):
        store.read(uri)


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_a_read_in_one_request_goes_on_after_a_cut(store: Store, uri: GcsUri, emulator: Emulator, size: int) -> None:
    store.write(uri, DATA[:size])
    emulator.faults.add(Fault(action="cut_within", path="alt=media", times=2))
    calls = Counter(emulator)
    assert store.read(uri) == DATA[:size]
    assert calls["objects.download"] == 3


def test_a_read_that_goes_on_does_not_mix_versions(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write(uri, b"old" * 1000)
    emulator.faults.add(Fault(action="cut_within", path="alt=media"))
    emulator.faults.add(Fault(path="alt=media&generation"))  # what comes after the cut waits a while
    writer = threading.Timer(0.3, lambda: store.write(uri, b"new" * 1000))
    writer.start()
    try:
        assert store.read(uri) == b"old" * 1000
    except ObjectNotFoundError:
        pass  # the newer one came first: that version is told as gone
    finally:
        writer.join()


def test_more_readers_than_ranges_at_once_all_come_through(store: Store, large: ObjectInfo) -> None:
    found: list[bool] = []
    readers = [
        threading.Thread(target=lambda: found.append(read(store, large) == DATA)) for _ in range(RANGES_AT_ONCE + 4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [True] * len(readers)
