"""Reads a zip archive only if every reader finds the same members and bytes in it.

Zip readers disagree on archives that PyTorch never writes: with data before or after the archive, two directories, two
members of one name, or sizes that contradict one another. A check would then read other bytes than PyTorch does.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_MAX_DIRECTORY = 8 * 1024 * 1024
_MAX_NAME = 250
"""Bytes. PyTorch's reader cuts longer names."""
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_DESCRIPTOR, _UTF_8 = 0x0008, 0x0800
_DESCRIPTOR_BYTES = (0, 12, 16, 20, 24)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    Attributes:
        start: Where its content begins in the file.
        size: Bytes of its content, which is not compressed.
    """

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    flags: int
    size: int
    offset: int


class StrictZip:
    """The members of an archive, by their names without the top folder. See `open_strict`."""

    def __init__(self, file: BinaryIO, members: Mapping[str, Member]) -> None:
        self._file = file
        self.members = members

    def open(self, name: str) -> BinaryIO:
        """Return a member as a file, of which only the parts that are read are read from the archive."""
        member = self.members[name]
        return io.BufferedReader(_Window(self._file, member.start, member.size))

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return a member's content.

        Raises:
            ValueError: It is missing, or larger than `max_bytes`.
        """
        if name not in self.members:
            raise ValueError(f"{name} is missing")
        if (size := self.members[name].size) > max_bytes:
            raise ValueError(f"{name} has {size} bytes, more than {max_bytes}")
        return self.open(name).read()


def open_strict(file: BinaryIO) -> StrictZip:
    """Open a zip archive as PyTorch writes it: one top folder, nothing compressed, no byte outside of members.

    Args:
        file: The archive, seekable.

    Raises:
        ValueError: It is not such an archive; the message is a clause that says what is wrong with it.
    """
    try:
        entries, directory = _read_directory(file)
        members: dict[str, Member] = {}
        seen: set[str] = set()
        place = 0
        for entry in sorted(entries, key=lambda entry: entry.offset):
            name = _inner_name(entry.name, entries[0].name)
            if name.lower() in seen:
                raise ValueError(f"it has two members named {name}")
            seen.add(name.lower())
            start = _check_local_header(file, entry, place)
            members[name] = Member(start, entry.size)
            place = start + entry.size
        if directory - place not in _DESCRIPTOR_BYTES:
            raise ValueError("bytes before its directory belong to no member")
    except struct.error:
        raise ValueError("its zip directory is cut off") from None
    return StrictZip(file, members)


def _read_directory(file: BinaryIO) -> tuple[list[_Entry], int]:
    size = file.seek(0, io.SEEK_END)
    offset, length, count = _find_directory(file, size)
    if length > _MAX_DIRECTORY:
        raise ValueError(f"its zip directory has {length} bytes, more than {_MAX_DIRECTORY}")
    raw = _read_at(file, offset, length)
    entries, place = [], 0
    while place < length:
        entry, place = _read_entry(raw, place)
        entries.append(entry)
    if len(entries) != count or not entries:
        raise ValueError(f"its zip directory has {len(entries)} entries, but says that there are {count}")
    return entries, offset


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return the directory's offset, its length, and the number of its entries."""
    end = size - _END.size
    magic, disk, first, here, count, length, offset, comment = _END.unpack(_read_at(file, end, _END.size))
    if magic != b"PK\x05\x06" or comment:
        raise ValueError("data follows the end of its zip directory")
    if disk or first or here != count:
        raise ValueError("it is one part of a zip archive in parts")
    locator = _read_at(file, end - _LOCATOR.size, _LOCATOR.size)
    if locator.startswith(b"PK\x06\x07"):
        end -= _LOCATOR.size + _END64.size
        _, disk, place, disks = _LOCATOR.unpack(locator)
        found = _END64.unpack(_read_at(file, end, _END64.size))
        magic, more, disk64, first64 = found[0], found[1], found[4], found[5]
        if magic != b"PK\x06\x06" or place != end or more != _END64.size - 12 or disk or disks > 1 or disk64 or first64:
            raise ValueError("its two zip directories contradict one another")
        pairs = ((count, found[7], _MAX_16), (length, found[8], _MAX_32), (offset, found[9], _MAX_32))
        if found[6] != found[7] or any(short not in (long, most) for short, long, most in pairs):
            raise ValueError("its two zip directories contradict one another")
        count, length, offset = found[7:10]
    if offset + length != end:
        raise ValueError("data precedes the zip archive, or follows its directory")
    return offset, length, count


def _read_entry(raw: bytes, place: int) -> tuple[_Entry, int]:
    fields = _ENTRY.unpack_from(raw, place)
    magic, flags, method, packed, size = fields[0], fields[3], fields[4], fields[8], fields[9]
    name_bytes, extra_bytes, comment, disk, offset = fields[10], fields[11], fields[12], fields[13], fields[16]
    place += _ENTRY.size
    name, extra = raw[place : place + name_bytes], raw[place + name_bytes : place + name_bytes + extra_bytes]
    if magic != b"PK\x01\x02" or len(name) != name_bytes or len(extra) != extra_bytes or comment or disk:
        raise ValueError("its zip directory is damaged")
    if method or flags & ~(_DESCRIPTOR | _UTF_8):
        raise ValueError(f"its member {name.decode('ascii', 'replace')} is compressed or encrypted")
    large = [value for value in (size, packed, offset) if value == _MAX_32]
    if large or extra:
        if not large or extra[:4] != struct.pack("<2H", 1, 8 * len(large)) or len(extra) != 4 + 8 * len(large):
            raise ValueError("its zip directory has fields that PyTorch does not write")
        longs = iter(struct.unpack(f"<{len(large)}Q", extra[4:]))
        size, packed, offset = (next(longs) if value == _MAX_32 else value for value in (size, packed, offset))
    if packed != size:
        raise ValueError(f"its member {name.decode('ascii', 'replace')} has two sizes")
    return _Entry(name, flags, size, offset), place + name_bytes + extra_bytes


def _inner_name(name: bytes, first: bytes) -> str:
    """Return a member's name without the top folder, which PyTorch takes from the first member."""
    root = first.partition(b"/")[0] + b"/"
    inner = name.removeprefix(root)
    text = inner.decode("ascii", "replace")
    if not name.startswith(root) or len(root) == 1:
        raise ValueError(f"its member {name.decode('ascii', 'replace')} is outside of its top folder")
    if not text.isprintable() or "\\" in text or len(name) > _MAX_NAME or {"", ".", ".."} & set(text.split("/")):
        raise ValueError(f"its member {text[:_MAX_NAME]!r} has a name that PyTorch does not write")
    return text


def _check_local_header(file: BinaryIO, entry: _Entry, place: int) -> int:
    """Return where a member's content begins; `place` is where the member before it ends."""
    name = entry.name.decode("ascii", "replace")
    if entry.offset - place not in (_DESCRIPTOR_BYTES if place else (0,)):
        raise ValueError(f"bytes before its member {name} belong to no member, or to two")
    fields = _LOCAL.unpack(_read_at(file, entry.offset, _LOCAL.size))
    magic, flags, method, packed, size, name_bytes, extra_bytes = fields[0], fields[2], fields[3], *fields[7:11]
    sizes = (entry.size, _MAX_32, 0) if flags & _DESCRIPTOR else (entry.size, _MAX_32)
    same = _read_at(file, entry.offset + _LOCAL.size, name_bytes) == entry.name
    if magic != b"PK\x03\x04" or flags != entry.flags or method or not same or {packed, size} - set(sizes):
        raise ValueError(f"its member {name} contradicts its zip directory")
    return int(entry.offset + _LOCAL.size + name_bytes + extra_bytes)


def _read_at(file: BinaryIO, place: int, size: int) -> bytes:
    if place < 0:
        raise ValueError("its zip directory is cut off")
    file.seek(place)
    return file.read(size)


class _Window(io.RawIOBase):
    """A part of a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._place = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = _read_at(self._file, self._start + self._place, max(0, min(len(view), self._size - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
