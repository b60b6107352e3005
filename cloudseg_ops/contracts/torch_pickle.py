"""Reads the pickle of a PyTorch checkpoint without PyTorch, and without executing any of it.

`torch.save` writes names, shapes and dtypes as a pickle, and the values of the tensors separately. This interpreter
represents a tensor by its shape and the place of its values. Other Python objects are refused, or represented by their
names: nothing is imported, called or built.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from cloudseg_ops.contracts.pickle_globals import KEYS, KNOWN, MAX_NAME, Global, Storage, call, dotted
from cloudseg_ops.contracts.tensor_info import ForeignObject

MAX_PICKLE_BYTES = 8 * 1024 * 1024
"""Maximum size of a pickle. The state dict of a U-Net takes less than 100 kB."""
_MAX_OPERATIONS = 500_000
_MARK = object()


class ForeignGlobalError(ValueError):
    """A pickle names a Python object that does not belong in a state dict.

    Attributes:
        name: The object, as `module.name`.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"it names {name}, which does not belong in a state dict")
        self.name = name


def read_pickle(stream: BinaryIO, *, foreign: bool = False, storages: dict[str, Storage] | None = None) -> object:
    """Return the object that a pickle describes, with a `TensorInfo` for each tensor.

    Afterwards, the stream is behind the pickle.

    Args:
        stream: The pickle, in memory: its size bounds what is read.
        foreign: Whether to represent other Python objects as a `ForeignObject`; otherwise they are an error.
        storages: Receives the storages that the tensors use, by key.

    Raises:
        ForeignGlobalError: It names something other than tensors and dictionaries, and `foreign` is False.
        ValueError: It is not a pickle of a checkpoint.
    """
    machine = _Machine({} if storages is None else storages, foreign=foreign)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if count > _MAX_OPERATIONS:
                raise ValueError(f"it has more than {_MAX_OPERATIONS} entries")
            if operation.name == "STOP":
                break
            machine.run(operation.name, argument)
        found = machine.stack.pop()
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__}: {error})") from None
    return ForeignObject(dotted(found.name)) if isinstance(found, Global) else found


class _Machine:
    """The stack and the memo of a pickle."""

    def __init__(self, storages: dict[str, Storage], *, foreign: bool) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._storages = storages
        self._foreign = foreign

    def run(self, name: str, argument: Any) -> None:
        if name in _LATER and not self._foreign:
            raise ValueError(
                f"its pickle has the operation {name}, which torch.load does not accept; save it without "
                "`pickle_protocol`"
            )
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _OPERATIONS:
            _OPERATIONS[name](self, argument)
        elif name not in _IGNORED:
            raise ValueError(f"its pickle has the operation {name}, which torch.save does not write")

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
        if isinstance(target, ForeignObject):
            return
        if not isinstance(target, dict):
            raise TypeError("items are set on something other than a dictionary")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if isinstance(key, (dict, list)):
                raise TypeError(f"a key is a {type(key).__name__}")
            # Classes and tuples are keys in the state of callbacks and optimizers, which is not read.
            if isinstance(value, Global):
                value = ForeignObject(dotted(value.name))  # noqa: PLW2901
            target[key if isinstance(key, KEYS) else object()] = value

    def append(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], ForeignObject):
            return
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
        if not (self._foreign or name in KNOWN):
            raise ForeignGlobalError(dotted(name))
        self.stack.append(Global(name[: 2 * MAX_NAME]))

    def find_on_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.find(f"{module} {name}")

    def load_storage(self) -> None:
        found = self.stack.pop()
        # ("storage", type, key, device, number of values); older versions add a sixth value.
        if not (isinstance(found, tuple) and found and found[0] == "storage"):
            # ("module", class, path, source): the class of a pickled module, in the format from before PyTorch 1.6.
            other = found[1].name if isinstance(found[1], Global) else str(found[0])
            self.find(other)
            return
        made = Storage(found[1].name.rpartition(" ")[2], str(found[2]), found[4])
        self._storages[made.key] = made
        self.stack.append(made)

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self._push_call(function, arguments)

    def new_object(self, count: int) -> None:
        """Replace a class and its arguments by an object."""
        arguments = [self.stack.pop() for _ in range(count)][-1]
        self._push_call(self.stack.pop(), arguments)

    def _push_call(self, function: Any, arguments: tuple[Any, ...]) -> None:
        made = call(function, arguments)
        if isinstance(made, ForeignObject) and not self._foreign:
            raise TypeError("something other than a dictionary or a tensor is built")
        self.stack.append(made)

    def build(self) -> None:
        # The state of a dictionary, a parameter or an object: attributes such as `_metadata`.
        self.stack.pop()


_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_VALUES = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
        "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    }
)  # fmt: skip
_IGNORED = frozenset({"PROTO", "FRAME"})
_LATER = frozenset(
    {
        "STACK_GLOBAL", "NEWOBJ", "NEWOBJ_EX", "EMPTY_SET", "ADDITEMS", "FROZENSET", "BINUNICODE8", "BINBYTES",
        "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "LONG4", "BINSTRING",
    }
)  # fmt: skip
"""Operations that state dicts do not have: of other objects, and of later pickle protocols."""
_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    # The elements of sets are not needed.
    "EMPTY_SET": lambda machine, _: machine.stack.append([]),
    "ADDITEMS": lambda machine, _: machine.append(machine.above_mark()),
    "FROZENSET": lambda machine, _: machine.stack.append(tuple(machine.above_mark())),
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
    "STACK_GLOBAL": lambda machine, _: machine.find_on_stack(),
    "BINPERSID": lambda machine, _: machine.load_storage(),
    "REDUCE": lambda machine, _: machine.reduce(),
    "NEWOBJ": lambda machine, _: machine.new_object(1),
    "NEWOBJ_EX": lambda machine, _: machine.new_object(2),
    "BUILD": lambda machine, _: machine.build(),
}
