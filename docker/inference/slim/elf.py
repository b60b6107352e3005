"""Reads shared objects (ELF, x86-64)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_DYNAMIC_SEGMENT = 2
_DYNSYM, _VERSYM, _VERDEF = 11, 0x6FFFFFFF, 0x6FFFFFFD
_NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 1, 5, 14, 15, 29
_TEXTS = frozenset({_NEEDED, _SONAME, _RPATH, _RUNPATH})
_GLOBAL_FUNCTION, _WEAK_FUNCTION = 1 << 4 | 2, 2 << 4 | 2

Function = tuple[str, str]
"""Name of a function and its symbol version; the latter is empty where the library has no versions."""


@dataclass(frozen=True, slots=True)
class SharedObject:
    """The data of a shared object that the dynamic linker reads.

    Attributes:
        soname: DT_SONAME; empty if there is none.
        needed: DT_NEEDED entries.
        search_path: DT_RUNPATH or DT_RPATH, split at the colons.
        inherited_path: DT_RPATH, split at the colons: it also applies to what the needed libraries need.
        functions: Exported functions, except those with C++ names.
    """

    soname: str
    needed: tuple[str, ...]
    search_path: tuple[str, ...]
    inherited_path: tuple[str, ...]
    functions: tuple[Function, ...]

    @staticmethod
    def is_one(path: Path) -> bool:
        """Return whether a file starts with the ELF magic number."""
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF"

    @classmethod
    def read(cls, path: Path) -> SharedObject:
        """Read the dynamic section and the dynamic symbols of a file."""
        with path.open("rb") as file:
            return _Reader(file).shared_object()


def _folders(paths: list[str]) -> tuple[str, ...]:
    return tuple(part for text in paths for part in text.split(":") if part)


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = self._bytes(0, 64)
        segments, sections = struct.unpack_from("<QQ", header, 32)
        segment_size, segment_count, section_size, section_count = struct.unpack_from("<4H", header, 54)
        table = self._bytes(segments, segment_size * segment_count)
        self._segments = [struct.unpack_from("<IIQQQQ", table, i * segment_size) for i in range(segment_count)]
        table = self._bytes(sections, section_size * section_count)
        self._sections = [struct.unpack_from("<IIQQQQII", table, i * section_size) for i in range(section_count)]

    def _bytes(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def _offset(self, address: int) -> int:
        for kind, _, offset, start, _, size in self._segments:
            if kind == 1 and start <= address < start + size:
                return int(offset + address - start)
        raise ValueError(f"no segment holds the address {address:#x}")

    def _text(self, offset: int) -> str:
        self._file.seek(offset)
        found = bytearray()
        while b"\0" not in found:
            part = self._file.read(256)
            if not part:
                break
            found += part
        return found.split(b"\0")[0].decode()

    def shared_object(self) -> SharedObject:
        entries: list[tuple[int, int]] = []
        for kind, _, offset, _, _, size in self._segments:
            if kind == _DYNAMIC_SEGMENT:
                entries = [pair for pair in struct.iter_unpack("<QQ", self._bytes(offset, size - size % 16)) if pair[0]]
        strings = next((self._offset(value) for tag, value in entries if tag == _STRTAB), 0)
        named = [(tag, self._text(strings + value)) for tag, value in entries if tag in _TEXTS]
        rpaths = [text for tag, text in named if tag == _RPATH]
        runpaths = [text for tag, text in named if tag == _RUNPATH]
        return SharedObject(
            soname=next((text for tag, text in named if tag == _SONAME), ""),
            needed=tuple(text for tag, text in named if tag == _NEEDED),
            search_path=_folders(rpaths + runpaths),
            inherited_path=() if runpaths else _folders(rpaths),
            functions=tuple(self._functions()),
        )

    def _section(self, kind: int) -> tuple[bytes, int]:
        """Return a section's bytes, and the file offset of its linked string table."""
        for _, found, _, _, offset, size, link, _ in self._sections:
            if found == kind:
                return self._bytes(offset, size), int(self._sections[link][4])
        return b"", 0

    def _functions(self) -> Iterable[Function]:
        symbols, strings = self._section(_DYNSYM)
        versions = struct.unpack(f"<{len(symbols) // 24}H", self._section(_VERSYM)[0] or bytes(len(symbols) // 12))
        names = self._version_names()
        for (name, info, _, section, _, _), version in zip(
            struct.iter_unpack("<IBBHQQ", symbols), versions, strict=True
        ):
            if info in {_GLOBAL_FUNCTION, _WEAK_FUNCTION} and section:
                text = self._text(strings + name)
                if not text.startswith("_Z"):
                    yield text, names.get(version & 0x7FFF, "")

    def _version_names(self) -> dict[int, str]:
        """Return the symbol versions that the file defines, without the base version, which is the file itself."""
        table, strings = self._section(_VERDEF)
        names, at = {}, 0
        while table:
            _, flags, index, _, _, first, following = struct.unpack_from("<HHHHIII", table, at)
            if not flags & 1:
                names[index] = self._text(strings + struct.unpack_from("<I", table, at + first)[0])
            if not following:
                break
            at += following
        return names
