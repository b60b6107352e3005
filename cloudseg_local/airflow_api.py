"""A client for the parts of Airflow's public REST API that the local setup uses."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests

from cloudseg_ops.config.pools import DESCRIPTION, pool_fields
from cloudseg_ops.contracts.errors import LocalError

_TIMEOUT = 30
_TRIES = 5


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task instance, as the API reports it.

    Attributes:
        task_id: Task of the instance.
        map_index: Index in a mapped task; -1 otherwise.
        state: Airflow's name for the state; None before the instance is scheduled.
        tries: Number of the current try.
    """

    task_id: str
    map_index: int
    state: str | None
    tries: int


class AirflowApi:
    """A client of one Airflow instance, logged in as one user."""

    def __init__(self, url: str, user: str, password: str) -> None:
        """Store the credentials; the first call logs in."""
        self._url = url
        self._login = {"username": user, "password": password}
        self._session = requests.Session()

    def healthy(self) -> bool:
        """Return whether the API server, scheduler, DAG processor and triggerer are all healthy."""
        try:
            response = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=_TIMEOUT)
            parts = response.json() if response.ok else {}
        except (requests.RequestException, ValueError):
            return False
        names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((parts.get(name) or {}).get("status") == "healthy" for name in names)

    def has_dag(self, dag_id: str) -> bool:
        """Return whether Airflow has parsed a DAG.

        Raises:
            LocalError: A DAG file cannot be parsed; the message contains Airflow's traceback.
        """
        response = self._send("GET", f"/dags/{dag_id}", accept=(200, 404))
        if response.status_code == 200 and not response.json().get("has_import_errors"):
            return True
        errors = self._send("GET", "/importErrors").json()["import_errors"]
        if errors:
            raise LocalError(f"Airflow cannot parse {errors[0]['filename']}:\n{errors[0]['stack_trace']}")
        return False

    def set_pool(self, name: str, slots: int, description: str = DESCRIPTION) -> None:
        """Create a pool or update its slots and description."""
        pool = pool_fields(slots, description)
        if self._send("POST", "/pools", json={"name": name, **pool}, accept=(201, 409)).status_code == 409:
            self._send("PATCH", f"/pools/{name}", json={"pool": name, **pool})

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a DAG run and return its id."""
        now = datetime.now(UTC).isoformat()
        run_id = f"manual__{now}"
        run = {"dag_run_id": run_id, "logical_date": now, "conf": conf}
        # 409: an earlier try reached the server, but its response was lost.
        self._send("POST", f"/dags/{dag_id}/dagRuns", json=run, accept=(200, 201, 409))
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: `queued`, `running`, `success` or `failed`."""
        return str(self._send("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json()["state"])

    def unfinished_runs(self, dag_id: str) -> list[str]:
        """Return the ids of up to 100 runs that are queued or running."""
        query = {"state": ["queued", "running"], "limit": 100}
        runs = self._send("GET", f"/dags/{dag_id}/dagRuns", params=query).json()["dag_runs"]
        return [str(run["dag_run_id"]) for run in runs]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed, which stops its running tasks."""
        self._send("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})

    def task_states(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return the task instances of a run (at most 1,000)."""
        path, query = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", {"limit": 1000}
        found = self._send("GET", path, params=query).json()["task_instances"]
        return [
            TaskState(item["task_id"], item["map_index"], item["state"], item.get("try_number") or 0) for item in found
        ]

    def task_log(self, dag_id: str, run_id: str, task: TaskState) -> str:
        """Return the log of a task instance's last try as text, exceptions with their message."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{max(task.tries, 1)}"
        response = self._send(
            "GET", path, params={"map_index": task.map_index, "full_content": True}, accept=(200, 404)
        ).json()
        content = response.get("content") or []
        return "\n".join(_as_text(line) for line in content)

    def _send(self, method: str, path: str, *, accept: tuple[int, ...] = (200, 201), **request: Any) -> Any:
        for attempt in range(_TRIES):
            if "Authorization" not in self._session.headers:
                self._log_in()
            try:
                response = self._session.request(method, f"{self._url}/api/v2{path}", timeout=_TIMEOUT, **request)
            except requests.RequestException as error:
                raise AirflowUnreachableError(f"Airflow at {self._url} does not answer: {error}") from error
            if response.status_code == 401:
                del self._session.headers["Authorization"]
            elif response.status_code < 500:
                break
            # SQLite allows one writer at a time; Airflow returns 500 when a write times out waiting for the lock.
            time.sleep(attempt)
        if response.status_code not in accept:
            raise LocalError(f"Airflow returned {response.status_code} for {method} {path}: {response.text[:500]}")
        return response

    def _log_in(self) -> None:
        try:
            response = self._session.post(f"{self._url}/auth/token", json=self._login, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise AirflowUnreachableError(f"Airflow at {self._url} does not answer: {error}") from error
        if not response.ok:
            raise LocalError(f"Airflow rejected the login of {self._login['username']!r}: {response.text[:500]}")
        self._session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def _as_text(line: Any) -> str:
    if not isinstance(line, dict):
        return str(line)
    raised = [f"{error.get('exc_type')}: {error.get('exc_value')}" for error in line.get("error_detail") or []]
    return "\n".join([str(line.get("event", "")), *raised])


class AirflowUnreachableError(LocalError):
    """The API server does not answer; it may be restarting."""
