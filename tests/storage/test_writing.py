"""Writes are atomic, and replace only the expected generation."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import ObjectNotFoundError, PreconditionFailedError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Deletion, Store
from gcs_emulator import Emulator
from tests.conftest import Buckets
from tests.storage.conftest import MIB, Counter


def test_write_with_a_failed_precondition_raises(store: Store, uri: GcsUri) -> None:
    first = store.write(uri, b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailedError, match="the object now has another generation"):
        store.write(uri, b"2", if_generation_match=0)
    second = store.write(uri, b"3", if_generation_match=first.generation)
    assert second.generation > first.generation
    with pytest.raises(PreconditionFailedError):
        store.write(uri, b"4", if_generation_match=first.generation)
    assert store.read(uri) == b"3"


def test_file_with_a_failed_precondition_raises(store: Store, uri: GcsUri, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"weights" * 100_000)
    first = store.write_file(uri, path, if_generation_match=0)
    assert first.size == 700_000
    with pytest.raises(PreconditionFailedError):
        store.write_file(uri, path, if_generation_match=0)
    assert store.read(uri) == path.read_bytes()


LINES = {
    "none": [],
    "one": ["{}"],
    "empty ones": ["", "", ""],
    "not ASCII": ["größe", "☁️" * 10, "a\u2028b\x85c\x0bd"],
    "longer than a chunk": ["a" * (MIB + 1), "é" * MIB, "end"],
    "one chunk exactly": ["x" * (MIB - 1)],
    "two chunks exactly": ["x" * (MIB - 1)] * 2,
    "one byte less": ["x" * (MIB - 2)],
    "one byte more": ["x" * MIB],
    "a character across the border": ["x" * (MIB - 1) + "é" + "y" * MIB + "☁" * 700_000],
    "many": [f"line {number}" for number in range(150_000)],
}


@pytest.mark.parametrize("lines", LINES.values(), ids=LINES)
def test_lines_are_read_as_they_were_written(store: Store, uri: GcsUri, lines: list[str]) -> None:
    store.write_lines(uri, iter(lines))
    assert list(store.read_lines(uri)) == lines
    assert store.read(uri) == "".join(line + "\n" for line in lines).encode()


def test_a_last_line_without_a_line_ending_counts(store: Store, uri: GcsUri) -> None:
    store.write(uri, b"a\nb")
    assert list(store.read_lines(uri)) == ["a", "b"]


def test_lines_are_streamed(store: Store, uri: GcsUri, emulator: Emulator) -> None:
    store.write_lines(uri, ("x" * 1023 for _ in range(5 * 1024)))
    calls = Counter(emulator)
    lines = store.read_lines(uri)
    next(lines)
    downloads = calls["objects.download"]
    assert len(list(lines)) == 5 * 1024 - 1
    assert downloads < calls["objects.download"], "all of it was downloaded for the first line"


def test_lines_that_are_replaced_while_they_are_read_are_not_mixed(store: Store, uri: GcsUri) -> None:
    store.write_lines(uri, ["old" * 100] * 10_000)
    lines = store.read_lines(uri)
    next(lines)
    store.write_lines(uri, ["new" * 100] * 10_000)
    with pytest.raises(ObjectNotFoundError):
        list(lines)


@pytest.mark.parametrize("size", [10, MIB // 2, 3 * MIB], ids=["small", "half a chunk", "three chunks"])
def test_lines_with_a_failed_precondition_raise(store: Store, uri: GcsUri, size: int) -> None:
    store.write_lines(uri, ["first"], if_generation_match=0)
    with pytest.raises(PreconditionFailedError):
        store.write_lines(uri, ["x" * 1000] * (size // 1000 + 1), if_generation_match=0)
    assert store.read(uri) == b"first\n"


def test_one_of_two_concurrent_writers_fails(store: Store, uri: GcsUri) -> None:
    def raced() -> Iterator[str]:
        yield "x" * 2 * MIB
        store.write(uri, b"the other one", if_generation_match=0)
        yield "y"

    with pytest.raises(PreconditionFailedError):
        store.write_lines(uri, raced(), if_generation_match=0)
    assert store.read(uri) == b"the other one"


@pytest.mark.parametrize("size", [0, 10, 3 * MIB])
def test_an_aborted_upload_of_lines_leaves_no_object(store: Store, uri: GcsUri, size: int) -> None:
    def broken() -> Iterator[str]:
        if size:
            yield "x" * size
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_lines(uri, broken())
    assert store.stat(uri) is None


def test_an_aborted_upload_of_lines_leaves_the_previous_object(store: Store, uri: GcsUri) -> None:
    store.write_lines(uri, ["whole"])

    def broken() -> Iterator[str]:
        yield "x" * 3 * MIB
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_lines(uri, broken())
    assert list(store.read_lines(uri)) == ["whole"]


def test_rejected_lines_are_not_written_later(store: Store, uri: GcsUri, no_collection: None) -> None:
    """The client's stream uploads again when it is garbage-collected unclosed, long after the caller got the error."""
    first = store.write(uri, b"first", if_generation_match=0)
    with pytest.raises(PreconditionFailedError) as raised:
        store.write_lines(uri, ["second"], if_generation_match=0)
    assert store.delete_many(uri.bucket, [(uri.name, first.generation)]) == [Deletion.DELETED]
    del raised
    gc.collect()
    assert store.stat(uri) is None


def test_aborted_lines_are_not_written_later(
    store: Store, uri: GcsUri, emulator: Emulator, no_collection: None
) -> None:
    def broken() -> Iterator[str]:
        yield "x" * MIB
        yield "y"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        store.write_lines(uri, broken())
    before = emulator.calls()
    del raised
    gc.collect()
    assert emulator.calls() == before
    assert store.stat(uri) is None


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 3 * MIB])
def test_lines_around_the_size_of_a_request_are_written(store: Store, uri: GcsUri, size: int) -> None:
    store.write_lines(uri, ["x" * (size - 1)])
    info = store.stat(uri)
    assert info is not None
    assert info.size == size
    assert list(store.read_lines(uri)) == ["x" * (size - 1)]


def test_a_copy_is_of_exactly_that_generation_with_new_metadata(store: Store, buckets: Buckets) -> None:
    source, target = GcsUri(buckets.input, "a.jpg"), GcsUri(buckets.output, "archive/a.jpg")
    old = store.write(source, b"photograph", content_type="image/jpeg", metadata={"owner": "someone"})
    store.copy(source, old.generation, target, metadata={"cloudseg-x": "y"})
    found = store.stat(target)
    assert found is not None
    assert (found.size, found.crc32c, found.metadata) == (old.size, old.crc32c, {"cloudseg-x": "y"})
    new = store.write(source, b"another")
    with pytest.raises(ObjectNotFoundError, match=f"copy gs://{buckets.input}/a.jpg#{old.generation} to gs://"):
        store.copy(source, old.generation, target, metadata={})
    assert store.read(target) == b"photograph"
    with pytest.raises(PreconditionFailedError):
        store.copy(source, new.generation, target, metadata={}, if_generation_match=0)
    assert store.read(target) == b"photograph"


def test_copy_of_a_deleted_object_raises(store: Store, buckets: Buckets) -> None:
    with pytest.raises(ObjectNotFoundError):
        store.copy(GcsUri(buckets.input, "gone"), 7, GcsUri(buckets.output, "x"), metadata={})
    assert store.stat(GcsUri(buckets.output, "x")) is None
