"""Generates stand-ins for shared objects (ELF, x86-64), without a compiler."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .elf import Function

_HASH, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _SONAME = 4, 5, 6, 10, 11, 14
_VERSYM, _VERDEF, _VERDEFNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
_LOAD, _DYNAMIC, _STACK = 1, 2, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6
_GLOBAL_FUNCTION = 1 << 4 | 2
_HEADERS = 64 + 4 * 56
_PAGE = 0x1000

_RETURN_TEXT = ("ErrorString", "ErrorName", "GetLastError")
"""Name suffixes of functions that return a text instead of a status."""

_FAIL = bytes.fromhex(
    "31d2"  # xor edx, edx
    "803c1600"  # length: cmp byte [rsi + rdx], 0
    "7405"  # je write
    "48ffc2"  # inc rdx
    "ebf5"  # jmp length
    "bf02000000"  # write: mov edi, 2
    "b801000000"  # mov eax, 1
    "0f05"  # syscall
    "b801000000"  # mov eax, 1
    "c3"  # ret
)
"""Writes the text at rsi to standard error and returns 1."""


def stand_in(soname: str, functions: Sequence[Function], remedy: str) -> bytes:
    """Return a shared object whose functions all fail.

    Each function writes to standard error that the library was left out, and returns 1, which is an error status in all
    CUDA libraries, so that PyTorch raises an exception. Functions that return error texts return the message.

    Args:
        soname: DT_SONAME, by which other libraries refer to it.
        functions: Names and symbol versions to export.
        remedy: What to do about it; the end of the message.
    """
    strings = _Strings()
    versions = sorted({version for _, version in functions if version})
    index = {version: place + 2 for place, version in enumerate(versions)}
    names = [strings.add(name) for name, _ in functions]
    definitions = _version_definitions(soname, versions, strings)
    library = strings.add(soname)
    messages = [
        f"cloudseg: {name} was called, but {soname} was left out of this image; {remedy}" for name, _ in functions
    ]
    code, places = _code([name for name, _ in functions], messages)

    file = bytearray(_HEADERS)
    text = _append(file, code, 16)
    hashes = _append(file, _hash_table([name for name, _ in functions]))
    symbols = [
        struct.pack("<IBBHQQ", name, _GLOBAL_FUNCTION, 0, 1, text + start, size)
        for name, (start, size) in zip(names, places, strict=True)
    ]
    dynamic = [
        (_SONAME, library),
        (_HASH, hashes),
        (_SYMTAB, _append(file, bytes(24) + b"".join(symbols))),
        (_SYMENT, 24),
        (_STRTAB, _append(file, bytes(strings.content))),
        (_STRSZ, len(strings.content)),
    ]
    if versions:
        of_symbols = [0, *(index.get(version, 1) for _, version in functions)]
        dynamic += [
            (_VERSYM, _append(file, struct.pack(f"<{len(of_symbols)}H", *of_symbols))),
            (_VERDEF, _append(file, definitions)),
            (_VERDEFNUM, len(versions) + 1),
        ]
    section = b"".join(struct.pack("<QQ", *entry) for entry in [*dynamic, (0, 0)])
    start = _append(file, section, _PAGE)
    file[:_HEADERS] = _headers(start, len(section))
    return bytes(file)


def _append(file: bytearray, content: bytes, alignment: int = 8) -> int:
    """Append aligned content to the file, and return its offset, which is also its address."""
    file.extend(bytes(-len(file) % alignment))
    start = len(file)
    file.extend(content)
    return start


class _Strings:
    def __init__(self) -> None:
        self.content = bytearray(1)

    def add(self, text: str) -> int:
        at = len(self.content)
        self.content += text.encode() + b"\0"
        return at


def _headers(dynamic: int, size: int) -> bytes:
    """Return the ELF header and four segments: text, the dynamic section twice, and a non-executable stack."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 4, 64, 0, 0)
    segments = [
        (_LOAD, _READ_EXECUTE, 0, 0, 0, dynamic, dynamic, _PAGE),
        (_LOAD, _READ_WRITE, dynamic, dynamic, dynamic, size, size, _PAGE),
        (_DYNAMIC, _READ_WRITE, dynamic, dynamic, dynamic, size, size, 8),
        (_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16),
    ]
    return header + b"".join(struct.pack("<IIQQQQQQ", *segment) for segment in segments)


def _code(names: Sequence[str], messages: Sequence[str]) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the machine code of the functions followed by their messages, and each function's offset and size."""
    code = bytearray(_FAIL + bytes(-len(_FAIL) % 16))
    texts = bytearray()
    end = len(code) + 16 * len(names)
    places = []
    for name, message in zip(names, messages, strict=True):
        at = len(code)
        distance = struct.pack("<i", end + len(texts) - (at + 7))
        if name.endswith(_RETURN_TEXT):
            function = b"\x48\x8d\x05" + distance + b"\xc3"  # lea rax, [message]; ret
            texts += message.encode() + b"\0"
        else:
            function = b"\x48\x8d\x35" + distance + b"\xe9" + struct.pack("<i", -(at + 12))  # lea rsi, [message]; jmp
            texts += message.encode() + b"\n\0"
        places.append((at, len(function)))
        code += function + bytes(16 - len(function))
    return bytes(code + texts), places


def _elf_hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value & 0xFFFFFFFF


def _hash_table(names: Sequence[str]) -> bytes:
    """Return the DT_HASH table of the symbols; symbol 0 has no name."""
    buckets = [0] * max(1, len(names) // 2)
    chain = [0] * (len(names) + 1)
    for place, name in enumerate(names, start=1):
        bucket = _elf_hash(name) % len(buckets)
        chain[place], buckets[bucket] = buckets[bucket], place
    return struct.pack(f"<{2 + len(buckets) + len(chain)}I", len(buckets), len(chain), *buckets, *chain)


def _version_definitions(soname: str, versions: Sequence[str], strings: _Strings) -> bytes:
    if not versions:
        return b""
    table = bytearray()
    for place, version in enumerate([soname, *versions]):
        following = 28 if place < len(versions) else 0
        table += struct.pack("<HHHHIII", 1, 0 if place else 1, place + 1, 1, _elf_hash(version), 20, following)
        table += struct.pack("<II", strings.add(version), 0)
    return bytes(table)
