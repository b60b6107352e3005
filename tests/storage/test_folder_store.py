"""A store of folders behaves like one of buckets, as far as `pull_model` and the engine need it."""

import base64
import hashlib
from pathlib import Path

import pytest

from cloudseg_ops.contracts.errors import BucketNotFoundError, ObjectNotFoundError, PreconditionFailedError
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.folder_store import FolderStore

A = GcsUri("one", "deep/a.txt")


@pytest.fixture
def folders(tmp_path: Path) -> Store:
    return FolderStore({"one": tmp_path / "one", "two": tmp_path / "two"})


def test_an_object_is_read_as_it_was_written(folders: Store) -> None:
    folders.write(A, b"x" * 10, metadata={"key": "value"})
    info = folders.stat(A)
    assert info
    assert (info.size, info.generation, info.metadata) == (10, 1, {"key": "value"})
    assert base64.b64decode(info.md5) == hashlib.md5(b"x" * 10).digest()
    data, crc32c = folders.read_input(A, generation=1, size=10, crc32c="")
    assert (data, crc32c) == (b"x" * 10, info.crc32c)
    assert folders.read_part(A, 2, 5) == b"xxx"
    assert folders.stat_many("one", [A.name, "b"]) == {A.name: info}


def test_lines_may_contain_what_other_readers_take_for_line_ends(folders: Store) -> None:
    folders.write_lines(A, ["one", "two\u2028three\x0b"])
    assert list(folders.read_lines(A)) == ["one", "two\u2028three\x0b"]


def test_preconditions(folders: Store, tmp_path: Path) -> None:
    folders.write(A, b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailedError, match="exists already"):
        folders.write(A, b"2", if_generation_match=0)
    folders.write(A, b"3", if_generation_match=1)
    other = GcsUri("two", "a.txt")
    with pytest.raises(PreconditionFailedError, match="does not exist"):
        folders.copy(A, 1, other, metadata={}, if_generation_match=1)
    folders.copy(A, 1, other, metadata={"from": "a"}, if_generation_match=0)
    with pytest.raises(PreconditionFailedError):
        folders.copy(A, 1, other, metadata={}, if_generation_match=0)
    assert (tmp_path / "two/a.txt").read_bytes() == b"3"
    copied = folders.stat(other)
    assert copied
    assert copied.metadata == {"from": "a"}


def test_what_is_missing_is_an_error(folders: Store) -> None:
    assert folders.stat(A) is None
    with pytest.raises(ObjectNotFoundError, match=r"gs://one/deep/a.txt"):
        folders.read(A)
    with pytest.raises(ObjectNotFoundError):
        folders.copy(A, 1, GcsUri("two", "a"), metadata={})
    with pytest.raises(BucketNotFoundError, match="the buckets of this store are one, two"):
        folders.read(GcsUri("three", "a"))
