"""Reads members of zip archives in bounded memory, from files that may be damaged or hostile."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import IO, BinaryIO, cast

_MAX_READ = 8 * 1024 * 1024
"""Most bytes read at once: a damaged or hostile zip directory may claim any size."""
_CHUNK_BYTES = 1024 * 1024
_LOCAL_HEADER = 30
"""Bytes of the fixed part of the header before a member."""


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip archive for reading in bounded memory.

    Raises:
        ValueError: It is not a zip archive, or its directory is damaged or too large.
    """
    try:
        return zipfile.ZipFile(cast("IO[bytes]", _BoundedReads(file)))
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise ValueError(f"its zip directory is damaged: {error}") from None


def inner_name(name: str) -> str:
    """Return a name without the archive's top folder, which PyTorch names after the file."""
    return name.partition("/")[2] or name


def read_member(file: BinaryIO, name: str, max_bytes: int) -> bytes:
    """Return a member of a zip archive.

    Args:
        file: The archive.
        name: The member's name without the archive's top folder.
        max_bytes: Maximum size; a compressed member counts as decompressed.

    Raises:
        ValueError: There is no such member, or it is damaged or too large.
    """
    with open_zip(file) as archive:
        found = next((info for info in archive.infolist() if inner_name(info.filename) == name), None)
    if found is None:
        raise ValueError(f"it has no {name}")
    if found.file_size > max_bytes:
        raise ValueError(f"its {name} has {found.file_size} bytes, more than the {max_bytes} of any state dict")
    data = read_range(file, found, 0, found.file_size)
    if len(data) != found.file_size:
        raise ValueError(f"its {name} is damaged: the archive ends before it does")
    return data


def read_range(file: BinaryIO, member: zipfile.ZipInfo, start: int, stop: int) -> bytes:
    """Return a part of a member, without verifying its CRC: the MD5 of the whole file is verified.

    Args:
        file: The archive.
        member: The member.
        start: Place of the first byte.
        stop: Place behind the last byte; the part is shorter if the member, or the file, ends before.

    Raises:
        ValueError: The member is damaged.
    """
    stop = min(stop, member.file_size)
    if member.compress_type != zipfile.ZIP_STORED:
        return _decompress(file, member, stop)[start:]
    file.seek(member.header_offset)
    head = file.read(_LOCAL_HEADER)
    # The name and a further field, by which PyTorch aligns values
    skipped = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    file.seek(member.header_offset + _LOCAL_HEADER + skipped + start)
    return file.read(max(0, stop - start))


def _decompress(file: BinaryIO, member: zipfile.ZipInfo, stop: int) -> bytes:
    found = bytearray()
    try:
        with open_zip(file) as archive, archive.open(member) as stream:
            while len(found) < stop and (part := stream.read(min(_CHUNK_BYTES, stop - len(found)))):
                found += part
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"its {member.filename} is damaged: {error}") from None
    return bytes(found)


class _BoundedReads:
    """A file of which at most `_MAX_READ` bytes can be read at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - here
            self.seek(here)
        if size > _MAX_READ:
            raise zipfile.BadZipFile(f"it asks for {size} bytes at once")
        return self._file.read(size)

    def close(self) -> None:
        """Leave the file open: it belongs to the caller."""
