"""Describes what lies in a checkpoint, without the values of its tensors."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_SHOWN = 100
MAX_NUMBER = 2**63
"""The sides, strides and offset of a tensor are less."""
VALUE_BYTES = {
    "HalfStorage": 2, "BFloat16Storage": 2, "FloatStorage": 4, "DoubleStorage": 8, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}  # fmt: skip
"""Bytes of a value, by PyTorch's name for the type of a storage."""
FLOATS = frozenset({"HalfStorage", "BFloat16Storage", "FloatStorage", "DoubleStorage"})
"""The types of values that weights may have; the network has them as float32."""
COUNTERS = FLOATS | {"LongStorage", "IntStorage"}
"""The types of values that the counters of batch norms may have."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor in a checkpoint, without its values.

    Attributes:
        shape: Its shape.
        storage: PyTorch's name for the type of its values, such as `FloatStorage`.
        key: The storage that holds its values; several tensors may share one.
        offset: Place of its first value in the storage, in values.
        strides: Distance of neighbors along each dimension, in values; None: they are contiguous.
    """

    shape: tuple[int, ...]
    storage: str
    key: str = ""
    offset: int = 0
    strides: tuple[int, ...] | None = None

    @property
    def end(self) -> int:
        """Number of values that its storage must have; 0 if the tensor is empty."""
        if 0 in self.shape:
            return 0
        distances = self.strides if self.strides is not None else contiguous(self.shape)
        return self.offset + 1 + sum((side - 1) * step for side, step in zip(self.shape, distances, strict=True))


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """A Python object in a checkpoint that is neither a tensor nor a plain value; it is not built.

    Attributes:
        name: The class or function that makes it, as `module.name`.
    """

    name: str


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor."""
    strides = [1] * len(shape)
    for place in range(len(shape) - 2, -1, -1):
        strides[place] = strides[place + 1] * shape[place + 1]
    return tuple(strides)


def show_name(name: str) -> str:
    """Return a name from a file for messages: at most 100 characters, with those escaped that are not printable."""
    short = name if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]}…"
    return short if short.isprintable() else ascii(short)[1:-1]
