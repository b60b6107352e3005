"""Which operators, names and texts an exported program may contain.

PyTorch looks operators up as attributes (`torch.os.system` would be one), imports modules that a tree of outputs names,
and writes names into Python code that it executes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

ALLOWED_OPERATOR = re.compile(r"(?!aten::)[A-Za-z]\w*::(?:[A-Za-z_]\w*|\*)", re.ASCII)
"""An operator, or all operators of a namespace, as `namespace::name` or `namespace::*`."""

_OPERATOR = re.compile(r"torch\.ops\.([A-Za-z]\w*)\.(\w+)\.([A-Za-z]\w*)", re.ASCII)
_HIGHER_ORDER = re.compile(r"torch\.ops\.higher_order\.([A-Za-z]\w*)", re.ASCII)
# They run parts of the program itself; others call functions that they are given, or compiled code.
_HIGHER_ORDER_NAMES = frozenset(
    {"cond", "while_loop", "scan", "associative_scan", "map_impl", "invoke_subgraph", "wrap_with_set_grad_enabled",
     "wrap_with_autocast"}
)  # fmt: skip
# Operators on symbolic sizes (torch/_export/serde/serialize.py: `_SYM_OPS`).
_SYMBOLIC = frozenset(
    {f"_operator.{name}" for name in (
        "eq", "ne", "le", "ge", "lt", "gt", "neg", "pos", "mul", "add", "sub", "floordiv", "truediv", "mod", "pow",
        "and_", "or_", "lshift", "rshift",
    )}
    | {f"torch.sym_{name}" for name in ("not", "int", "float", "ite", "max", "min", "sqrt")}
    | {"math.trunc", "torch._sym_sqrt"}
)  # fmt: skip
_DUNDERS = frozenset({f"__{i}{name}__" for i in ("", "i") for name in ("and", "or", "xor", "lshift", "rshift")})
# They read or write files, print, reach into the memory of other tensors, or change the state of the process.
_DENIED = re.compile(
    r"from_file|save|load|warn|_print|to_here|set_|set_data|seed|manual_seed|set_grad_enabled|_cufft_set.*|_test_.*"
    r"|_sparse_.*_unsafe|_nested_view_from_.*",
    re.ASCII,
)

_NAME = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_ATTRIBUTE = re.compile(r"[\w :/+-]+(?:\.[\w :/+-]+)*", re.ASCII)
_TEXT = re.compile(r"[\w ,.:/*>+-]*", re.ASCII)
_DUNDER = re.compile(r"__\w*__", re.ASCII)
_MAX_CHARS = 1_000
_SEQUENCES = frozenset({"builtins.tuple", "builtins.list", "torch.fx.immutable_collections.immutable_list"})
_MAPPINGS = frozenset({"builtins.dict", "collections.OrderedDict", "torch.fx.immutable_collections.immutable_dict"})
_OTHER_TYPE = re.compile(r"(?!builtins\.|collections\.|functools\.|types\.|torch\.)\w+(?:\.\w+)+", re.ASCII)
_MAX_TREE = 20
_TREE_VERSION = 1


def check_operator(target: object, allowed: Collection[str]) -> None:
    """Check an operator as a program names it, such as `torch.ops.aten.conv2d.default`.

    Args:
        target: The operator.
        allowed: Operators outside of aten that are allowed, as `namespace::name` or `namespace::*`.

    Raises:
        ValueError: It is not allowed; the message is a clause that says why.
    """
    if not isinstance(target, str):
        raise ValueError(f"it is a {type(target).__name__}, not an operator")  # noqa: TRY004
    if target in _SYMBOLIC:
        return
    if found := _OPERATOR.fullmatch(target):
        namespace, name, _ = found.groups()
    elif found := _HIGHER_ORDER.fullmatch(target):
        namespace, name = "higher_order", found[1]
    else:
        raise ValueError("it is outside of aten, PyTorch's own operators")
    if _DUNDER.fullmatch(name) and name not in _DUNDERS:
        raise ValueError("it is not an operator")
    if namespace == "aten":
        if _DENIED.fullmatch(name):
            raise ValueError("it is an operator of aten that reaches outside of the network")
        return
    known = namespace == "higher_order" and name in _HIGHER_ORDER_NAMES
    if not known and not {f"{namespace}::{name}", f"{namespace}::*"} & set(allowed):
        raise ValueError(
            f"it is outside of aten, PyTorch's own operators, and CLOUDSEG_ALLOWED_OPERATORS does not name "
            f"{namespace}::{name}"
        )


def check_name(text: str) -> None:
    """Check a name of a node or an argument, which PyTorch writes into code; dots may separate its parts.

    Raises:
        ValueError: It contains something other than letters, digits and underscores.
    """
    _check(text, _NAME, "letters, digits and underscores")


def check_attribute(text: str) -> None:
    """Check the name of a parameter, a buffer or a submodule, as its network named it.

    Raises:
        ValueError: It contains quotes or other characters that could end a name in code.
    """
    _check(text, _ATTRIBUTE, "letters, digits, spaces and _:/+-")


def check_text(text: str) -> None:
    """Check a text that is an argument of an operator, such as `bilinear` or `bhwc,hkc->bhwk`.

    Raises:
        ValueError: It contains quotes, brackets or other characters that such texts do not need.
    """
    _check(text, _TEXT, "letters, digits, spaces and ,.:/*>+-_")


def check_tree(text: object, *, inputs: bool) -> None:
    """Check the tree of a program's inputs or outputs, as `torch.utils._pytree.treespec_dumps` writes it.

    Args:
        text: The tree, in JSON.
        inputs: Whether it is that of the inputs, whose keys are names of arguments.

    Raises:
        ValueError: It has something other than tuples, lists, and dictionaries and types of other libraries with plain
            keys.
    """
    try:
        version, root = json.loads(str(text))
        if version != _TREE_VERSION:
            raise ValueError(f"its version is {version!r}")
        _check_node(root, 0, inputs=inputs)
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"it is not a tree of tensors ({type(error).__name__})") from None


def _check_node(node: dict[str, Any], depth: int, *, inputs: bool) -> None:
    kind, context, children = node["type"], node["context"], node["children_spec"]
    if depth > _MAX_TREE:
        raise ValueError(f"it is nested more than {_MAX_TREE} deep")
    if kind is None:
        if context is not None or children:
            raise ValueError("a tensor in it has parts")
        return
    if not isinstance(children, list):
        raise TypeError
    keys = json.loads(context) if isinstance(context, str) else context
    if kind not in _SEQUENCES:
        # A mapping, or a type of another library with named values: PyTorch imports neither.
        if (kind not in _MAPPINGS and (inputs or not _OTHER_TYPE.fullmatch(kind))) or not isinstance(context, str):
            raise ValueError(
                f"it names the type {str(kind)[:80]}; let the network return a tensor, tuple, list or dict"
            )
        _check_keys(keys, check_name if inputs else check_attribute)
    elif keys is not None:
        raise TypeError
    for child in children:
        _check_node(child, depth + 1, inputs=inputs)


def _check_keys(keys: object, check_key: Callable[[str], None]) -> None:
    if not isinstance(keys, list):
        raise TypeError
    for key in keys:
        # PyTorch imports the modules that objects name.
        if not isinstance(key, (str, int)):
            raise TypeError
        check_key(str(key))


def _check(text: str, pattern: re.Pattern[str], characters: str) -> None:
    if len(text) > _MAX_CHARS:
        raise ValueError(f"it has {len(text)} characters, more than {_MAX_CHARS}")
    if text and not pattern.fullmatch(text):
        raise ValueError(f"it has other characters than {characters}")
    if any(_DUNDER.fullmatch(part) for part in text.split(".")):
        raise ValueError("it is a name of Python's own")
