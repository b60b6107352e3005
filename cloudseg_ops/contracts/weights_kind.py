"""Recognizes what kind of file a weights file is, from its first bytes and the names in its zip directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cloudseg_ops.contracts.zip_members import inner_name, open_zip

_HEAD_BYTES = 512
_ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


@dataclass(frozen=True, slots=True)
class WeightsKind:
    """A kind of file.

    Attributes:
        name: What it is, with an article.
        todo: How to get a weights file from it, as a clause; empty: only by saving the network again.
    """

    name: str
    todo: str = ""


CHECKPOINT = WeightsKind("a file written by torch.save")
LEGACY_CHECKPOINT = WeightsKind("a file written by torch.save in its format from before PyTorch 1.6")
PROGRAM = WeightsKind("an exported program, written by torch.export.save")
SAFETENSORS = WeightsKind("a safetensors file")
STATE_DICTS = (CHECKPOINT, LEGACY_CHECKPOINT, SAFETENSORS)
"""The kinds of files that may hold a state dict."""

_TORCHSCRIPT = WeightsKind(
    "a TorchScript archive (torch.jit.save)", "load it with torch.jit.load, and save its state_dict()"
)
_COMPILED = WeightsKind(
    "a PT2 package without an exported program, such as AOTInductor writes for one kind of device",
    "save the program that it was compiled from",
)
_TORCH_PACKAGE = WeightsKind("a torch.package archive, which contains code")
_KERAS = WeightsKind("a Keras model", "only PyTorch models are supported; train or convert it with PyTorch")
_NUMPY = WeightsKind("a NumPy file")
_ZIP = WeightsKind("a zip archive that PyTorch did not write", "if the weights file is in it, extract that first")
_BROKEN_ZIP = WeightsKind(
    "a zip archive without a readable directory, so its end is missing or damaged", "copy the whole file again"
)
_PICKLE = WeightsKind("a plain Python pickle, not written by torch.save")
_TEXT = WeightsKind("a text file")
_EMPTY = WeightsKind("an empty file", "copy the file again")
_UNKNOWN = WeightsKind("not a file that PyTorch can load")
_PAGE = "a download saved an error or login page instead of the file: download it again"

_HEADS: Sequence[tuple[int, bytes, WeightsKind]] = (
    (0, _LEGACY, LEGACY_CHECKPOINT),
    (
        0,
        b"version https://git-lfs.github.com/spec/",
        WeightsKind("a Git LFS pointer, not the file itself", "run `git lfs pull` before `dvc add`"),
    ),
    (0, b"\x89HDF\r\n\x1a\n", WeightsKind("an HDF5 file, as Keras writes", _KERAS.todo)),
    (0, b"\x93NUMPY", _NUMPY),
    (4, b"TFL3", WeightsKind("a TensorFlow Lite model", _KERAS.todo)),
    (4, b"ET12", WeightsKind("an ExecuTorch program", _COMPILED.todo)),
    (0, b"\x1f\x8b", WeightsKind("a file compressed by gzip", "decompress it first")),
    (0, b"\x28\xb5\x2f\xfd", WeightsKind("a file compressed by zstd", "decompress it first")),
    (0, b"7z\xbc\xaf\x27\x1c", WeightsKind("a 7z archive", "extract the weights file first")),
    (257, b"ustar", WeightsKind("a tar archive", "extract the weights file first")),
    (0, b"PK\x03\x04", _BROKEN_ZIP),
    *((0, b"\x80" + bytes([protocol]), _PICKLE) for protocol in range(2, 6)),
)
_TEXTS: Sequence[tuple[tuple[bytes, ...], WeightsKind]] = (
    ((b"<!doctype html", b"<html"), WeightsKind("an HTML page", _PAGE)),
    ((b"<?xml",), WeightsKind("an XML document", _PAGE)),
    (
        (b"outs:", b"md5:", b"deps:"),
        WeightsKind("a DVC file, not what it tracks", "run `dvc pull`, and track the file itself"),
    ),
)


def kind_of(file: BinaryIO) -> WeightsKind:
    """Return the kind of a file; reads its first bytes and, if it is a zip archive, its directory.

    Args:
        file: The file, seekable.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if not head:
        return _EMPTY
    if head.startswith(_ZIP_HEADS) and (names := _member_names(file)) is not None:
        return _kind_of_zip(names)
    if kind := next((kind for place, magic, kind in _HEADS if head[place:].startswith(magic)), None):
        return kind
    if _is_safetensors(head):
        return SAFETENSORS
    if _is_onnx(head):
        return WeightsKind("an ONNX model", "save the PyTorch network that it was converted from")
    return _kind_of_text(head)


def _member_names(file: BinaryIO) -> list[str] | None:
    """Return the names in a zip archive without their top folder; None if the file is not a zip archive."""
    try:
        with open_zip(file) as archive:
            return [inner_name(name) for name in archive.namelist()]
    except ValueError:
        return None


def _kind_of_zip(names: Sequence[str]) -> WeightsKind:
    found = set(names)
    if "archive_format" in found:
        has_program = any(name.startswith("models/") and name.endswith(".json") for name in names)
        return PROGRAM if has_program else _COMPILED
    if "serialized_exported_program.json" in found:
        # The format of PyTorch up to 2.7
        return PROGRAM
    if ".data/extern_modules" in found:
        return _TORCH_PACKAGE
    if "data.pkl" in found:
        return _TORCHSCRIPT if "constants.pkl" in found else CHECKPOINT
    if "model.weights.h5" in found:
        return _KERAS
    return _NUMPY if names and all(name.endswith(".npy") for name in names) else _ZIP


def _kind_of_text(head: bytes) -> WeightsKind:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind := next((kind for starts, kind in _TEXTS if text.startswith(starts)), None):
        return kind
    try:
        # The last character may be cut off.
        readable = head[:-4] if len(head) == _HEAD_BYTES else head
        return _TEXT if "".join(readable.decode("utf-8-sig").split()).isprintable() else _UNKNOWN
    except UnicodeDecodeError:
        return _UNKNOWN


def _is_safetensors(head: bytes) -> bool:
    """Return whether it begins with the length of a JSON header, and that header."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000


def _is_onnx(head: bytes) -> bool:
    """Return whether it begins as ONNX's protobuf does: field 1, a small version; then a field of the model."""
    return head[0] == 0x08 and head[1:2] < b"\x20" and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42")
