"""Reads which sizes of images an exported program takes: from its ranges, and from the guards that each call checks."""

from __future__ import annotations

import re
from typing import Any

import torch

from cloudseg_ops.engine.network.program_outputs import Dim, ProgramTensor

UNLIMITED = 2**31 - 1
"""The largest size of a dimension without a bound."""
_GUARD = re.compile(r"L\['(\w+)'\]\.size\(\)\[(\d)\] (>=?|<=?|!=) (\d+)", re.ASCII)


def ranges_of(program: torch.export.ExportedProgram, images: ProgramTensor) -> list[tuple[int, int]]:
    """Return the smallest and largest size of each dimension of a program's input."""
    found = [_range(program, dim) for dim in images.shape]
    for guard in getattr(program, "_guards_code", ()):
        match = _GUARD.fullmatch(guard)
        if match and match[1] == images.name and int(match[2]) < len(found):
            place = int(match[2])
            found[place] = _narrowed(found[place], match[3], int(match[4]))
    return found


def multiple_of(size: Dim) -> int:
    """Return the number that a side must be a multiple of, as far as the program says: 32 for `32*s`."""
    if isinstance(size, int):
        return 1
    coefficient, _ = size.node.expr.as_coeff_Mul()
    return int(coefficient) if coefficient.is_Integer and coefficient > 0 else 1


def _range(program: torch.export.ExportedProgram, dim: Dim) -> tuple[int, int]:
    if isinstance(dim, int):
        return dim, dim
    low, high, factor = 1, UNLIMITED, multiple_of(dim)
    # The range of `32*s` may be wider than that of `s` allows.
    for expression, by in ((dim.node.expr, 1), (dim.node.expr / factor, factor)):
        if bounds := program.range_constraints.get(expression):
            low = max(low, by * _number(bounds.lower, 1))
            high = min(high, by * _number(bounds.upper, UNLIMITED))
    return low, high


def _number(bound: Any, infinite: int) -> int:
    return int(bound) if bound.is_Integer else infinite


def _narrowed(sizes: tuple[int, int], operator: str, number: int) -> tuple[int, int]:
    low, high = sizes
    if operator in (">", ">="):
        return max(low, number + (operator == ">")), high
    if operator in ("<", "<="):
        return low, min(high, number - (operator == "<"))
    return (low + 1 if low == number else low), high
