"""A real Airflow for tests of whole runs."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

from cloudseg_local.airflow_api import AirflowApi, AirflowUnreachableError, TaskState
from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.processes import MARKER
from cloudseg_local.stack import Stack
from cloudseg_local.state import INPUT_BUCKET, OUTPUT_BUCKET, STAGING_BUCKET, LocalState
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store

T = TypeVar("T")

# The title of the process of a running task, without the id of its task instance, a UUID of version 7.
TASK = "airflow worker -- 0"


@dataclass
class RunningAirflow:
    """A real Airflow on the emulator's buckets."""

    stack: Stack
    api: AirflowApi
    store: Store

    def upload(self, images: Mapping[str, bytes]) -> None:
        for name, data in images.items():
            self.store.write(GcsUri(INPUT_BUCKET, name), data)
        time.sleep(1.1)  # longer than the settle time of the local setup

    def trigger(self, **params: Any) -> str:
        return self.api.trigger(DAG_ID, params)

    def wait(self, run_id: str, seconds: float = 240) -> str:
        return self.wait_for(lambda: self._ended(run_id), seconds)

    def wait_for(self, found: Callable[[], T | None], seconds: float = 60) -> T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.stack.supervisor.check()
            try:
                if (value := found()) is not None:
                    return value
            except AirflowUnreachableError:
                pass
            time.sleep(0.3)
        raise AssertionError(f"timed out after {seconds} s")

    def run(self, **params: Any) -> tuple[str, str]:
        run_id = self.trigger(**params)
        return run_id, self.wait(run_id)

    def tasks(self, run_id: str) -> dict[str, list[str | None]]:
        states: dict[str, list[str | None]] = {}
        for task in sorted(self.api.task_states(DAG_ID, run_id), key=lambda task: task.map_index):
            states.setdefault(task.task_id, []).append(task.state)
        return states

    def task(self, run_id: str, task_id: str) -> TaskState:
        return next(task for task in self.api.task_states(DAG_ID, run_id) if task.task_id == task_id)

    def log(self, run_id: str, task_id: str) -> str:
        return self.api.task_log(DAG_ID, run_id, self.task(run_id, task_id))

    def instances(self, run_id: str, task_id: str) -> list[dict[str, Any]]:
        """Return the instances of a task as the UI receives them."""
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances?task_id={task_id}"
        found: list[dict[str, Any]] = self.api._send("GET", path).json()["task_instances"]
        return found

    def xcom(self, run_id: str, task_id: str, key: str, map_index: int = -1) -> Any:
        """Return an XCom of a task."""
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        value = self.api._send("GET", f"{path}?map_index={map_index}").json()["value"]
        return json.loads(value) if isinstance(value, str) else value

    def links(self, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str]:
        """Return the links of a task that the UI shows: those that have an address."""
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/links"
        found = self.api._send("GET", path, params={"map_index": map_index}).json()["extra_links"]
        return {name: address for name, address in found.items() if address is not None}

    def change_task(self, run_id: str, task_id: str, map_index: int, change: str) -> None:
        """Mark a task `failed`, or clear it (`cleared`), like a user in the UI."""
        path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/{map_index}"
        if change == "failed":
            self.api._send("PATCH", path, json={"new_state": "failed"})
            return
        cleared = {"dry_run": False, "dag_run_id": run_id, "task_ids": [[task_id, map_index]], "only_failed": False}
        self.api._send("POST", f"/dags/{DAG_ID}/clearTaskInstances", json=cleared)

    def all_logs(self, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Return the concatenated logs of all tries of a task."""
        found = next(
            task
            for task in self.api.task_states(DAG_ID, run_id)
            if (task.task_id, task.map_index) == (task_id, map_index)
        )
        tries = range(1, found.tries + 1)
        return "\n".join(self.api.task_log(DAG_ID, run_id, replace(found, tries=number)) for number in tries)

    def layout(self, run_id: str) -> RunLayout:
        return RunLayout(GcsUri(STAGING_BUCKET), GcsUri(OUTPUT_BUCKET), run_id)

    def audit(self, run_id: str) -> Audit:
        return audit_run(self.store, self.layout(run_id), INPUT_BUCKET)

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        return [info.name for info in self.store.list_objects(GcsUri(bucket, prefix))]

    @contextmanager
    def faults(self, *faults: Mapping[str, Any], latency: float = 0) -> Iterator[None]:
        url = f"{self.stack.state.gcs_url}/_emulator/faults"
        requests.post(url, json={"latency": latency, "faults": list(faults)}, timeout=10).raise_for_status()
        try:
            yield
        finally:
            requests.delete(url, timeout=10).raise_for_status()

    @contextmanager
    def held(self, bucket: str, name: str) -> Iterator[None]:
        """Put an object under a temporary hold, so that it can be neither deleted nor replaced."""
        blob = self.store._client.bucket(bucket).blob(name)
        blob.temporary_hold = True
        blob.patch()
        try:
            yield
        finally:
            blob.temporary_hold = False
            blob.patch()

    def _ended(self, run_id: str) -> str | None:
        state = self.api.run_state(DAG_ID, run_id)
        return state if state in ("success", "failed") else None

    def empty_inputs(self) -> None:
        self.store.delete_many(
            INPUT_BUCKET, [(info.name, info.generation) for info in self.store.list_objects(GcsUri(INPUT_BUCKET))]
        )


@contextmanager
def start_airflow(
    root: Path,
    settings: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    gcs_host: str = "127.0.0.1",
    gcs_port: int | None = None,
) -> Iterator[RunningAirflow]:
    """Run Airflow on free ports; the settings override those of the local setup."""
    state = LocalState(root, ui_port=free_port(), gcs_port=gcs_port or free_port(), gcs_host=gcs_host)
    stack = Stack(state, report=print)
    stack.prepare(settings, environment)
    try:
        store = stack.start_storage()
        api = stack.start_airflow(meanwhile=lambda: None)
        yield RunningAirflow(stack, api, store)
    finally:
        stack.stop()


def kill_process(airflow: RunningAirflow, *words: str) -> int:
    """Send SIGKILL to every process of this Airflow whose command line has one of the words; return their number."""
    killed = 0
    for process in psutil.process_iter():
        try:
            ours = process.environ().get(MARKER) == str(airflow.stack.state.root)
            if ours and any(word in " ".join(process.cmdline()) for word in words):
                process.kill()
                killed += 1
        except psutil.Error:
            continue
    return killed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
