"""A stand-in for Airflow's REST API, with the few routes that a delivery calls. It reads the DAG folder."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.contracts.versions import release_name


@dataclass
class AirflowStandIn:
    """The state of the stand-in, and the calls that it received.

    Attributes:
        dags: The folder that it has parsed.
        url: Its address.
        failing: Releases whose dry runs fail.
        hanging: Releases whose dry runs never end.
        paused: Whether the DAG is paused.
        unfinished: Other unfinished runs; one ends at each query.
        broken: The text of the import error, if there is one.
        answers: Status codes of the first responses.
        starting: Other runs that start after the next query.
        refusing_after_pause: How many calls after a pause are rejected.
        behind: Queries at which the workers still have another release.
        events: The calls that change something.
        stray: Bodies of a proxy's 404s, which are the first responses.
        runs: Triggered runs: id → request body.
        states: Run → state.
        tokens: Bearer tokens that were received.
    """

    dags: Path
    url: str = ""
    failing: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    paused: bool = False
    unfinished: list[str] = field(default_factory=list)
    broken: str = ""
    answers: list[int] = field(default_factory=list)
    starting: list[str] = field(default_factory=list)
    refusing_after_pause: int = 0
    behind: int = 0
    events: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    runs: dict[str, Any] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)

    @property
    def release(self) -> str | None:
        """The release whose DAG is in the folder."""
        commit = self.dags / "cloudseg_ops" / "contracts" / "commit.py"
        if not commit.exists() or not (self.dags / "cloud_segmentation.py").exists():
            return None
        found = re.search('COMMIT = "(.*)"', commit.read_text())
        return release_name(__version__, found[1] if found else "")

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: PLR0911  (a route each)
        if self.answers:
            return self.answers.pop(0), {"detail": "on purpose"}
        if self.paused and self.refusing_after_pause:
            self.refusing_after_pause -= 1
            return 403, {"detail": "on purpose"}
        if path.startswith("/api/v2/importErrors"):
            errors = [{"filename": "cloud_segmentation.py", "stack_trace": self.broken}] if self.broken else []
            return 200, {"import_errors": errors}
        if self.release is None:
            return 404, {"detail": "no such DAG"}
        if path.endswith("/taskInstances/plan_chunks/xcomEntries/release"):
            self.behind -= 1
            return 200, {"key": "release", "value": self.release if self.behind < 0 else "0.0.9-old"}
        if found := re.fullmatch(r"/api/v2/dags/cloud_segmentation/dagRuns/([^/?]+)(/taskInstances\?.*)?", path):
            return self._run(method, found[1], bool(found[2]), body)
        if path.startswith("/api/v2/dags/cloud_segmentation/dagRuns"):
            return self._runs(method, body)
        if method == "PATCH":
            self.paused = body["is_paused"]
            self.events.append("paused" if self.paused else "unpaused")
        tags = [{"name": name} for name in ("cloudseg", self.release)]
        return 200, {"tags": tags, "is_paused": self.paused, "has_import_errors": bool(self.broken)}

    def _runs(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            going_on = [{"dag_run_id": name} for name in self.unfinished]
            # A run of a paused DAG does not end.
            self.unfinished = [*(self.unfinished if self.paused else self.unfinished[1:]), *self.starting]
            self.starting = []
            return 200, {"dag_runs": going_on}
        self.events.append("triggered")
        self.runs[body["dag_run_id"]] = body
        release = str(self.release)
        ends = "failed" if release in self.failing else "success"
        self.states[body["dag_run_id"]] = "queued" if release in self.hanging else ends
        return 200, body

    def _run(self, method: str, run_id: str, tasks: bool, body: Any) -> tuple[int, Any]:
        if method == "PATCH":
            self.states[run_id] = body["state"]
        state = self.states[run_id]
        if not tasks:
            return 200, {"state": state}
        pulled = {"success": "success", "failed": "failed", "queued": None}[state]
        states = {"sense_inputs": "success", "pull_model": pulled, "plan_chunks": pulled}
        return 200, {"task_instances": [{"task_id": task, "state": found} for task, found in states.items()]}


@contextmanager
def airflow_on(dags: Path) -> Iterator[AirflowStandIn]:
    stand_in = AirflowStandIn(dags)

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            stand_in.tokens.add(str(self.headers["Authorization"]))
            if stand_in.stray:
                code, text = 404, stand_in.stray.pop(0).encode()
            else:
                code, answer = stand_in.answer(self.command, self.path, body)
                text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815  (named by the library)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
