"""Payloads in a directory: the same in the database and in a file."""

import os
from pathlib import Path

import pytest

from gcs_emulator.payloads import SMALL_BYTES, Payloads
from gcs_emulator.store import Store


def written(store: Store, *pieces: bytes) -> str:
    writer = store.writer()
    for piece in pieces:
        writer.write(piece)
    return writer.finish().payload


def content(payloads: Payloads, payload: str) -> bytes:
    with payloads.open(payload) as stream:
        return stream.read()


def files(directory: Path) -> int:
    return sum(path.is_file() for path in (directory / "payloads").rglob("*"))


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, 3 * SMALL_BYTES])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_payload_round_trip_and_independent_copy(tmp_path: Path, size: int, pieces: int) -> None:
    data = os.urandom(size)
    store = Store(tmp_path)
    payload = written(store, *(data[size * n // pieces : size * (n + 1) // pieces] for n in range(pieces)))
    assert content(store.payloads, payload) == data
    assert files(tmp_path) == (size > SMALL_BYTES)
    twin = store.payloads.copy(payload)
    with store.payloads.open(payload) as open_before:
        store.payloads.remove(payload)
        assert open_before.read() == data
    assert content(store.payloads, twin) == data
    with pytest.raises(FileNotFoundError):
        store.payloads.open(payload)
    store.payloads.remove(twin)
    assert files(tmp_path) == 0
    store.close()


@pytest.mark.parametrize("size", [10, SMALL_BYTES + 1])
def test_discarded_payload_leaves_nothing(tmp_path: Path, size: int) -> None:
    store = Store(tmp_path)
    writer = store.writer()
    writer.write(bytes(size))
    writer.discard()
    assert files(tmp_path) == 0
    store.close()


def test_unreferenced_payloads_are_removed_on_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = [written(store, bytes(size)) for size in (5, SMALL_BYTES + 5)]
    lost = [written(store, bytes(size)) for size in (6, SMALL_BYTES + 6)]
    store.payloads.sweep(kept)
    assert [len(content(store.payloads, payload)) for payload in kept] == [5, SMALL_BYTES + 5]
    for payload in lost:
        with pytest.raises(FileNotFoundError):
            store.payloads.open(payload)
    store.close()
    again = Store(tmp_path)  # no object refers to a payload
    for payload in kept:
        with pytest.raises(FileNotFoundError):
            again.payloads.open(payload)
    assert files(tmp_path) == 0
    again.close()
