"""Reads the pickle of a PyTorch checkpoint without PyTorch, and without executing any of it.

`torch.save` writes names, shapes and dtypes as a pickle, and the values of the tensors separately. This interpreter
knows only the operations of state dicts, and represents a tensor by its shape and the type of its values.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

MAX_PICKLE_BYTES = 8 * 1024 * 1024
"""Maximum size of a pickle. The state dict of a U-Net takes less than 100 kB."""
_MAX_OPERATIONS = 500_000

_STORAGES = {
    f"torch {name}Storage"
    for name in (
        "BFloat16", "Bool", "Byte", "Char", "ComplexDouble", "ComplexFloat", "Double", "Float", "Half", "Int", "Long",
        "Short",
    )
} | {"torch.storage TypedStorage", "torch.storage UntypedStorage"}  # fmt: skip
_TENSORS = frozenset({"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3"})
_PARAMETER = "torch._utils _rebuild_parameter"
_SIZE = "torch Size"
_DICT = "collections OrderedDict"
_KNOWN = _STORAGES | _TENSORS | {_PARAMETER, _SIZE, _DICT}
_MARK = object()


class ForeignGlobalError(ValueError):
    """A pickle names a Python object that does not belong in a state dict.

    Attributes:
        name: The object, as `module.name`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"it names {name}, which does not belong in a state dict")
        self.name = name


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor in a checkpoint, without its values.

    Attributes:
        shape: Its shape.
        storage: PyTorch's name for the type of its values, such as `FloatStorage`.
    """

    shape: tuple[int, ...]
    storage: str


@dataclass(frozen=True, slots=True)
class _Global:
    name: str


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str


def read_pickle(stream: BinaryIO) -> object:
    """Return the object that a pickle describes, with a `TensorInfo` for each tensor.

    Afterwards, the stream is behind the pickle.

    Args:
        stream: The pickle, in memory: its size bounds what is read.

    Raises:
        ForeignGlobalError: It names something other than tensors and dictionaries.
        ValueError: It is not a pickle of a checkpoint.
    """
    machine = _Machine()
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if count > _MAX_OPERATIONS:
                raise ValueError(f"it has more than {_MAX_OPERATIONS} entries")
            if operation.name == "STOP":
                break
            machine.run(operation.name, argument)
        return machine.stack.pop()
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__}: {error})") from None


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        elif name not in _IGNORED:
            raise ValueError(
                f"its pickle has the operation {name}, which torch.load does not accept in a state dict; save it "
                "without `pickle_protocol`"
            )

    def above_mark(self) -> list[Any]:
        """Remove and return what was pushed since the last mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("a mark is missing")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def make(self, kind: type[Any]) -> None:
        self.stack.append(kind())

    def make_tuple(self, count: int) -> None:
        found = tuple(self.stack[-count:])
        if len(found) != count:
            raise IndexError("a tuple lacks values")
        self.stack[-count:] = [found]

    def put(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else place] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self._memo[place])

    def set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items are set on something other than a dictionary")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise TypeError(f"a key is a {type(key).__name__}")
            target[key] = value

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("values are appended to something other than a list")
        self.stack[-1].extend(values)

    def set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def append_one(self) -> None:
        value = self.stack.pop()
        self.append([value])

    def find(self, name: str) -> None:
        if name not in _KNOWN:
            raise ForeignGlobalError(name.replace(" ", "."))
        self.stack.append(_Global(name))

    def load_storage(self) -> None:
        found = self.stack.pop()
        # ("storage", type, key, device, number of values); older versions add a sixth value.
        if found[0] != "storage":
            raise ForeignGlobalError(str(found[1].name if isinstance(found[1], _Global) else found[0]))
        self.stack.append(_Storage(found[1].name.rpartition(" ")[2]))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        name = function.name if isinstance(function, _Global) else ""
        if name == _DICT and not arguments:
            self.stack.append({})
        elif name in _TENSORS:
            storage, _, shape = arguments[:3]
            if not (isinstance(storage, _Storage) and all(isinstance(side, int) for side in shape)):
                raise TypeError("a tensor has no storage or no shape")
            self.stack.append(TensorInfo(tuple(shape), storage.kind))
        elif name in (_PARAMETER, _SIZE):
            self.stack.append(arguments[0])
        else:
            raise TypeError("something other than a dictionary or a tensor is built")

    def build(self) -> None:
        # The state of a dictionary or a parameter: attributes such as `_metadata`.
        self.stack.pop()


_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_VALUES = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING"}
)
_IGNORED = frozenset({"PROTO", "FRAME"})
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "EMPTY_DICT": lambda machine, _: machine.make(dict),
    "EMPTY_LIST": lambda machine, _: machine.make(list),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.above_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "BINPUT": lambda machine, place: machine.put(place),
    "LONG_BINPUT": lambda machine, place: machine.put(place),
    "MEMOIZE": lambda machine, _: machine.put(None),
    "BINGET": lambda machine, place: machine.get(place),
    "LONG_BINGET": lambda machine, place: machine.get(place),
    "SETITEM": lambda machine, _: machine.set_item(),
    "SETITEMS": lambda machine, _: machine.set_items(machine.above_mark()),
    "APPEND": lambda machine, _: machine.append_one(),
    "APPENDS": lambda machine, _: machine.append(machine.above_mark()),
    "GLOBAL": lambda machine, name: machine.find(name),
    "BINPERSID": lambda machine, _: machine.load_storage(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
