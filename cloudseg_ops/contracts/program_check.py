"""Checks an exported program before PyTorch opens it, without PyTorch and without executing any of it.

`torch.export.load` runs code that a hostile file names: in pickles, in expressions of symbolic sizes, as the target of
a node, as a type in a tree of outputs, and in names that become Python code. This module reads the same members in the
same way, and refuses the file unless each of these is of a kind known to be harmless. Weights are not read.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection
from typing import Any, BinaryIO

from cloudseg_ops.contracts.errors import UnsafeProgramError
from cloudseg_ops.contracts.program_graph import check_document
from cloudseg_ops.contracts.program_names import check_name
from cloudseg_ops.contracts.strict_zip import StrictZip, open_strict
from cloudseg_ops.contracts.torch_pickle import MAX_PICKLE_BYTES, ForeignGlobalError, read_pickle

_MAX_JSON = 64 * 1024 * 1024
_MAX_FORMAT = 64
_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = {
    "data/weights/": ("model_weights_config.json", re.compile(r"weight_\d{1,9}", re.ASCII)),
    "data/constants/": ("model_constants_config.json", re.compile(r"tensor_\d{1,9}", re.ASCII)),
}
_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(?:version|serialization_id)|models/model\.json"
    r"|data/weights/(?:weight_\d{1,9}|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d{1,9}|model_constants_config\.json)|data/sample_inputs/model\.pt|extra/.+",
    re.ASCII,
)
_FORMAT, _VERSION = ("archive_format", b"pt2"), ("archive_version", b"0")
_SAVED = re.compile(
    r"data\.pkl|data/\d{1,9}|version|byteorder|\.format_version|\.storage_alignment|\.data/(?:version|serialization_id)",
    re.ASCII,
)
"""Members of a file written by torch.save; `constants.pkl` would make it TorchScript."""
_LEGACY = b"serialized_exported_program.json"
_LEGACY_TAIL = 64 * 1024
_AGAIN = (
    "export the network again and write it with torch.export.save; if you do not know who made this file, do not use it"
)


def check_program(file: BinaryIO, where: str, allowed: Collection[str] = ()) -> None:
    """Check that an exported program can be opened without running code that is in it.

    Args:
        file: The program, seekable.
        where: What it is and where, for error messages.
        allowed: Operators outside of aten that it may use, as `namespace::name` or `namespace::*`.

    Raises:
        UnsafeProgramError: It is not what torch.export.save writes, or contains something that could run code.
    """
    try:
        archive = _open(file)
        _check_members(archive)
        for folder in _PAYLOADS:
            _check_payloads(archive, folder)
        _check_pickle(archive, _SAMPLES)
        _check_json(archive, _MODEL, allowed)
    except ValueError as error:
        raise UnsafeProgramError(
            f"{where} was not opened, because opening an exported program can run code that is in it: {error}; {_AGAIN}"
        ) from None


def _open(file: BinaryIO) -> StrictZip:
    try:
        return open_strict(file)
    except ValueError as error:
        file.seek(-min(_LEGACY_TAIL, file.seek(0, io.SEEK_END)), io.SEEK_END)
        if _LEGACY in file.read():
            raise ValueError("it is in the format of PyTorch 2.7 and older, which needs unsafe pickles") from None
        raise ValueError(f"it is not a zip archive as PyTorch writes it: {error}") from None


def _check_members(archive: StrictZip) -> None:
    for name, content in (_FORMAT, _VERSION):
        if (found := archive.read(name, _MAX_FORMAT)) != content:
            raise ValueError(f"its {name} is {found.decode('ascii', 'replace')!r}, not {content.decode()!r}")
    _require(archive, _MEMBERS)


def _require(archive: StrictZip, pattern: re.Pattern[str]) -> None:
    for name in archive.members:
        if not pattern.fullmatch(name):
            raise ValueError(f"its member {name[:120]} does not belong there")


def _check_payloads(archive: StrictZip, folder: str) -> None:
    """Check the list of weights or constants, and those that are pickles."""
    config, pattern = _PAYLOADS[folder]
    document = _check_json(archive, folder + config)
    for name, value in _mapping(_mapping(document).get("config")).items():
        payload = _mapping(value)
        path = str(payload.get("path_name"))
        if not pattern.fullmatch(path):
            raise ValueError(f"{name} in {folder}{config} is the Python object {path[:80]!r}, not a tensor")
        if folder + path not in archive.members:
            raise ValueError(f"{folder}{path} is missing")
        if payload.get("use_pickle") is not False:
            _check_pickle(archive, folder + path)
        elif archive.members[folder + path].size == 0 and not _is_empty(payload.get("tensor_meta")):
            raise ValueError(f"{folder}{path} has no values for {name}")


def _is_empty(meta: Any) -> bool:
    """Return whether a tensor has no values; PyTorch would otherwise allocate zeros of any size."""
    sizes = _mapping(meta).get("sizes")
    return isinstance(sizes, list) and {"as_int": 0} in sizes


def _check_pickle(archive: StrictZip, name: str) -> None:
    """Check a member that PyTorch reads with torch.load.

    Of sample inputs, PyTorch writes the keys of dictionaries into the code of guards, so they must be names.
    """
    if name not in archive.members:
        raise ValueError(f"{name} is missing")
    if archive.members[name].size == 0:
        return
    try:
        saved = open_strict(archive.open(name))
        _require(saved, _SAVED)
        _check_keys(read_pickle(io.BytesIO(saved.read("data.pkl", MAX_PICKLE_BYTES))))
    except ForeignGlobalError as error:
        raise ValueError(f"{name} contains the Python object {error.name}, and loading it would execute code") from None
    except ValueError as error:
        raise ValueError(f"{name} is not what torch.save writes for tensors: {error}") from None


def _check_keys(value: object) -> None:
    stack, seen = [value], set()
    while stack:
        found = stack.pop()
        # A pickle may make a list contain itself.
        if isinstance(found, (list, tuple, dict)) and id(found) not in seen:
            seen.add(id(found))
            stack.extend(found)
        if isinstance(found, dict):
            stack.extend(found.values())
            for key in found:
                if not isinstance(key, (str, int)):
                    raise ValueError(f"a key in it is a {type(key).__name__}")  # noqa: TRY004
                check_name(str(key))


def _check_json(archive: StrictZip, name: str, allowed: Collection[str] = ()) -> object:
    raw = archive.read(name, _MAX_JSON)
    try:
        document: object = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {str(error)[:120]}") from None
    try:
        check_document(document, allowed)
    except ValueError as error:
        raise ValueError(f"in {name}, {error}") from None
    return document


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"its list of tensors has a {type(value).__name__} in place of a mapping")  # noqa: TRY004
    return value
