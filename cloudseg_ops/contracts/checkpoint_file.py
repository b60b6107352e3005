"""Reads files of tensors without PyTorch: names, shapes and places first, the values of single tensors on demand."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from cloudseg_ops.contracts.pickle_globals import Storage
from cloudseg_ops.contracts.safetensors_file import read_header
from cloudseg_ops.contracts.tensor_info import MAX_NUMBER, VALUE_BYTES, TensorInfo
from cloudseg_ops.contracts.torch_pickle import MAX_PICKLE_BYTES, read_pickle
from cloudseg_ops.contracts.weights_kind import LEGACY_CHECKPOINT, SAFETENSORS, WeightsKind
from cloudseg_ops.contracts.zip_members import inner_name, open_zip, read_member, read_range

_COUNT_BYTES = 8
_LEGACY_HEADERS = 3
"""Pickles before that of the content, in the format from before PyTorch 1.6: magic number, version, machine."""

Read = Callable[[str, int, int], bytes]
"""Returns the bytes of a storage, by key, from a first place to a last one; fewer if it ends before."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What lies in a file of tensors.

    Attributes:
        content: Dictionaries, lists and plain values, with a `TensorInfo` for each tensor and a `ForeignObject` for
            each other Python object.
        sizes: Bytes of each storage that are in the file, by key.
        read: Reads a part of a storage.
        big_endian: Whether the bytes of a value are in the order of big-endian machines.
    """

    content: object
    sizes: Mapping[str, int]
    read: Read
    big_endian: bool = False

    def has_values(self, tensor: TensorInfo) -> bool:
        """Return whether the file has all values of a tensor."""
        return self.sizes.get(tensor.key, -1) >= tensor.end * VALUE_BYTES.get(tensor.storage, 0)

    def values(self, tensor: TensorInfo) -> bytes:
        """Return the bytes of a tensor's values, from its first to its last in the storage.

        Raises:
            ValueError: The file does not have them.
        """
        size, end = VALUE_BYTES[tensor.storage], tensor.end
        first = min(tensor.offset, end)
        found = self.read(tensor.key, first * size, end * size)
        if len(found) != (end - first) * size:
            raise ValueError(f"its storage {tensor.key!r} is too short for a tensor of shape {tensor.shape}")
        return found


def open_checkpoint(file: BinaryIO, kind: WeightsKind) -> Checkpoint:
    """Read what lies in a file of tensors, but not the values of tensors.

    Args:
        file: The file, seekable. `Checkpoint.read` reads from it later.
        kind: Its kind: CHECKPOINT, LEGACY_CHECKPOINT or SAFETENSORS.

    Raises:
        ValueError: The file is damaged, or too large before its first value.
    """
    if kind is SAFETENSORS:
        return _open_safetensors(file)
    return _open_legacy(file) if kind is LEGACY_CHECKPOINT else _open_zip(file)


def _open_safetensors(file: BinaryIO) -> Checkpoint:
    content, places = read_header(file)

    def read(key: str, start: int, stop: int) -> bytes:
        begin, end = places[key]
        file.seek(begin + start)
        return file.read(min(stop, end - begin) - start)

    return Checkpoint(content, {key: end - begin for key, (begin, end) in places.items()}, read)


def _open_zip(file: BinaryIO) -> Checkpoint:
    content = read_pickle(io.BytesIO(read_member(file, "data.pkl", MAX_PICKLE_BYTES)), foreign=True)
    with open_zip(file) as archive:
        members = {inner_name(member.filename): member for member in archive.infolist()}
    order = read_member(file, "byteorder", 16) if "byteorder" in members else b"little"

    def read(key: str, start: int, stop: int) -> bytes:
        member = members.get(f"data/{key}")
        if member is None:
            return b""
        return read_range(file, member, start, stop)

    sizes = {name.removeprefix("data/"): member.file_size for name, member in members.items()}
    return Checkpoint(content, sizes, read, big_endian=order == b"big")


def _open_legacy(file: BinaryIO) -> Checkpoint:
    file.seek(0)
    start = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    headers = [read_pickle(start) for _ in range(_LEGACY_HEADERS)]
    storages: dict[str, Storage] = {}
    content = read_pickle(start, foreign=True, storages=storages)
    keys = read_pickle(start)
    end = file.seek(0, io.SEEK_END)
    places: dict[str, tuple[int, int]] = {}
    place = start.tell()
    for key in map(str, keys if isinstance(keys, list) else ()):
        # Before the values of each storage, their number
        place += _COUNT_BYTES
        size = _bytes_of(storages.get(key))
        places[key] = (place, max(0, min(size, end - place)))
        place += size

    def read(key: str, start: int, stop: int) -> bytes:
        place, size = places.get(key, (0, 0))
        file.seek(place + start)
        return file.read(max(0, min(stop, size) - start))

    machine = headers[2] if isinstance(headers[2], dict) else {}
    sizes = {key: size for key, (_, size) in places.items()}
    return Checkpoint(content, sizes, read, big_endian=machine.get("little_endian") is False)


def _bytes_of(storage: Storage | None) -> int:
    count = storage.count if storage else 0
    if not isinstance(count, int) or not 0 <= count < MAX_NUMBER:
        raise ValueError("its pickle gives a storage an impossible size")
    return count * VALUE_BYTES.get(storage.kind, 0) if storage else 0
