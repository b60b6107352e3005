"""One plan of each kind of environment, and the effects of the guides' commands."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.infra.reading import EVERYTHING, NAMES
from tests.infra.terraform import Plan, Terraform, initialized
from tests.support.commands import DOCS, Calls, names_block, run_blocks, shell_blocks


@pytest.fixture(scope="package")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    if shutil.which("terraform") is None:
        pytest.skip("Terraform is not installed")
    with initialized(tmp_path_factory.mktemp("terraform")) as ready:
        yield ready


@pytest.fixture(scope="package")
def standard(terraform: Terraform) -> Plan:
    return terraform.plan(NAMES | {"autopilot": False})


@pytest.fixture(scope="package")
def autopilot(terraform: Terraform) -> Plan:
    return terraform.plan(NAMES)


@pytest.fixture(scope="package")
def everything(terraform: Terraform) -> Plan:
    return terraform.plan(NAMES | EVERYTHING)


@pytest.fixture(scope="package")
def gke(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    text = (DOCS / "gke.md").read_text(encoding="utf-8")
    return run_blocks(shell_blocks(text), tmp_path_factory.mktemp("gke"))


@pytest.fixture(scope="package")
def options(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    text = (DOCS / "composer.md").read_text(encoding="utf-8")
    return run_blocks([names_block(), *shell_blocks(text)], tmp_path_factory.mktemp("composer"))
