"""scripts/bootstrap.sh rejects an unusable environment or Python with one sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloudseg_local.state import REPOSITORY
from cloudseg_ops import __version__


def bootstrap(state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REPOSITORY / "scripts" / "bootstrap.sh"), "demo"],
        env={**os.environ, "STATE": str(state), "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_symlinked_environment_is_not_cleared(tmp_path: Path) -> None:
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "venv").symlink_to(tmp_path / "other")
    done = bootstrap(tmp_path / "state")
    assert done.returncode == 1
    assert "venv is a symbolic link, whose target would be cleared; remove the link" in done.stderr
    assert (tmp_path / "other" / "bin").is_dir()


def test_stamp_of_another_airflow_version_is_removed(tmp_path: Path) -> None:
    venv = tmp_path / "state" / "venv"
    (venv / "bin").mkdir(parents=True)
    # The installation fails immediately; the test is about the stamps that are left.
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (venv / "bin" / "python").chmod(0o755)
    for name, version in (("test-3.1.7", "3.1.7"), ("test", "3.3.1")):
        (venv / f".installed-{name}").write_text(f"apache-airflow=={version}\n")
    done = bootstrap(tmp_path / "state")
    assert done.returncode == 1
    assert "installing requirements/demo.lock failed" in done.stderr
    assert [path.name for path in venv.glob(".installed-*")] == [".installed-test"]


@pytest.mark.parametrize(("python", "message"), [("/nonesuch/python", "there is no such program"), ("false", "needs")])
def test_unusable_python_is_rejected(tmp_path: Path, python: str, message: str) -> None:
    done = bootstrap(tmp_path / "state", PYTHON=python)
    assert done.returncode == 1
    assert done.stderr.startswith("cloudseg: ")
    assert message in done.stderr
    assert not (tmp_path / "state" / "venv").exists()


@pytest.mark.parametrize(("installed", "code"), [(__version__, 0), ("0.0.1", 1)])
def test_environment_of_another_version_is_updated(tmp_path: Path, installed: str, code: int) -> None:
    venv = tmp_path / "state" / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "lib" / "python3.11" / "site-packages" / f"cloudseg-{installed}.dist-info").mkdir(parents=True)
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (venv / "bin" / "python").chmod(0o755)
    shutil.copy(REPOSITORY / "requirements" / "demo.lock", venv / ".installed-demo")
    done = bootstrap(tmp_path / "state")
    assert done.returncode == code, done.stderr
    assert ("installing requirements/demo.lock" in done.stdout) == bool(code)
