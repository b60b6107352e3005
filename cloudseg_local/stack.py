"""Starts and stops the local services: the emulator, the example registry and Airflow."""

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
        self, state: LocalState, report: Callable[[str], None], runtime: Mapping[str, str] | None = None
    ) -> None:
        """Create the stack without starting anything.

        Args:
            state: The state folder, ports and addresses.
            report: Receives progress messages for the terminal.
            runtime: Where chunks run; a later command must pass the same value to use services left by `leave_running`.
                None: as processes on this machine.
        """
        self.state = state
        self._runtime = dict(runtime or {"runtime": "local"})
        self.supervisor = Supervisor(report)
        self._report = report
        self._environment: dict[str, str] = {}

    def api(self, user: str = ADMIN) -> AirflowApi:
        """Return a client of the stack's Airflow that logs in as `user`."""
        return AirflowApi(self.state.ui_url, user, self.state.secret(f"{user}-password"))

    def store(self) -> Store:
        """Return a store on the stack's emulator."""
        return connect(self.state.gcs_url)

    def running(self) -> bool:
        """Return whether `make up` has left the services running with these ports and this runtime.

        Raises:
            LocalError: The services are running with other options.
        """
        if not self.state.up_file.exists():
            return False
        up = read_up_file(self.state)
        if up != self._identity() and _is_answering(up["ui_port"]):
            differences = ", ".join(
                f"{name} {value}" for name, value in up.items() if value != self._identity().get(name)
            )
            raise LocalError(
                f"cloudseg is already running with other options ({differences}); use the same ones, or run "
                "`make down` first"
            )
        return _is_answering(self.state.ui_port) and self.api().healthy()

    def end_leftovers(self) -> None:
        """End processes that a killed command left running."""
        self.state.up_file.unlink(missing_ok=True)
        if found := leftovers(self.state.root):
            self._report(f"ending {len(found)} processes that an earlier command left running")
            end_processes(found)

    def prepare(self, settings: Mapping[str, object], environment: Mapping[str, str] | None = None) -> None:
        """Check the machine's programs, disk and ports, and set the environment of the services.

        Args:
            settings: cloudseg settings that replace the local defaults, as the `overrides` of `airflow_environment`.
            environment: Further environment variables of Airflow's processes.

        Raises:
            LocalError: A program is missing, the disk is full, or a port is taken.
        """
        require_program("git")
        require_free_disk(self.state.root)
        require_free_port(self.state.ui_port, "UI_PORT", "Airflow's UI")
        require_free_port(self.state.gcs_port, "GCS_PORT", "the GCS emulator", self.state.gcs_host)
        self._environment = airflow_environment(self.state, settings, environment)

    def start_storage(self) -> Store:
        """Start the emulator, create the three buckets and return a store on them."""
        self.supervisor.start(emulator_service(self.state, self._environment))
        self._wait(lambda: is_healthy(self.state.gcs_url), "the GCS emulator", 30)
        store = self.store()
        for bucket in (INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET):
            store.create_bucket(bucket)
        return store

    def start_airflow(self, meanwhile: Callable[[], None], slots: int | None = None) -> AirflowApi:
        """Start Airflow, and return a client once it is healthy, has parsed the DAG and has its pool.

        Args:
            meanwhile: Called while Airflow starts.
            slots: Slots of the pool; None chooses by the machine's CPUs.

        Raises:
            LocalError: Airflow does not become ready, or the DAG cannot be parsed.
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
        # Same as `cloudseg pool`, without the seconds that starting Airflow's command line takes.
        api.set_pool(POOL, slots or chunks_at_once())
        return api

    def stop(self) -> bool:
        """Stop the started services and any orphaned child processes; does nothing after `leave_running`.

        Returns:
            Whether anything was stopped.
        """
        if not self.supervisor.process_ids:
            return False
        self.supervisor.stop()
        end_processes(leftovers(self.state.root))
        return True

    def leave_running(self) -> None:
        """Leave the services running when this command ends."""
        write_private(self.state.up_file, self._identity())
        self.supervisor.detach()

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        wait_until(ready, what, seconds=seconds, check=self.supervisor.check)

    def _identity(self) -> dict[str, Any]:
        state = self.state
        ports = {"ui_port": state.ui_port, "gcs_port": state.gcs_port, "gcs_host": state.gcs_host}
        return {**ports, **self._runtime}


def _is_answering(ui_port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{ui_port}/api/v2/monitor/health", timeout=5).ok
    except requests.RequestException:
        return False
