"""Health checks of the services in docker-compose.yaml, as cheap as possible."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_AIRFLOW = "http://api-server:8080/api/v2/monitor/health"
_EMULATOR = "http://127.0.0.1:4443/_emulator/health"
_SECONDS = 10.0

# Airflow's own `jobs check` imports all of Airflow, five seconds of a processor for each look: the API server knows the
# same heartbeats. The key is the service's name, the value that of the part in the API server's answer.
AIRFLOW_PARTS = {
    "api-server": "metadatabase",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
}
SERVICES = ("emulator", *AIRFLOW_PARTS)


def why_unhealthy(service: str, airflow: str = _AIRFLOW, emulator: str = _EMULATOR) -> str | None:
    """Say in one line why a service is unhealthy; None if it is healthy.

    Args:
        service: One of `SERVICES`.
        airflow: The address that tells the health of Airflow's processes.
        emulator: The address that tells the emulator's.
    """
    url = emulator if service == "emulator" else airflow
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  the address is one of two constants
            document = json.load(answer)
    except (OSError, ValueError) as error:
        return f"{url}: {error}"
    return None if service == "emulator" else part_trouble(document, AIRFLOW_PARTS[service])


def part_trouble(health: Mapping[str, Any], part: str) -> str | None:
    """Read in Airflow's answer why one of its parts is unhealthy; None if it is healthy.

    Args:
        health: The answer of Airflow's `monitor/health`.
        part: A key in it.
    """
    found = health.get(part) or {}
    status = found.get("status")
    if status == "healthy":
        return None
    heartbeat = found.get(f"latest_{part}_heartbeat")
    return f"{part} is {status or 'not there yet'}" + (f", last heard of at {heartbeat}" if heartbeat else "")
