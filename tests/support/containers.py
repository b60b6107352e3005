"""The engine's image in Docker, and its containers with the restrictions of a pod."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from uuid import uuid4

HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the docker client; the caller checks its status."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def why_no_docker() -> str:
    """Return the reason why no container can run here, in one line; empty if one can."""
    if not shutil.which("docker"):
        return "there is no docker client on the PATH"
    answer = docker("version")
    return "" if answer.returncode == 0 else f"no Docker daemon answers: {answer.stderr.strip().splitlines()[-1]}"


@dataclass(frozen=True)
class ImageUnderTest:
    """An image of the engine."""

    name: str

    @cached_property
    def description(self) -> dict[str, Any]:
        """The output of `docker image inspect`."""
        return cast("dict[str, Any]", json.loads(docker("image", "inspect", self.name).stdout)[0])

    def python(self, program: str) -> str:
        """Run a program on the image's Python and return what it prints."""
        done = docker("run", "--rm", "--network=none", "--entrypoint=python", *HARDENED, self.name, "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the engine without a network."""
        return docker("run", "--rm", "--network=none", *HARDENED, self.name, *arguments)

    def start(self, emulator_url: str, arguments: Sequence[str]) -> Container:
        """Start the engine on the host's network, where the emulator listens."""
        name = f"cloudseg-test-{uuid4().hex[:12]}"
        done = docker(
            *("run", "--detach", "--name", name, "--network=host", f"--env=STORAGE_EMULATOR_HOST={emulator_url}"),
            *HARDENED,
            *(self.name, *arguments),
        )
        assert done.returncode == 0, done.stderr
        return Container(name)


@dataclass(frozen=True)
class Container:
    """A container of the engine."""

    name: str

    @property
    def running(self) -> bool:
        return docker("inspect", "--format={{.State.Running}}", self.name).stdout.strip() == "true"

    @property
    def logs(self) -> list[str]:
        done = docker("logs", self.name)
        return (done.stdout + done.stderr).splitlines()

    def wait(self, seconds: float = 90) -> int:
        """Wait for the end of the container and return its exit status."""
        return int(docker("wait", self.name, timeout=seconds).stdout)

    def stop(self, grace: int) -> int:
        """Stop like a kubelet: SIGTERM, and SIGKILL after the grace period. Return the exit status."""
        docker("stop", f"--time={grace}", self.name, timeout=grace + 30)
        return self.wait(10)

    def remove(self) -> None:
        docker("rm", "--force", self.name)
