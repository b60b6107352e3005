"""One real Airflow for all tests of whole runs: its four processes and the emulator."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudseg_local.airflow_server import ADMIN, VIEWER
from tests.dags.logins import STRANGER
from tests.support.running import RunningAirflow, start_airflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    settings = {
        "chunk_objects": 4,
        "retries": 1,
        "segment_retries": 1,
        "retry_delay_seconds": 1,
        "sense_timeout_seconds": 4,
    }
    with start_airflow(tmp_path_factory.mktemp("state"), settings, _more_users_and_dags()) as running:
        yield running


def _more_users_and_dags() -> dict[str, str]:
    bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
    others = {"path": str(Path(__file__).parent / "others")}
    return {
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.dags.logins.StrangerAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin,{VIEWER}:viewer,{STRANGER}:viewer",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(
            [
                {"name": "dags-folder", "classpath": bundle, "kwargs": {}},
                {"name": "others", "classpath": bundle, "kwargs": others},
            ]
        ),
    }


@pytest.fixture
def clean_airflow(airflow: RunningAirflow) -> RunningAirflow:
    """The same Airflow, with an empty input bucket."""
    airflow.empty_inputs()
    return airflow
