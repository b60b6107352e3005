"""Health checks for the services of docker-compose.yaml."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_AIRFLOW = "http://api-server:8080/api/v2/monitor/health"
_EMULATOR = "http://127.0.0.1:4443/_emulator/health"
_SECONDS = 10.0

# The API server reports the same heartbeats as `airflow jobs check`, which would import all of Airflow: 5 s of CPU per
# check. Keys are service names, values are the names in the API server's response.
AIRFLOW_COMPONENTS = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
SERVICES = ("emulator", *AIRFLOW_COMPONENTS)


def why_unhealthy(service: str, airflow: str = _AIRFLOW, emulator: str = _EMULATOR) -> str | None:
    """Return in one line why a service is unhealthy; None if it is healthy.

    Args:
        service: One of `SERVICES`.
        airflow: URL of Airflow's health endpoint.
        emulator: URL of the emulator's health endpoint.
    """
    url = emulator if service == "emulator" else airflow
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as response:  # noqa: S310  the address is one of two constants
            document = json.load(response)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return None if service == "emulator" else component_problem(document, AIRFLOW_COMPONENTS[service])


def component_problem(health: Mapping[str, Any], component: str) -> str | None:
    """Return why one of Airflow's components is unhealthy; None if it is healthy.

    Args:
        health: The response of Airflow's `monitor/health`.
        component: Name of the component, a key of `health`.
    """
    found = health.get(component) or {}
    status = found.get("status")
    if status == "healthy":
        return None
    heartbeat = found.get(f"latest_{component}_heartbeat")
    return f"{component} is {status or 'not reported yet'}" + (f", last heartbeat at {heartbeat}" if heartbeat else "")
