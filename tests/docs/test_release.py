"""A release's version, licence and changelog: each is defined once, and its copies agree."""

import re
import subprocess
import tomllib
from importlib.metadata import metadata, version
from pathlib import Path

from cloudseg_ops import __version__
from cloudseg_ops.contracts.versions import series

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_version_is_semantic_and_defined_once() -> None:
    assert series(__version__)
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "cloudseg_ops.__version__"}
    assert version("cloudseg") == __version__
    script = re.search(r"^version=\$\((.*)\)$", (ROOT / "scripts/image.sh").read_text(), re.MULTILINE)
    assert script
    done = subprocess.run(["sh", "-c", script[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_changelog_starts_with_unreleased_changes() -> None:
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "[Unreleased]"
    for section in sections[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", section)


def test_licence_is_the_same_everywhere() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == metadata("cloudseg")["License-Expression"] == "Apache-2.0"
    assert 'image.licenses="Apache-2.0"' in (ROOT / "docker/inference/Dockerfile").read_text()
