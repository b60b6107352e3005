"""A whole setup under Docker, as the tests start and inspect it."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from cloudseg_local.airflow_api import AirflowApi
from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.emulator import connect
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, REPOSITORY
from cloudseg_ops.contracts.errors import CloudsegError
from cloudseg_ops.storage import Store
from tests.compose.composefile import services
from tests.support.containers import docker, why_no_docker
from tests.support.samples import names_in

T = TypeVar("T")
LOGIN = "/var/lib/cloudseg/login"


def compose_command() -> list[str] | None:
    """The installed Compose: v2, or else v1."""
    if docker("compose", "version").returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def why_no_compose() -> str:
    """One line saying why the setup cannot be started here; empty if it can."""
    if reason := why_no_docker():
        return reason
    if compose_command() is None:
        return "there is neither `docker compose` nor `docker-compose`"
    ours, postgres = (services()[name]["image"] for name in ("scheduler", "postgres"))
    if docker("image", "inspect", ours).returncode:
        return f"there is no image {ours}: tests/compose/try.sh builds it"
    if docker("image", "inspect", postgres).returncode and docker("pull", postgres, timeout=600).returncode:
        return f"the image {postgres} cannot be had: tests/compose/try.sh makes a stand-in"
    return ""


def clone(folder: Path) -> None:
    """Copy the files that a clone of this tree has."""
    listed = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, folder / name)


@dataclass(frozen=True)
class Project:
    """One setup: a folder with a clone, with its own name and ports."""

    folder: Path
    project: str
    ui_port: int
    gcs_port: int
    changes: dict[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, timeout: float = 900, stdin: IO[bytes] | int | None = None) -> str:
        """Run Compose in the folder; returns its output."""
        environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "UI_PORT": str(self.ui_port),
            "GCS_PORT": str(self.gcs_port),
            **self.changes,
        }
        done = subprocess.run(
            [*(compose_command() or ()), *arguments],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def execute(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command, timeout=120)

    def containers(self) -> dict[str, dict[str, Any]]:
        """The output of `docker inspect` for each container, by service."""
        ids = docker("ps", "--all", "--quiet", "--filter", self._label).stdout.split()
        found = json.loads(docker("inspect", *ids).stdout) if ids else []
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in found}

    def left(self) -> list[str]:
        """Ids of the containers, volumes and networks with the project's name."""
        kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        return [name for kind in kinds for name in docker(*kind, "--quiet", "--filter", self._label).stdout.split()]

    def health(self) -> dict[str, str]:
        """State of each service: its health, or whether it runs or how it exited."""
        states = {name: each["State"] for name, each in self.containers().items()}
        return {
            name: state.get("Health", {}).get("Status") or f"{state['Status']} {state['ExitCode']}"
            for name, state in states.items()
        }

    def await_healthy(self, seconds: float = 240) -> None:
        def well() -> bool | None:
            states = self.health().values()
            return True if states and all(state in ("healthy", "exited 0") for state in states) else None

        self.wait_for(well, seconds)

    def wait_for(self, found: Callable[[], T | None], seconds: float = 120) -> T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if (value := found()) is not None:
                    return value
            except (CloudsegError, OSError, ValueError):
                pass  # Airflow or its database is restarting.
            time.sleep(1)
        raise AssertionError(f"it did not come about in {seconds:.0f} s; {self.health()}")

    @cached_property
    def password(self) -> str:
        """The administrator's password, from the command in the docs."""
        return self.execute("api-server", "cat", f"{LOGIN}/password").strip()

    @cached_property
    def api(self) -> AirflowApi:
        return AirflowApi(f"http://127.0.0.1:{self.ui_port}", "admin", self.password)

    @cached_property
    def store(self) -> Store:
        return connect(f"http://127.0.0.1:{self.gcs_port}")

    def trigger(self) -> str:
        return self.wait_for(lambda: self.api.trigger(DAG_ID, {}))

    def states(self, run_id: str, task_id: str) -> list[str | None]:
        return [task.state for task in self.api.task_states(DAG_ID, run_id) if task.task_id == task_id]

    def await_end(self, run_id: str, seconds: float = 420) -> str:
        def end() -> str | None:
            state = self.api.run_state(DAG_ID, run_id)
            return state if state in ("success", "failed") else None

        return self.wait_for(end, seconds)

    def audit(self, run_id: str) -> dict[str, Any]:
        """Run the audit as an operator does; fails if an input is lost."""
        output = self.execute("scheduler", "cloudseg", "audit", "--json", "--run", run_id)
        return cast("dict[str, Any]", json.loads(output))

    def assert_all_done(self, run_id: str, objects: int, masks: int, prefix: str = "") -> None:
        """Assert that nothing is lost or left in INPUT, and that the prefix has this many masks."""
        audit = self.audit(run_id)
        assert audit["holds"]
        assert audit["objects"] == objects
        assert names_in(self.store, INPUT_BUCKET) == []
        names = names_in(self.store, OUTPUT_BUCKET)
        assert len([name for name in names if name.startswith(prefix) and name.endswith(".mask.png")]) == masks

    @property
    def _label(self) -> str:
        return f"label=com.docker.compose.project={self.project}"
