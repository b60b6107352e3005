"""What the names in the pickle of a checkpoint stand for: tensors, dictionaries, and objects that are not built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.tensor_info import MAX_NUMBER, VALUE_BYTES, ForeignObject, TensorInfo

MAX_NAME = 120
"""Characters of a Python object's name that are kept, for messages."""

_TENSORS = frozenset(f"torch._utils {name}" for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"))
_FROM_TYPE = "torch._tensor _rebuild_from_type_v2"
_PARAMETERS = frozenset({"torch._utils _rebuild_parameter", "torch._utils _rebuild_parameter_with_state"})
_SIZE = "torch Size"
_STORAGES = frozenset(f"torch {kind}" for kind in VALUE_BYTES) | {
    "torch.storage TypedStorage", "torch.storage UntypedStorage",
}  # fmt: skip
_DICTS = frozenset({"collections OrderedDict", "collections Counter", "collections defaultdict"})
KNOWN = _STORAGES | _TENSORS | _PARAMETERS | {_FROM_TYPE, _SIZE, "collections OrderedDict"}
"""What state dicts consist of; torch.load accepts all of it with weights_only=True."""
KEYS = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function.

    Attributes:
        name: Its module and its name, with a space between them.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The values of tensors.

    Attributes:
        kind: PyTorch's name for their type, such as `FloatStorage`.
        key: Its name in the file.
        count: Number of values.
    """

    kind: str
    key: str
    count: object


def dotted(name: str) -> str:
    """Return the name of a class or function as Python writes it."""
    return name.replace(" ", ".")[:MAX_NAME]


def call(function: Any, arguments: tuple[Any, ...]) -> Any:
    """Return what calling a class or function gives, without calling it."""
    name = function.name if isinstance(function, (Global, ForeignObject)) else type(function).__name__
    if name in _DICTS:
        return _dictionary(arguments)
    if name == _FROM_TYPE:
        # (function, type, arguments, attributes), for tensors with attributes
        name, arguments = arguments[0].name, arguments[2]
    if name in _TENSORS and isinstance(arguments[0], Storage):
        made_with_type = len(arguments) > 6 and isinstance(arguments[6], Global)
        kind = arguments[6].name.rpartition(" ")[2] if made_with_type else arguments[0].kind
        return _tensor(kind, *arguments[:4])
    if name in _PARAMETERS or name == _SIZE:
        return arguments[0]
    return ForeignObject(dotted(name))


def _dictionary(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return a dictionary of the pairs that Python 2 passes to OrderedDict; of other types, the content is not read."""
    pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
    return {key: value for key, value in pairs if isinstance(key, KEYS)}


def _tensor(kind: str, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> TensorInfo:
    numbers = (offset, *shape, *strides)
    in_range = all(isinstance(number, int) and 0 <= number < MAX_NUMBER for number in numbers)
    if not in_range or len(shape) != len(strides):
        raise TypeError("a tensor has no shape or no place")
    return TensorInfo(tuple(shape), kind, storage.key, offset, tuple(strides))
