"""docs/delivery.md against the code: its keys, its commands, its settings, and what it grants."""

import re
import subprocess
from pathlib import Path

import pytest

from cloudseg_delivery import targets
from cloudseg_ops.config.settings import variables
from tests.support.commands import check_links

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/delivery.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_every_key_of_an_environment_is_documented() -> None:
    table = re.findall(r"^\| (`[^|]*`) \| [^|]+ \|$", TEXT, re.MULTILINE)
    documented = {key for row in table for key in re.findall(r"`([A-Z_]+)`", row)}
    assert documented == set(targets._KEYS)


def test_every_variable_exists() -> None:
    named = set(re.findall(r"CLOUDSEG_[A-Z_]*[A-Z]", TEXT))
    assert named - {"CLOUDSEG_DEPLOY"} <= set(variables())


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_valid_bash(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)
    assert {"deploy", "rollback", "deployed", "requirements", "lint"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_link_targets_exist() -> None:
    check_links(ROOT / "docs/delivery.md")


def test_permissions_of_the_smoke_test_are_granted() -> None:
    granted = {
        name for block in BLOCKS for line in re.findall(r"--permissions=(\S+)", block) for name in line.split(",")
    }
    # gcloud reads the destination before it writes or removes.
    assert granted == {f"storage.objects.{name}" for name in ("list", "get", "create", "delete")}
    assert "`storage.objects.list`, `.get`, `.create`, `.delete` on INPUT" in TEXT
