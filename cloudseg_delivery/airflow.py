"""A client for the parts of Airflow's REST API that a delivery uses, authorized with gcloud's access token."""

from __future__ import annotations

import copy
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from cloudseg_ops.contracts.errors import DeliveryError, MissingPermissionError

DAG_ID = "cloud_segmentation"
_TIMEOUT = 60


class Airflow:
    """A client of Airflow's REST API.

    Args:
        url: Base URL, without a trailing slash.
        token: Returns an access token; called again when one has expired.
        patience_seconds: How long to retry while Airflow does not answer; Composer restarts it at each change.
        pause_seconds: Time between two tries.
    """

    def __init__(
        self, url: str, token: Callable[[], str], *, patience_seconds: float = 600, pause_seconds: float = 5
    ) -> None:
        self._url = url
        self._token = token
        self._bearer = ""
        self._patience = patience_seconds
        self._pause = pause_seconds

    def with_patience(self, patience_seconds: float) -> Airflow:
        """Return a copy of this client with another time limit for retries."""
        other = copy.copy(self)
        other._patience = patience_seconds
        return other

    def dag(self) -> Mapping[str, Any] | None:
        """Return the DAG as Airflow has parsed it; None if Airflow has not parsed it."""
        found: Mapping[str, Any] | None = self._call("GET", f"/dags/{DAG_ID}", missing=True)
        return found

    def import_errors(self) -> list[str]:
        """Return the import errors of cloudseg's files, as `file: last line of the traceback`."""
        found = (self._call("GET", "/importErrors?" + urlencode({"limit": 100})) or {})["import_errors"]
        return [
            f"{error['filename']}: {str(error['stack_trace']).strip().splitlines()[-1]}"
            for error in found
            if "cloudseg" in error["stack_trace"] or DAG_ID in error["filename"]
        ]

    def unfinished_runs(self) -> list[str]:
        """Return the ids of up to 100 runs of the DAG that are queued or running."""
        query = urlencode({"state": ["queued", "running"], "limit": 100}, doseq=True)
        found = self._call("GET", f"/dags/{DAG_ID}/dagRuns?{query}", missing=True)
        return [str(run["dag_run_id"]) for run in (found or {"dag_runs": []})["dag_runs"]]

    def set_paused(self, paused: bool) -> None:
        """Pause or unpause the DAG; while it is paused, no task starts, not even in a running DAG run."""
        self._call("PATCH", f"/dags/{DAG_ID}", {"is_paused": paused})

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run."""
        # 409: an earlier try reached the server, but its response was lost.
        self._call("POST", f"/dags/{DAG_ID}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf})

    def run_state(self, run_id: str) -> str:
        """Return the state of a run: `queued`, `running`, `success` or `failed`."""
        return str((self._call("GET", self._run(run_id)) or {})["state"])

    def fail_run(self, run_id: str) -> None:
        """Mark a run as failed, so that it does not block the next one."""
        self._call("PATCH", self._run(run_id), {"state": "failed"})

    def xcom_value(self, run_id: str, task_id: str, key: str) -> Any:
        """Return an XCom value of a task in a run; None if the task has not set that key."""
        path = f"{self._run(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return (self._call("GET", path, missing=True) or {}).get("value")

    def task_states(self, run_id: str) -> dict[str, str | None]:
        """Return a map from task id to state; for a mapped task, the state of one of its instances."""
        found = self._call("GET", f"{self._run(run_id)}/taskInstances?limit=1000") or {}
        return {str(task["task_id"]): task["state"] for task in found["task_instances"]}

    def _run(self, run_id: str) -> str:
        return f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}"

    def _call(self, method: str, path: str, body: Any = None, *, missing: bool = False) -> Any:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return self._send(method, path, body)
            except urllib.error.HTTPError as error:
                text = error.read().decode("utf-8", "replace")
                # While Airflow restarts, the proxy in front of it may also return 404, with a different body.
                from_airflow = _is_airflows(text)
                text = text[:300]
                if error.code == 404 and missing and from_airflow:
                    return None
                if error.code == 409 and method == "POST":
                    return {}
                if error.code == 401:
                    self._bearer = ""
                elif error.code < 500 and (from_airflow or error.code != 404):
                    raise _refusal(error.code, f"{method} {path}", text) from None
                why = f"{error.code}: {text}"
            except (OSError, ValueError, http.client.HTTPException) as error:
                why = f"{type(error).__name__}: {error}"
            if time.monotonic() > deadline:
                raise DeliveryError(f"Airflow at {self._url} does not answer {method} {path}: {why}")
            time.sleep(self._pause)

    def _send(self, method: str, path: str, body: Any) -> Any:
        self._bearer = self._bearer or self._token()
        request = urllib.request.Request(  # noqa: S310  (the address is Composer's)
            f"{self._url}/api/v2{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._bearer}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            text = response.read()
        return json.loads(text) if text else {}


def _is_airflows(text: str) -> bool:
    try:
        return "detail" in json.loads(text)
    except (ValueError, TypeError):
        return False


def _refusal(code: int, call: str, text: str) -> DeliveryError:
    message = f"Airflow returned {code} for {call}: {text}"
    if code == 403:
        return MissingPermissionError(f"{message}. The deployer needs the Airflow role Op; see docs/delivery.md")
    return DeliveryError(message)
