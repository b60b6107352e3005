"""Reads the header of a safetensors file: a length of 8 bytes, JSON with names, shapes and places, then the values.

The package `safetensors` reads from a path or from all of the bytes; `pull_model` reads staged files in ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from cloudseg_ops.contracts.json_text import load_json
from cloudseg_ops.contracts.tensor_info import MAX_NUMBER, VALUE_BYTES, TensorInfo

MAX_HEADER_BYTES = 8 * 1024 * 1024
"""Maximum size of a header; that of a U-Net takes less than 10 kB."""
_METADATA = "__metadata__"
_STORAGES = {
    "F64": "DoubleStorage", "F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage",
    "I64": "LongStorage", "I32": "IntStorage", "I16": "ShortStorage", "I8": "CharStorage", "U8": "ByteStorage",
    "BOOL": "BoolStorage",
}  # fmt: skip
"""PyTorch's names for the types of values."""

Places = Mapping[str, tuple[int, int]]
"""Of each tensor, by name, the places in the file of its first byte and of the byte behind its last."""


def read_header(file: BinaryIO) -> tuple[Mapping[str, TensorInfo], Places]:
    """Return the tensors of a file by name, and where their values are.

    Args:
        file: The file, seekable.

    Raises:
        ValueError: The header is damaged or too large, or the file ends before its values do.
    """
    size = file.seek(0, 2)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header has {length} bytes, more than the {MAX_HEADER_BYTES} of any state dict")
    try:
        header = load_json(file.read(length))
    except ValueError as error:
        raise ValueError(f"its header is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")  # noqa: TRY004  (a damaged file, not a wrong call)
    begin = 8 + length
    tensors: dict[str, TensorInfo] = {}
    places: dict[str, tuple[int, int]] = {}
    for name, entry in header.items():
        if name != _METADATA:
            tensors[name], (first, last) = _tensor(name, entry)
            places[name] = (begin + first, begin + last)
            if begin + last > size:
                raise ValueError(f"it ends before the values of {name}: copy the whole file again")
    return tensors, places


def _tensor(name: str, entry: Any) -> tuple[TensorInfo, tuple[int, int]]:
    try:
        kind, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = (*shape, first, last)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"its header says of {name} not where it is") from None
    if not isinstance(kind, str) or not all(type(number) is int and 0 <= number < MAX_NUMBER for number in numbers):
        raise ValueError(f"its header says of {name} not where it is")
    storage = _STORAGES.get(kind, kind)
    if last - first != math.prod(shape) * VALUE_BYTES.get(storage, 0) and storage in VALUE_BYTES:
        raise ValueError(f"its header gives {name} {last - first} bytes for a shape of {shape}, type {kind}")
    return TensorInfo(shape, storage, name), (first, last)
