"""Checks the JSON documents of an exported program: every text in them is of a kind that PyTorch can evaluate safely.

PyTorch reads some texts as Python. Which ones depends on their place, on types that it does not check, and on its
version. So the rule is turned around: a text anywhere must be a plain name, except in a few places with a rule for what
belongs there. A document of a newer version may have further keys; the rule holds for them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from cloudseg_ops.contracts.program_expressions import check_guard, check_size
from cloudseg_ops.contracts.program_names import check_attribute, check_name, check_operator, check_text, check_tree

_SHOWN = 80
"""Characters of a text in a message."""
_FLOATS = frozenset({"Infinity", "-Infinity", "NaN"})
_OBJECTS = frozenset({"as_custom_obj", "custom_obj", "custom_obj_values"})
_MAPPINGS: Mapping[str, Callable[[str], None]] = {
    "config": check_attribute,
    "range_constraints": check_size,
    "opset_version": check_name,
    "treespec_namedtuple_fields": check_name,
    "tensor_values": check_name,
    "sym_int_values": check_name,
    "sym_bool_values": check_name,
    "sym_float_values": check_name,
    "as_string_to_argument": check_name,
}
"""Values whose keys are chosen by the program, so they say nothing about what is below them; and rules for the keys."""
_TEXTS: Mapping[str, Callable[[Any], None]] = {
    "expr_str": check_size,
    "in_spec": lambda text: check_tree(text, inputs=True),
    "out_spec": lambda text: check_tree(text, inputs=False),
}
"""Rules for values that PyTorch evaluates, whatever their type."""
_OPERATORS = frozenset({"target", "as_operator"})
_LISTS: Mapping[str, Callable[[Any], None]] = {"guards_code": check_guard}
_STRINGS: Mapping[str, Callable[[str], None]] = {
    "as_string": check_text,
    "as_strings": check_text,
    "torch_version": check_text,
    "fqn": check_attribute,
    "parameter_name": check_attribute,
    "buffer_name": check_attribute,
    "tensor_constant_name": check_attribute,
    "user_input_name": check_attribute,
}
_ASSERTIONS = ("torch.ops.aten._assert_", "torch.ops.aten._functional_assert_")
_MESSAGE = "assert_msg"

_Path = tuple[Any, str] | None
"""A place in a document: the place around it, and the last part of its name."""
_Item = tuple[_Path, str, object]


class UnsafeTextError(ValueError):
    """A text in a document is not of the kind that belongs there."""


def check_document(document: object, allowed: Collection[str]) -> None:
    """Check a JSON document of an exported program.

    Args:
        document: The parsed document.
        allowed: Operators outside of aten that are allowed, as `namespace::name` or `namespace::*`.

    Raises:
        UnsafeTextError: A text is refused; the message says where, which one, and why.
    """
    stack: list[_Item] = [(None, "", document)]
    while stack:
        path, key, value = stack.pop()
        try:
            stack.extend(_check(path, key, value, allowed))
        except _Refused as error:
            raise UnsafeTextError(f"{_show(path)} is {_shorten(error.text)}: {error.why}") from None


class _Refused(Exception):  # noqa: N818
    def __init__(self, text: object, why: object) -> None:
        super().__init__(text, why)
        self.text, self.why = text, why


def _check(path: _Path, key: str, value: Any, allowed: Collection[str]) -> Iterator[_Item]:
    """Check a value, and return the values in it that are to be checked."""
    if key in _OBJECTS and value:
        raise _Refused(value, "it is a Python object, and loading it would execute code")
    if key in _TEXTS and value is not None:
        _apply(_TEXTS[key], value)
    elif key in _OPERATORS:
        _apply(lambda text: check_operator(text, allowed), value)
    elif isinstance(value, str) and value not in _FLOATS:
        _apply(_STRINGS.get(key, check_name), value)
    elif isinstance(value, list):
        yield from _items(path, key, value)
    elif isinstance(value, dict):
        yield from _parts(path, key, value)


def _items(path: _Path, key: str, values: list[Any]) -> Iterator[_Item]:
    for index, value in enumerate(values):
        place = (path, f"[{index}]")
        if key in _LISTS:
            _apply(_LISTS[key], value)
        else:
            # Strings in lists follow the rule of the list.
            yield place, key if key in _STRINGS else "", value


def _parts(path: _Path, key: str, value: dict[str, Any]) -> Iterator[_Item]:
    if key == "metadata":
        _check_metadata(value)
        return
    for name in value:
        _apply(_MAPPINGS.get(key, check_name), name)
    target = value.get("target")
    # The text of an assertion contains the expression that failed.
    is_assertion = isinstance(target, str) and target.startswith(_ASSERTIONS)
    for name, item in value.items():
        inputs = item
        if is_assertion and name == "inputs" and isinstance(item, list):
            inputs = [_without_message(argument) for argument in item]
        yield (path, f".{name}"), "" if key in _MAPPINGS else name, inputs


def _check_metadata(values: dict[str, Any]) -> None:
    """Check notes on a node, such as its stack trace: PyTorch only splits them, or writes them as comments."""
    for name, text in values.items():
        _apply(check_name, name)
        if not isinstance(text, str):
            raise _Refused(text, f"{name} in it is a {type(text).__name__}, not a text")
        if "\r" in text or "\0" in text:
            raise _Refused(text, "it has control characters that could end a comment")


def _without_message(argument: Any) -> Any:
    if isinstance(argument, dict) and argument.get("name") == _MESSAGE and isinstance(argument.get("arg"), dict):
        text = argument["arg"].get("as_string")
        # Compilers write it into code between double quotes.
        if isinstance(text, str) and len(argument["arg"]) == 1 and text.isprintable() and not {'"', "\\"} & set(text):
            return {**argument, "arg": None}
    return argument


def _apply(rule: Callable[[Any], None], value: object) -> None:
    try:
        rule(value)
    except ValueError as error:
        raise _Refused(value, error) from None


def _show(path: _Path) -> str:
    parts = []
    while path:
        path, part = path
        parts.append(part)
    return "".join(reversed(parts)).lstrip(".") or "the document"


def _shorten(value: object) -> str:
    text = str(value) if not isinstance(value, str) else value
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
