"""Which sizes a program takes, by its ranges and guards."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from cloudseg_ops.engine.network.program_outputs import inputs_of
from cloudseg_ops.engine.network.program_ranges import UNLIMITED, multiple_of, ranges_of
from tests.support.programs import Head, exported


@pytest.fixture(scope="module")
def program() -> torch.export.ExportedProgram:
    return torch.export.load(io.BytesIO(exported(Head(lambda scores, aux: scores), multiple=8, least=3)))


def guarded(program: torch.export.ExportedProgram, *guards: str) -> torch.export.ExportedProgram:
    found: Any = SimpleNamespace(range_constraints=program.range_constraints, _guards_code=guards)
    return cast("torch.export.ExportedProgram", found)


def test_ranges_and_multiples(program: torch.export.ExportedProgram) -> None:
    (images,) = inputs_of(program)
    assert ranges_of(program, images) == [(1, 64), (3, 3), (24, 2048), (24, 2048)]
    assert [multiple_of(dim) for dim in images.shape] == [1, 1, 8, 8]


@pytest.mark.parametrize(
    ("guard", "place", "sizes"),
    [
        ("L['{}'].size()[0] > 1", 0, (2, 64)),
        ("L['{}'].size()[0] >= 4", 0, (4, 64)),
        ("L['{}'].size()[0] != 1", 0, (2, 64)),
        ("L['{}'].size()[0] != 5", 0, (1, 64)),
        ("L['{}'].size()[2] < 1000", 2, (24, 999)),
        ("L['{}'].size()[3] <= 9999", 3, (24, 2048)),
        ("L['{}'].size()[9] > 1", 0, (1, 64)),
        ("L['other'].size()[0] > 1", 0, (1, 64)),
        ("1 + (L['{}'].size()[2] // 32) > 1", 2, (24, 2048)),
    ],
)
def test_guards_narrow_the_ranges(
    program: torch.export.ExportedProgram, guard: str, place: int, sizes: tuple[int, int]
) -> None:
    (images,) = inputs_of(program)
    assert ranges_of(guarded(program, guard.format(images.name)), images)[place] == sizes


def test_unknown_ranges_have_no_bounds(program: torch.export.ExportedProgram) -> None:
    (images,) = inputs_of(program)
    nothing: Any = SimpleNamespace(range_constraints={})
    assert ranges_of(nothing, images) == [(1, UNLIMITED), (3, 3), (1, UNLIMITED), (1, UNLIMITED)]
