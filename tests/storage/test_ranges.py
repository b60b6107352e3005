"""Large reads in concurrent ranges return the same bytes, whatever happens to one of the ranges."""

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
from tests.storage.serving import served, without_request_header, without_response_header

DATA = random.Random(7).randbytes(20 * MIB + 3)
RANGES = -(-len(DATA) // RANGE_BYTES)


@pytest.fixture
def large(store: Store, uri: GcsUri) -> ObjectInfo:
    return store.write(uri, DATA)


def read(store: Store, info: ObjectInfo) -> bytes:
    return store.read(GcsUri(info.bucket, info.name), generation=info.generation, size=info.size)


def corrupt(emulator: Emulator, position: int) -> None:
    """Flip a bit of the stored bytes of the only object of about that size."""
    payloads: Any = emulator._service.store.payloads
    (payload,) = [key for key, data in payloads._bytes.items() if len(data) > position]
    data = bytearray(payloads._bytes[payload])
    data[position] ^= 1
    payloads._bytes[payload] = bytes(data)


def test_a_large_object_is_read_in_ranges(store: Store, large: ObjectInfo, emulator: Emulator) -> None:
    calls = Counter(emulator)
    assert read(store, large) == DATA
    assert calls["objects.download"] == RANGES > 2
    assert calls["objects.get"] == 0


@pytest.mark.parametrize("size", [RANGED_BYTES - 1, RANGED_BYTES, RANGED_BYTES + 1])
def test_a_smaller_object_is_read_in_one_request(store: Store, uri: GcsUri, emulator: Emulator, size: int) -> None:
    info = store.write(uri, DATA[:size])
    calls = Counter(emulator)
    assert read(store, info) == DATA[:size]
    assert (calls["objects.download"] > 1) == (size >= RANGED_BYTES)


@pytest.mark.parametrize("skip", [0, RANGES - 1], ids=["first", "last"])
@pytest.mark.parametrize("action", ["status", "cut_before", "cut_within", "cut_after"])
def test_a_range_recovers_from_a_fault(
    store: Store, large: ObjectInfo, emulator: Emulator, action: Any, skip: int
) -> None:
    emulator.faults.add(Fault(action=action, path="alt=media", skip=skip))
    calls = Counter(emulator)
    assert read(store, large) == DATA
    assert calls["objects.download"] == RANGES + (action in {"cut_within", "cut_after"})


def test_a_refused_range_raises(store: Store, large: ObjectInfo, emulator: Emulator) -> None:
    emulator.faults.add(Fault(status=400, path="alt=media", skip=2))
    with pytest.raises(StorageError, match=r"read gs://.*BadRequest"):
        read(store, large)
    assert read(store, large) == DATA


def test_exactly_that_generation_is_read_in_ranges(store: Store, uri: GcsUri, large: ObjectInfo) -> None:
    store.write(uri, b"newer")
    with pytest.raises(ObjectNotFoundError, match=f"#{large.generation}: there is no such object"):
        read(store, large)


@pytest.mark.parametrize("difference", [-1, 1, MIB])
def test_a_wrong_size_is_harmless(store: Store, uri: GcsUri, large: ObjectInfo, difference: int) -> None:
    assert store.read(uri, generation=large.generation, size=large.size + difference) == DATA


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["whole", "in ranges"])
def test_corrupted_bytes_are_not_returned(size: int) -> None:
    with served(lambda app: app) as emulator:
        store, uri = Store(emulator.client()), GcsUri("bucket", "a")
        info = store.write(uri, DATA[:size])
        corrupt(emulator, size - 7)
        with pytest.raises(StorageError, match=f"{size} bytes have the CRC32C .*, not {info.crc32c[:4]}"):
            read(store, info)


def test_without_support_for_ranges_an_object_is_read_whole() -> None:
    with served(without_request_header("range")) as emulator:
        store, uri = Store(emulator.client()), GcsUri("bucket", "a")
        assert read(store, store.write(uri, DATA)) == DATA


@pytest.mark.parametrize("size", [1000, len(DATA)], ids=["whole", "in ranges"])
def test_a_missing_checksum_is_requested(size: int) -> None:
    with served(without_response_header("x-goog-hash")) as emulator:
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


def test_a_compressed_object_is_decompressed(store: Store, uri: GcsUri, packed: ObjectInfo) -> None:
    assert read(store, packed) == DATA
    assert store.read(uri) == DATA


def test_a_wrong_content_encoding_raises(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    blob = emulator.client().bucket(uri.bucket).blob(uri.name)
    blob.content_encoding = "gzip"
    blob.upload_from_string(b"no gzip")
    with pytest.raises(StorageError, match="Content-Encoding is gzip, but its bytes are not"):
        store.read(uri)


@pytest.mark.parametrize("size", [1000, 20 * MIB])
def test_a_read_in_one_request_resumes_after_a_broken_connection(
    store: Store, uri: GcsUri, emulator: Emulator, size: int
) -> None:
    store.write(uri, DATA[:size])
    emulator.faults.add(Fault(action="cut_within", path="alt=media", times=2))
    calls = Counter(emulator)
    assert store.read(uri) == DATA[:size]
    assert calls["objects.download"] == 3


def test_a_resumed_read_does_not_mix_versions(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write(uri, b"old" * 1000)
    emulator.faults.add(Fault(action="cut_within", path="alt=media"))
    emulator.faults.add(Fault(path="alt=media&generation"))  # delays the retry after the broken connection
    writer = threading.Timer(0.3, lambda: store.write(uri, b"new" * 1000))
    writer.start()
    try:
        assert store.read(uri) == b"old" * 1000
    except ObjectNotFoundError:
        pass  # the newer version came first: the pinned one no longer exists
    finally:
        writer.join()


def test_more_readers_than_range_threads_all_finish(store: Store, large: ObjectInfo) -> None:
    found: list[bool] = []
    readers = [
        threading.Thread(target=lambda: found.append(read(store, large) == DATA)) for _ in range(RANGES_AT_ONCE + 4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [True] * len(readers)
