"""Zip archives that readers could disagree about are refused."""

import io
import struct
import zipfile

import pytest

from cloudseg_ops.contracts.strict_zip import open_strict
from tests.support.archives import packed

CONTENT = {"a.json": b"{}", "data/b": bytes(range(200)), "data/c": b""}
GOOD = packed(CONTENT)


def with_zip64() -> bytes:
    """As PyTorch writes it: with a second directory record for large archives."""
    end = len(GOOD) - 22
    count, length, offset = struct.unpack("<HII", GOOD[end + 10 : end + 20])
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 0, 45, 0, 0, count, count, length, offset)
    return GOOD[:end] + record + struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1) + GOOD[end:]


def patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def entry(index: int) -> int:
    place = struct.unpack("<I", GOOD[-6:-2])[0]
    for _ in range(index):
        place += 46 + sum(struct.unpack("<3H", GOOD[place + 28 : place + 34]))
    return int(place)


@pytest.mark.parametrize("data", [GOOD, with_zip64(), packed(CONTENT, root="größe/")])
def test_members_are_read(data: bytes) -> None:
    archive = open_strict(io.BytesIO(data))
    assert {name: archive.read(name, 1_000) for name in archive.members} == CONTENT
    member = archive.open("data/b")
    assert (member.seek(-2, io.SEEK_END), member.read(), member.read()) == (198, bytes([198, 199]), b"")
    with pytest.raises(ValueError, match="200 bytes, more than 100"):
        archive.read("data/b", 100)


AMBIGUOUS = {
    "data before": b"x" + GOOD,
    "data behind": GOOD + b"x",
    "two archives": GOOD + GOOD,
    "a comment": GOOD[:-2] + struct.pack("<H", 2) + b"PK",
    "cut off": GOOD[: len(GOOD) // 2],
    "empty": b"",
    "no members": packed({}),
    "compressed": packed(CONTENT, method=zipfile.ZIP_DEFLATED),
    "two of one name": packed(CONTENT, ("a.json", b"[]")),
    "two names but for case": packed(CONTENT, ("A.JSON", b"[]")),
    "two top folders": packed(CONTENT, ("x/../../b/c", b"")),
    "no top folder": packed(CONTENT, root=""),
    "a parent folder": packed({"../a": b""}),
    "an absolute name": packed({"/a": b""}),
    "a backslash": packed({"a\\b": b""}),
    "a control character": packed({"a\nb": b""}),
    "a long name": packed({"a" * 300: b""}),
    "another name in the member": patched(GOOD, 30 + len("archive/"), b"b"),
    "another method in the member": patched(GOOD, 8, b"\x08"),
    "another size in the member": patched(GOOD, 22, b"\x01"),
    "a member of another size": patched(GOOD, entry(0) + 20, struct.pack("<2I", 3, 3)),
    "two members at one place": patched(GOOD, entry(1) + 42, struct.pack("<I", 0)),
    "a member behind the directory": patched(GOOD, entry(2) + 42, struct.pack("<I", len(GOOD) - 30)),
    "an encrypted member": patched(GOOD, entry(0) + 8, b"\x01"),
    "extra fields": patched(GOOD, entry(0) + 30, b"\x04"),
    "a wrong count": patched(GOOD, len(GOOD) - 14, struct.pack("<2H", 2, 2)),
    "another directory for zip64": patched(with_zip64(), len(GOOD) - 22 + 48, b"\x00"),
    "a locator that points elsewhere": patched(with_zip64(), len(GOOD) - 22 + 56 + 8, b"\x00"),
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_archives_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(its|it|data|bytes) "):
        open_strict(io.BytesIO(data))


def test_only_what_is_asked_for_is_read() -> None:
    class Counting(io.BytesIO):
        total = 0

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.total += len(found)
            return found

    file = Counting(packed({"large": bytes(10_000_000), "small": b"x"}))
    assert open_strict(file).read("small", 10) == b"x"
    assert file.total < 1_000
