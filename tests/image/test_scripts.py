"""The image's scripts report what is missing in one sentence."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cloudseg_local.state import REPOSITORY
from tests.support.containers import why_no_docker


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(REPOSITORY / "scripts" / script), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("cloudseg: ")
    return last


@pytest.fixture
def few_programs(tmp_path: Path) -> str:
    """A PATH without Docker."""
    for name in ("dirname", "sed", "ls", "git", "uname", "id", "tail"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


def test_missing_docker_client_is_reported(few_programs: str) -> None:
    assert "no docker client" in error_of(run("image.sh", PATH=few_programs))


@pytest.mark.skipif(not shutil.which("docker"), reason="there is no docker client on the PATH")
def test_missing_docker_daemon_is_reported(tmp_path: Path) -> None:
    done = run("image.sh", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert "the Docker daemon does not answer" in error_of(done)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(bool(why_no_docker()), reason="no Docker daemon answers")
def test_missing_base_image_is_reported() -> None:
    error = error_of(run("image.sh", BASE="127.0.0.1:1/none:0"))
    assert "cannot pull the base image 127.0.0.1:1/none:0" in error
    assert "scripts/stand-in-base.sh" in error


@pytest.mark.parametrize(("name", "given"), [("VARIANT", "tpu"), ("WHEELS", "/nowhere"), ("CA_BUNDLE", "/nowhere.crt")])
def test_invalid_option_is_reported(name: str, given: str) -> None:
    done = run("image.sh", **{name: given})
    assert re.search(rf"{name}={given}: ", error_of(done))
    assert len(done.stderr.splitlines()) == 1


def test_stand_in_base_needs_debootstrap(few_programs: str) -> None:
    error = error_of(run("stand-in-base.sh", PATH=few_programs))
    assert re.search("debootstrap|root|only be made on Linux", error)
