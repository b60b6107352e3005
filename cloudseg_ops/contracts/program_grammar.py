"""The words of the expressions in an exported program, and how large a number an expression may compute."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CHARS = 20_000
MAX_DEPTH = 64
_MAX_BITS = 16_384
"""Size of a constant that SymPy or Python could be made to compute."""
_MAX_EXPONENT = 64
SYMBOL_BITS = 32

_TOKEN = re.compile(
    r"[ \n]*(?:(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?|\.\d+)|(?P<name>[A-Za-z_]\w*)|(?P<text>'[\w.+-]*')"
    r"|(?P<mark>\*\*|//|[=!<>]=|[-+*/%<>()\[\],.=]))",
    re.ASCII,
)
SYMBOL = re.compile(r"(?:s|u|zf|zuf)\d{1,6}", re.ASCII)
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?", re.ASCII)

# What `sympy.srepr` writes for sizes, and the functions that PyTorch adds (torch/_export/serde/serialize.py:
# `sympy_functions`).
SYMPY = frozenset(
    {
        "Add", "Mul", "Max", "Min", "Abs", "floor", "ceiling", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge",
        "Equality", "Unequality", "StrictLessThan", "StrictGreaterThan", "LessThan", "GreaterThan", "Integer",
        "Rational", "Piecewise", "ExprCondPair", "FloorDiv", "CeilDiv", "CleanDiv", "Mod", "PythonMod",
        "ModularIndexing", "Where", "CeilToInt", "FloorToInt", "TruncToInt", "TruncToFloat", "RoundToInt",
        "RoundDecimal", "FloatTrueDiv", "IntTrueDiv", "ToFloat", "Identity", "IsNonOverlappingAndDenseIndicator",
    }
)  # fmt: skip
POWERS = frozenset({"Pow", "PowByNatural", "FloatPow", "LShift", "RShift"})
ATOMS = frozenset({"Symbol", "Float"})
TRUTHS = frozenset({"true", "false", "True", "False"})
GUARD_FUNCTIONS = frozenset(
    {
        "max", "min", "abs", "float", "int", "round", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "Eq",
        "Ne", "IsNonOverlappingAndDenseIndicator", "math.trunc", "math.floor", "math.ceil", "math.sqrt",
        "torch.sym_float", "torch.sym_int", "torch.sym_max", "torch.sym_min", "torch.sym_not", "torch.sym_ite",
        "torch.sym_sqrt", "torch._sym_sqrt",
    }
)  # fmt: skip
TENSOR_METHODS = frozenset({"size", "stride", "storage_offset"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


def split_tokens(text: str) -> list[tuple[str, str]]:
    """Split an expression into pairs of kind and text; the last pair is of the kind `end`.

    Raises:
        ValueError: It contains something else than numbers, names, quoted names and operators.
    """
    tokens, place, end = [], 0, len(text.rstrip(" \n"))
    while place < end:
        found = _TOKEN.match(text, place, end)
        if not found or not found.lastgroup:
            raise ValueError(f"it contains {text[place : place + 12]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return [*tokens, ("end", "")]


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a subexpression.

    Attributes:
        bits: Bound of the bits of a constant in it.
        number: Its value, if it is a number as written.
    """

    bits: float
    number: float | None = None


def read_number(text: str) -> Value:
    """Return a number as written.

    Raises:
        ValueError: It is too long.
    """
    if len(text) > 40:
        raise ValueError(f"it contains a number of {len(text)} digits")
    return Value(max(4.0 * len(text), 1), float(text))


def _bounded(bits: float) -> Value:
    if bits > _MAX_BITS:
        raise ValueError(f"it computes a number of more than {_MAX_BITS} bits")
    return Value(bits)


def larger(first: Value, second: Value) -> Value:
    """Return what is known of one of two values."""
    return Value(max(first.bits, second.bits))


def sum_of(first: Value, second: Value) -> Value:
    """Return what is known of a sum or difference."""
    return Value(max(first.bits, second.bits) + 1)


def product_of(first: Value, second: Value) -> Value:
    """Return what is known of a product, quotient or remainder.

    Raises:
        ValueError: It may be too large.
    """
    return _bounded(first.bits + second.bits)


def power_of(base: Value, exponent: Value) -> Value:
    """Return what is known of a power.

    Raises:
        ValueError: It may be too large, or the exponent is not a small number as written.
    """
    if exponent.number is None or abs(exponent.number) > _MAX_EXPONENT:
        raise ValueError(f"it has an exponent that is not a number from -{_MAX_EXPONENT} to {_MAX_EXPONENT}")
    return _bounded(base.bits * max(1, abs(exponent.number)))


def call_of(name: str, values: list[Value]) -> Value:
    """Return what is known of the value of a function.

    Raises:
        ValueError: It may be too large, or the values do not suit the function.
    """
    if name in ("Integer", "Rational") and (len(values) > 2 or any(value.number is None for value in values)):
        raise ValueError(f"it has {name} of something other than a number")
    if name == "Integer" and len(values) == 1:
        return values[0]
    if name in POWERS:
        if len(values) != 2:
            raise ValueError(f"it has {name} of {len(values)} values")
        return power_of(*values)
    total = sum(value.bits for value in values) if name in ("Mul", "Rational") else 0
    return _bounded(total or max((value.bits for value in values), default=1) + len(values))
