"""The few Airflow API calls that a delivery makes, authenticated with gcloud's access token."""

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
        url: Its address, without a slash at the end.
        token: Gives an access token; asked again when one has expired.
        patience_seconds: How long an Airflow that does not answer is waited for: Composer restarts it at each change.
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

    def hurried(self, patience_seconds: float) -> Airflow:
        """The same client with shorter timeouts."""
        other = copy.copy(self)
        other._patience = patience_seconds
        return other

    def dag(self) -> Mapping[str, Any] | None:
        """The DAG as Airflow has parsed it; None if it has not."""
        found: Mapping[str, Any] | None = self._call("GET", f"/dags/{DAG_ID}", missing=True)
        return found

    def import_errors(self) -> list[str]:
        """What keeps files of cloudseg from being parsed: `file: last line of the trace`."""
        found = (self._call("GET", "/importErrors?" + urlencode({"limit": 100})) or {})["import_errors"]
        return [
            f"{error['filename']}: {str(error['stack_trace']).strip().splitlines()[-1]}"
            for error in found
            if "cloudseg" in error["stack_trace"] or DAG_ID in error["filename"]
        ]

    def unfinished_runs(self) -> list[str]:
        """Ids of the DAG's runs that are queued or running."""
        query = urlencode({"state": ["queued", "running"], "limit": 100}, doseq=True)
        found = self._call("GET", f"/dags/{DAG_ID}/dagRuns?{query}", missing=True)
        return [str(run["dag_run_id"]) for run in (found or {"dag_runs": []})["dag_runs"]]

    def set_paused(self, paused: bool) -> None:
        """Pause the DAG, so that no task begins, not even of an active run; or unpause it."""
        self._call("PATCH", f"/dags/{DAG_ID}", {"is_paused": paused})

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run."""
        # 409: an earlier try got through, although its answer did not.
        self._call("POST", f"/dags/{DAG_ID}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf})

    def run_state(self, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        return str((self._call("GET", self._run(run_id)) or {})["state"])

    def fail_run(self, run_id: str) -> None:
        """Mark a run as failed, so that it no longer blocks other runs."""
        self._call("PATCH", self._run(run_id), {"state": "failed"})

    def told_by(self, run_id: str, task_id: str, key: str) -> Any:
        """The XCom value that a task of a run pushed under a key; None if there is none."""
        path = f"{self._run(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return (self._call("GET", path, missing=True) or {}).get("value")

    def task_states(self, run_id: str) -> dict[str, str | None]:
        """Task → state; of a mapped task, that of one of its instances."""
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
                said = error.read().decode("utf-8", "replace")
                # What stands before an Airflow that restarts may say 404 as well, in other words.
                ours = _is_airflows(said)
                said = said[:300]
                if error.code == 404 and missing and ours:
                    return None
                if error.code == 409 and method == "POST":
                    return {}
                if error.code == 401:
                    self._bearer = ""
                elif error.code < 500 and (ours or error.code != 404):
                    raise _refusal(error.code, f"{method} {path}", said) from None
                why = f"{error.code}: {said}"
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
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else {}


def _is_airflows(said: str) -> bool:
    try:
        return "detail" in json.loads(said)
    except (ValueError, TypeError):
        return False


def _refusal(code: int, call: str, said: str) -> DeliveryError:
    told = f"Airflow answered {code} to {call}: {said}"
    if code == 403:
        return MissingPermissionError(f"{told}. The deployer needs Airflow's role Op: docs/delivery.md says how")
    return DeliveryError(told)
