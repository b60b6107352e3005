"""Weights files as `torch.save` writes them, made without PyTorch: quickly, and with faults where a test needs them."""

import io
import math
import struct
import zipfile
from collections.abc import Mapping

from cloudseg_ops.contracts.architectures import ARCHITECTURES, Shapes, StateDictRule

UNET_RULE: StateDictRule = ARCHITECTURES["unet"].state_dict  # type: ignore[assignment]
TINY: Shapes = UNET_RULE.shapes(3, 1, {"width": 2, "depth": 1})
"""The state dict of a U-Net for three channels and one class, of width 2 and depth 1."""


def text(value: str) -> bytes:
    """The operation that pushes a string."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def names(module: str, name: str) -> bytes:
    """The operation that pushes a Python object by its name."""
    return b"c" + f"{module}\n{name}\n".encode()


ORDERED_DICT = names("collections", "OrderedDict") + b")R"


def tensor(key: str, shape: tuple[int, ...], storage: str = "FloatStorage") -> bytes:
    sides = b"(" + b"".join(map(number, shape)) + b"t"
    strides = b"(" + b"".join(number(math.prod(shape[place + 1 :])) for place in range(len(shape))) + b"t"
    stored = b"(" + text("storage") + names("torch", storage) + text(key) + text("cpu")
    stored += number(math.prod(shape)) + b"tQ"
    arguments = b"(" + stored + number(0) + sides + strides + b"\x89" + ORDERED_DICT + b"t"
    return names("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def state_dict(shapes: Shapes, extra: Mapping[str, bytes] | None = None) -> bytes:
    """The operations that push a state dict.

    Args:
        shapes: Shapes by name.
        extra: Further entries: the operations that push their values, by name.
    """
    made = {name: tensor(str(place), shape, _storage(name)) for place, (name, shape) in enumerate(shapes.items())}
    return (
        ORDERED_DICT + b"(" + b"".join(text(name) + value for name, value in {**made, **(extra or {})}.items()) + b"u"
    )


def pickled(operations: bytes) -> bytes:
    return b"\x80\x02" + operations + b"."


def archive(operations: bytes, members: Mapping[str, bytes] | None = None) -> bytes:
    """A zip file with these operations in its data.pkl."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("archive/data.pkl", pickled(operations))
        for name, data in (members or {}).items():
            made.writestr(f"archive/{name}", data)
        made.writestr("archive/version", b"3\n")
    return stream.getvalue()


def checkpoint(shapes: Shapes = TINY, value: float = 0.0) -> bytes:
    """A state dict of these shapes, in which every number has one value."""
    sizes = {str(place): (name, math.prod(shape)) for place, (name, shape) in enumerate(shapes.items())}
    members = {
        f"data/{key}": struct.pack("<q", 0) if _storage(name) == "LongStorage" else struct.pack("<f", value) * count
        for key, (name, count) in sizes.items()
    }
    return archive(state_dict(shapes), members)


def _storage(name: str) -> str:
    return "LongStorage" if name.endswith("num_batches_tracked") else "FloatStorage"
