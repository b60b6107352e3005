"""scripts/bootstrap.sh refuses what it could only make worse, in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudseg_ops.local.state import REPOSITORY


def bootstrap(state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REPOSITORY / "scripts" / "bootstrap.sh"), "demo"],
        env={**os.environ, "STATE": str(state), "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_that_is_a_link_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "venv").symlink_to(tmp_path / "other")
    done = bootstrap(tmp_path / "state")
    assert done.returncode == 1
    assert "venv is a link, and what it leads to would be emptied; remove the link" in done.stderr
    assert (tmp_path / "other" / "bin").is_dir()


@pytest.mark.parametrize(("python", "said"), [("/nonesuch/python", "there is no such program"), ("false", "needs")])
def test_a_python_that_will_not_do(tmp_path: Path, python: str, said: str) -> None:
    done = bootstrap(tmp_path / "state", PYTHON=python)
    assert done.returncode == 1
    assert done.stderr.startswith("cloudseg: ")
    assert said in done.stderr
    assert not (tmp_path / "state" / "venv").exists()
