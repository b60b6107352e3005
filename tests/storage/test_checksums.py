"""Nothing corrupted is used: objects, lists and their pieces are read again, up to twice."""

import tracemalloc
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ManifestError, StorageError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, Fault
from tests.storage.conftest import MIB, Counter

pytestmark = pytest.mark.usefixtures("quick_retries")
LINES = [f"line {number:06d}" for number in range(200_000)]


@pytest.fixture
def long_list(store: Store, uri: GcsUri) -> GcsUri:
    store.write(uri, "".join(f"{line}\n" for line in LINES).encode())
    return uri


@pytest.mark.parametrize("size", [1000, 12 * MIB])
def test_corrupted_object_is_read_again(store: Store, uri: GcsUri, emulator: Emulator, size: int) -> None:
    info = store.write(uri, bytes(size))
    emulator.faults.add(Fault(action="flip", path="alt=media", times=2))
    assert store.read(uri, generation=info.generation, size=size, crc32c=info.crc32c) == bytes(size)


def test_object_that_stays_corrupted_raises(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write(uri, b"x" * 1000)
    emulator.faults.add(Fault(action="flip", path="alt=media", times=3))
    with pytest.raises(StorageError, match=r"CRC32C .* in each of 3 reads"):
        store.read(uri)


def test_part_that_is_the_whole_object_is_verified(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write(uri, b"x" * 1000)
    emulator.faults.add(Fault(action="flip", path="alt=media"))
    assert store.read_part(uri, 0, 2000) == b"x" * 1000


@pytest.mark.parametrize("skip", range(5), ids=["scan", "first piece", "second piece", "third piece", "none"])
def test_no_corrupted_line_is_returned(store: Store, long_list: GcsUri, emulator: Emulator, skip: int) -> None:
    """The list has three pieces, so the scan is the first download and the pieces are the next ones."""
    emulator.faults.add(Fault(action="flip", path="alt=media", skip=skip))
    assert list(store.read_lines(long_list)) == LINES
    emulator.faults.clear()


def test_small_list_is_read_in_one_request_and_again_if_corrupted(
    store: Store, uri: GcsUri, emulator: Emulator
) -> None:
    store.write_lines(uri, ["ü" * 100] * 100)
    calls = Counter(emulator)
    assert list(store.read_lines(uri)) == ["ü" * 100] * 100
    assert (calls["objects.download"], calls["objects.get"]) == (1, 0)
    emulator.faults.add(Fault(action="flip", path="alt=media", times=2))
    assert list(store.read_lines(uri)) == ["ü" * 100] * 100


@pytest.mark.parametrize("times", [3, 6])
def test_list_that_stays_corrupted_returns_no_line(
    store: Store, long_list: GcsUri, emulator: Emulator, times: int
) -> None:
    emulator.faults.add(Fault(action="flip", path="alt=media", times=times, skip=0))
    lines = store.read_lines(long_list)
    with pytest.raises(StorageError, match="in each of 3 reads"):
        next(lines)
    emulator.faults.clear()


def test_piece_that_stays_corrupted_ends_the_list_before_it(
    store: Store, long_list: GcsUri, emulator: Emulator
) -> None:
    emulator.faults.add(Fault(action="flip", path="alt=media", times=3, skip=2))
    found: list[str] = []
    with pytest.raises(StorageError, match="bytes 1048576 to 2097152"):
        found.extend(store.read_lines(long_list))
    assert found == LINES[: len(found)]


@pytest.mark.parametrize("action", ["cut_within", "cut_after", "status"])
@pytest.mark.parametrize("skip", [0, 1])
def test_list_is_resumed_after_a_broken_connection(
    store: Store, long_list: GcsUri, emulator: Emulator, action: Any, skip: int
) -> None:
    emulator.faults.add(Fault(action=action, path="alt=media", skip=skip))
    assert list(store.read_lines(long_list)) == LINES


def test_memory_does_not_grow_with_the_list(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write(uri, b"x" * 99 + b"\n" + (b"y" * 999 + b"\n") * 12_000)
    # The emulator runs in this process, and reads the object piece by piece, too.
    tracemalloc.start()
    try:
        assert sum(1 for _ in store.read_lines(uri)) == 12_001
        assert tracemalloc.get_traced_memory()[1] < 9 * MIB
    finally:
        tracemalloc.stop()


def test_list_that_is_not_text_raises(store: Store, uri: GcsUri) -> None:
    store.write(uri, b"good\n\xff\xfe\n")
    with pytest.raises(ManifestError, match="is not UTF-8 text"):
        list(store.read_lines(uri))


@pytest.mark.parametrize("read", ["list", "part"])
def test_content_encoding_that_the_object_does_not_have_is_read_again(
    store: Store, uri: GcsUri, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    store.write_lines(uri, ["one", "two"])
    send, lies = store._transport.send, iter([True, True])

    def send_with_a_lie(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        if next(lies, False):
            response.headers["Content-Encoding"] = "gzip"
        return response

    monkeypatch.setattr(store._transport, "send", send_with_a_lie)
    found = list(store.read_lines(uri)) if read == "list" else store.read_part(uri, 0, 3)
    assert found == (["one", "two"] if read == "list" else b"one")
    assert next(lies, None) is None


def test_content_encoding_without_the_stored_one_is_read_again(
    store: Store, uri: GcsUri, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only Cloud Storage's own header proves that the object claims the encoding, and not this response."""
    store.write(uri, b"a photograph")
    send, lies = store._transport.send, iter([True])

    def send_with_a_lie(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        del response.headers["X-Goog-Stored-Content-Encoding"]
        if next(lies, False):
            response.headers["Content-Encoding"] = "gzip"
        return response

    monkeypatch.setattr(store._transport, "send", send_with_a_lie)
    assert store.read(uri) == b"a photograph"
    assert next(lies, None) is None
