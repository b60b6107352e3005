"""docs/composer.md: its commands and its figures."""

from __future__ import annotations

import re

import pytest

from cloudseg_ops.config.settings import variables
from tests.support.commands import (
    DOCS,
    Calls,
    check_airflow_commands,
    check_links,
    check_syntax,
    names_block,
    run_blocks,
    shell_blocks,
)

DOCUMENT = DOCS / "composer.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def calls(text: str, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    return run_blocks([names_block(), *shell_blocks(text)], tmp_path_factory.mktemp("composer"))


def test_every_block_is_valid_bash(text: str) -> None:
    check_syntax(shell_blocks(text))


def test_every_variable_exists(text: str) -> None:
    assert set(re.findall(r"CLOUDSEG_[A-Z_]*[A-Z]", text)) <= set(variables())


def test_link_targets_exist() -> None:
    check_links(DOCUMENT)


def test_airflow_accepts_the_commands(calls: Calls) -> None:
    check_airflow_commands(calls)


def test_figures_follow_from_the_formulas(text: str) -> None:
    worked = " ".join(text.partition("Worked, for 10 DCU")[2].partition("\n\n")[0].split())
    composer = 730 * 10 * 0.06 + 20 * 730 * 0.000233
    run = (10_000 / 40 / 3600 + 4 * 900 / 3600) * 0.71
    photographs = 300_000 * 0.003 * 8 / 30 * 0.020
    operations = 300_000 / 1000 * (2 * 0.005 + 9 * 0.0004)
    for figure in (f"${composer:.0f} a month", f"${run:.2f} a run", f"${30 * run:.0f} a month"):
        assert figure in worked
    assert f"${photographs:.2f} a month" in worked
    assert f"${operations:.2f} at most" in worked
