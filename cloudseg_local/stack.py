"""Brings the local services up and down: the emulator, the example registry and a real Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from cloudseg_local.airflow_api import AirflowApi
from cloudseg_local.airflow_server import (
    ADMIN,
    DAG_ID,
    airflow_environment,
    airflow_services,
    chunks_at_once,
    migrate_database,
)
from cloudseg_local.emulator import connect, emulator_service, is_healthy
from cloudseg_local.example_registry import build_example_registry
from cloudseg_local.preflight import require_free_disk, require_free_port, require_program
from cloudseg_local.processes import Supervisor, end_processes, leftovers, wait_until
from cloudseg_local.state import (
    INPUT_BUCKET,
    OUTPUT_BUCKET,
    REPOSITORY,
    STAGING_BUCKET,
    LocalState,
    read_up_file,
    write_private,
)
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.storage import Store

POOL = "cloudseg_gpu"
_WEIGHTS = REPOSITORY / "examples" / "cloud_unet" / "weights"
_START_SECONDS = 180.0


class Stack:
    """The local services of one state folder."""

    def __init__(
        self, state: LocalState, tell: Callable[[str], None], runtime: Mapping[str, str] | None = None
    ) -> None:
        """Prepare to start nothing yet.

        Args:
            state: The state folder, ports and addresses.
            tell: Tells the person at the terminal what is being done.
            runtime: Where chunks run, as a later command must want it, too, to use what `leave_up` left; None: as
                processes on this machine.
        """
        self.state = state
        self._runtime = dict(runtime or {"runtime": "local"})
        self.supervisor = Supervisor(tell)
        self._tell = tell
        self._environment: dict[str, str] = {}

    def api(self, user: str = ADMIN) -> AirflowApi:
        """A client of the stack's Airflow, logged in as that user."""
        return AirflowApi(self.state.ui_url, user, self.state.secret(f"{user}-password"))

    def store(self) -> Store:
        """A client of the stack's emulator."""
        return connect(self.state.gcs_url)

    def running(self) -> bool:
        """Whether `make up` has left the services running, with these ports and this runtime.

        Raises:
            LocalError: It has, with others.
        """
        if not self.state.up_file.exists():
            return False
        up = read_up_file(self.state)
        if up != self._identity() and _answers(up["ui_port"]):
            differing = ", ".join(
                f"{name} {value}" for name, value in up.items() if value != self._identity().get(name)
            )
            raise LocalError(
                f"cloudseg is up with other options ({differing}); give the same ones, or `make down` first"
            )
        return _answers(self.state.ui_port) and self.api().healthy()

    def end_leftovers(self) -> None:
        """End what an earlier command was killed before it could end."""
        self.state.up_file.unlink(missing_ok=True)
        if found := leftovers(self.state.root):
            self._tell(f"ending {len(found)} processes that an earlier command left behind")
            end_processes(found)

    def prepare(self, settings: Mapping[str, object], environment: Mapping[str, str] | None = None) -> None:
        """Check what the machine must have, before anything is started.

        Args:
            settings: Variables of cloudseg that are to differ from the local setup's own, as `airflow_environment`
                takes them.
            environment: Further environment variables of Airflow's processes.

        Raises:
            LocalError: Something is missing, taken or full.
        """
        require_program("git")
        require_free_disk(self.state.root)
        require_free_port(self.state.ui_port, "UI_PORT", "Airflow's UI")
        require_free_port(self.state.gcs_port, "GCS_PORT", "the GCS emulator", self.state.gcs_host)
        self._environment = airflow_environment(self.state, settings, environment)

    def start_storage(self) -> Store:
        """Start the emulator and make the three buckets."""
        self.supervisor.start(emulator_service(self.state, self._environment))
        self._wait(lambda: is_healthy(self.state.gcs_url), "the GCS emulator", 30)
        store = self.store()
        for bucket in (INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET):
            store.create_bucket(bucket)
        return store

    def start_airflow(self, meanwhile: Callable[[], None], slots: int | None = None) -> AirflowApi:
        """Start Airflow, and do `meanwhile` while it starts.

        Gives it back when it is healthy, has parsed the DAG and has its pool, of `slots` or as many as this machine
        takes.
        """
        registry = self.state.registry, self.state.registry_remote
        with ThreadPoolExecutor(max_workers=1) as pool:
            migration = pool.submit(migrate_database, self.state, self._environment)
            build_example_registry(_WEIGHTS, *registry)
            migration.result()
        for service in airflow_services(self.state, self._environment):
            self.supervisor.start(service)
        meanwhile()
        api = self.api()
        self._wait(api.healthy, "Airflow", _START_SECONDS)
        self._wait(lambda: api.has_dag(DAG_ID), f"the DAG {DAG_ID}", 60)
        # As `cloudseg pool` does it; its command would start a whole Airflow for it, seconds more.
        api.set_pool(POOL, slots or chunks_at_once())
        return api

    def stop(self) -> bool:
        """End what was started, and what a service that was killed has orphaned; nothing after `leave_up`.

        Returns:
            Whether anything was.
        """
        if not self.supervisor.process_ids:
            return False
        self.supervisor.stop()
        end_processes(leftovers(self.state.root))
        return True

    def leave_up(self) -> None:
        """Leave the services running after this command."""
        write_private(self.state.up_file, self._identity())
        self.supervisor.leave()

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        wait_until(ready, what, seconds=seconds, check=self.supervisor.check)

    def _identity(self) -> dict[str, Any]:
        state = self.state
        ports = {"ui_port": state.ui_port, "gcs_port": state.gcs_port, "gcs_host": state.gcs_host}
        return {**ports, **self._runtime}


def _answers(ui_port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{ui_port}/api/v2/monitor/health", timeout=5).ok
    except requests.RequestException:
        return False
