"""The health checks against the real emulator, and against an answer of Airflow's as it is over HTTP."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cloudseg_local.compose.health import AIRFLOW_COMPONENTS, component_problem, why_unhealthy
from gcs_emulator import Emulator
from tests.support.running import free_port

HEALTH: dict[str, Any] = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-11-24T12:00:00Z"},
    "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": "2026-11-24T11:00:00Z"},
    "dag_processor": {"status": None, "latest_dag_processor_heartbeat": None},
}


@pytest.fixture
def airflow() -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(HEALTH).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("service", "trouble"),
    [
        ("api-server", None),
        ("scheduler", None),
        ("triggerer", "triggerer is unhealthy, last heartbeat at 2026-11-24T11:00:00Z"),
        ("dag-processor", "dag_processor is not reported yet"),
    ],
)
def test_what_airflow_says_of_its_parts(airflow: str, service: str, trouble: str | None) -> None:
    assert why_unhealthy(service, airflow=airflow) == trouble


def test_the_emulator(emulator: Emulator) -> None:
    assert why_unhealthy("emulator", emulator=f"{emulator.url}/_emulator/health") is None
    assert "501" in str(why_unhealthy("emulator", emulator=f"{emulator.url}/_emulator/nowhere"))


@pytest.mark.parametrize("service", ["emulator", *AIRFLOW_COMPONENTS])
def test_nobody_answers(service: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert str(why_unhealthy(service, airflow=url, emulator=url)).startswith(f"{url}: ")


def test_an_answer_without_the_part() -> None:
    assert component_problem({}, "scheduler") == "scheduler is not reported yet"


def test_a_look_imports_next_to_nothing() -> None:
    # It is made every few seconds by each service.
    heavy = {"airflow", "google.cloud.storage", "pydantic", "requests", "PIL", "yaml"}
    program = f"import sys; import cloudseg_local.compose.__main__; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
