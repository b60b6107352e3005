"""Fixtures that many tests share: the emulator over HTTP, three buckets in it, and a store on them."""

import os
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.storage import Store
from gcs_emulator import Emulator, start_emulator

_numbers = count()
_home = tempfile.TemporaryDirectory(prefix="cloudseg-test-airflow-")
# Airflow reads it on its first import, and would write its configuration to ~/airflow.
os.environ.setdefault("AIRFLOW_HOME", _home.name)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")


_LONGEST_ID = 80
_REQUIRED = os.environ.get("CLOUDSEG_REQUIRED", "").lower().split()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parametrized test the same in every process; pytest numbers equal names.

    pytest-xdist refuses to run if two workers collect different names. A file made while the tests are collected
    may hold the time (as a zip archive does), and its bytes would be the name.
    """
    if isinstance(val, bytes | bytearray):
        return argname
    if isinstance(val, str) and len(val) > _LONGEST_ID:
        return val[:_LONGEST_ID].encode("unicode_escape").decode() + "..."
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Fail tests that were skipped because something in CLOUDSEG_REQUIRED is missing, such as `terraform`."""
    report = yield
    reason = report.longrepr[2].lower() if report.skipped and isinstance(report.longrepr, tuple) else ""
    if missing := [word for word in _REQUIRED if word in reason]:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CLOUDSEG_REQUIRED asks for {missing[0]}: {reason}"
    return report


@dataclass(frozen=True)
class Buckets:
    """Names of three buckets that other tests do not use."""

    input: str
    output: str
    staging: str

    def layout(self, run_id: str) -> RunLayout:
        return RunLayout(GcsUri(self.staging), GcsUri(self.output), run_id)


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[None]:
    yield
    _home.cleanup()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with start_emulator() as running:
        yield running


@pytest.fixture
def store(emulator: Emulator) -> Store:
    return Store(emulator.client())


@pytest.fixture
def buckets(store: Store) -> Buckets:
    number = next(_numbers)
    made = Buckets(f"test-input-{number}", f"test-output-{number}", f"test-staging-{number}")
    for name in (made.input, made.output, made.staging):
        store.create_bucket(name)
    return made


@pytest.fixture
def layout(buckets: Buckets) -> RunLayout:
    return buckets.layout("test-run")
