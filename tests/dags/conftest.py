"""One real Airflow for all tests of whole runs: its four processes, and the emulator."""

from collections.abc import Iterator

import pytest

from tests.running import RunningAirflow, start_airflow


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    settings = {
        "chunk_objects": 4,
        "retries": 1,
        "segment_retries": 1,
        "retry_delay_seconds": 1,
        "sense_timeout_seconds": 4,
    }
    with start_airflow(tmp_path_factory.mktemp("state"), settings) as running:
        yield running


@pytest.fixture
def clean_airflow(airflow: RunningAirflow) -> RunningAirflow:
    """The same Airflow, with an empty input bucket."""
    airflow.empty_inputs()
    return airflow
