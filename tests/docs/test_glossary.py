"""The glossary names existing code."""

import re
from importlib import import_module
from pathlib import Path

import pytest

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
ROWS = [line.split(" | ") for line in GLOSSARY.read_text("utf-8").splitlines()[6:]]
NAMES = sorted({name for row in ROWS for name in re.findall(r"`([a-z][a-z_.]+(?:\.[A-Za-z_]+)*)`", row[2])})


def test_terms_are_unique() -> None:
    terms = [row[0].strip("| ") for row in ROWS]
    assert len(terms) == len(set(terms)) > 20


@pytest.mark.parametrize("name", NAMES)
def test_names_in_the_code_exist(name: str) -> None:
    module, _, attribute = f"cloudseg_ops.{name}".rpartition(".")
    assert hasattr(import_module(module), attribute) or import_module(f"{module}.{attribute}")
