"""Health checks against the real emulator, and against Airflow's response over HTTP."""

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
    ("service", "problem"),
    [
        ("api-server", None),
        ("scheduler", None),
        ("triggerer", "triggerer is unhealthy, last heartbeat at 2026-11-24T11:00:00Z"),
        ("dag-processor", "dag_processor is not reported yet"),
    ],
)
def test_health_of_airflow_s_components(airflow: str, service: str, problem: str | None) -> None:
    assert why_unhealthy(service, airflow=airflow) == problem


def test_health_of_the_emulator(emulator: Emulator) -> None:
    assert why_unhealthy("emulator", emulator=f"{emulator.url}/_emulator/health") is None
    assert "501" in str(why_unhealthy("emulator", emulator=f"{emulator.url}/_emulator/nowhere"))


@pytest.mark.parametrize("service", ["emulator", *AIRFLOW_COMPONENTS])
def test_service_that_does_not_answer(service: str) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert str(why_unhealthy(service, airflow=url, emulator=url)).startswith(f"{url}: ")


def test_answer_without_the_component() -> None:
    assert component_problem({}, "scheduler") == "scheduler is not reported yet"


def test_health_check_imports_nothing_heavy() -> None:
    # Every service runs it every few seconds.
    heavy = {"airflow", "google.cloud.storage", "pydantic", "requests", "PIL", "yaml"}
    program = f"import sys; import cloudseg_local.compose.__main__; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
