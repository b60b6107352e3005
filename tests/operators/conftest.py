"""Airflow, kept out of the home directory."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_home = tempfile.TemporaryDirectory(prefix="cloudseg-test-airflow-")
# Airflow reads it when it is first imported, and would write its configuration to ~/airflow.
os.environ.setdefault("AIRFLOW_HOME", _home.name)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[Path]:
    yield Path(_home.name)
    _home.cleanup()
