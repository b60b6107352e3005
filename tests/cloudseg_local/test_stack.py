import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cloudseg_local.stack import Stack
from cloudseg_local.state import LocalState
from cloudseg_ops.contracts.errors import LocalError

PODS = {"runtime": "kubernetes", "cluster": "kind-x", "namespace": "cloudseg", "image": "mine:dev"}


@pytest.fixture
def ui_port() -> Iterator[int]:
    """The port of a server that answers like a healthy Airflow."""

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            names = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({name: {"status": "healthy"} for name in names}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def _stack(root: Path, ui_port: int, gcs_host: str = "127.0.0.1", runtime: dict[str, str] | None = None) -> Stack:
    return Stack(LocalState(root, ui_port, 4443, gcs_host=gcs_host), print, runtime)


def test_running_stack_is_reused_with_the_same_options(tmp_path: Path, ui_port: int) -> None:
    assert not _stack(tmp_path, ui_port).running()
    _stack(tmp_path, ui_port, "172.18.0.1", PODS).leave_running()
    assert _stack(tmp_path, ui_port, "172.18.0.1", PODS).running()
    _stack(tmp_path, ui_port).leave_running()
    assert _stack(tmp_path, ui_port).running()


def test_stack_of_an_older_version_is_reused(tmp_path: Path, ui_port: int) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"ui_port": ui_port, "gcs_port": 4443}))
    assert _stack(tmp_path, ui_port).running()


def test_stack_with_other_options_is_rejected(tmp_path: Path, ui_port: int) -> None:
    _stack(tmp_path, ui_port).leave_running()
    with pytest.raises(LocalError, match=r"with other options \(gcs_host 127.0.0.1, runtime local\).*`make down`"):
        _stack(tmp_path, ui_port, "172.18.0.1", PODS).running()
    with pytest.raises(LocalError, match=rf"ui_port {ui_port}\)"):
        _stack(tmp_path, 1).running()
    _stack(tmp_path, ui_port, "172.18.0.1", PODS).leave_running()
    with pytest.raises(LocalError, match=r"\(namespace cloudseg\)"):
        _stack(tmp_path, ui_port, "172.18.0.1", {**PODS, "namespace": "mine"}).running()
    with pytest.raises(LocalError, match="runtime kubernetes, cluster kind-x, namespace cloudseg, image mine:dev"):
        _stack(tmp_path, ui_port).running()


def test_record_of_a_stopped_stack_is_ignored(tmp_path: Path) -> None:
    _stack(tmp_path, 1).leave_running()
    assert not _stack(tmp_path, 1, "172.18.0.1", PODS).running()
