"""A pod whose engine says that no retry can help, over real HTTP: also for a task that was deferred."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowFailException

from cloudseg_ops.contracts.errors import ChunkUnfinishedError
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from cloudseg_ops.pods import CONTAINER
from tests.support.pod_samples import ended, seen
from tests.support.segment_pods import CHUNK, MODEL, context, settings

LOG = "2026-11-24 INFO cloudseg\n2026-11-24 ERROR NonFiniteWeightsError: model v1: head.bias is NaN\n"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An API server with one pod, which has failed."""
    state = SimpleNamespace(pod={}, deleted=[])

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0].endswith("/log"):
                self._answer(LOG.encode(), "text/plain")
            elif "/events" in self.path:
                self._answer(json.dumps({"kind": "EventList", "items": []}).encode())
            else:
                self._answer(json.dumps(state.pod).encode())

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.deleted.append(self.path.partition("?")[0].rpartition("/")[2])
            self._answer(json.dumps(state.pod).encode())

        def _answer(self, body: bytes, kind: str = "application/json") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(path)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))
    yield state
    server.shutdown()
    server.server_close()


def resumed(api: SimpleNamespace, code: int) -> tuple[KubernetesSegmentOperator, dict[str, Any]]:
    pod = seen("Failed", ended(code, "Error", LOG))
    api.pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    api.pod["metadata"].setdefault("namespace", "cloudseg")
    for status in api.pod["status"]["containerStatuses"]:
        status |= {"imageID": "engine", "ready": False, "restartCount": 0}
    api.pod["spec"].setdefault("containers", [{"name": CONTAINER}])
    operator = KubernetesSegmentOperator(
        task_id="segment", settings=settings(DEFERRABLE="true"), chunk=CHUNK, model=MODEL
    )
    name = api.pod["metadata"]["name"]
    return operator, {"name": name, "namespace": "cloudseg", "status": "failed", "message": "it failed"}


def test_a_deferred_task_fails_at_once(api: SimpleNamespace) -> None:
    operator, event = resumed(api, 4)
    told = rf"^NonFiniteWeightsError: pod {event['name']}: model v1: head\.bias is NaN$"
    with pytest.raises(AirflowFailException, match=told):
        operator.trigger_reentry(context(), event)
    assert api.deleted == [event["name"]]


def test_the_same_log_of_an_older_engine_is_retried(api: SimpleNamespace) -> None:
    operator, event = resumed(api, 1)
    with pytest.raises(ChunkUnfinishedError, match=r"exit code 1 .*a retry does the rest"):
        operator.trigger_reentry(context(), event)
