"""The gallery over HTTP, on the emulator. Access control is Airflow's, and tested in tests/dags."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.storage import Store
from tests.conftest import Buckets
from tests.gallery.runs import (
    delete,
    done,
    failed,
    put_mask,
    put_photograph,
    quarantine,
    write_plan,
    write_results,
)

_home = tempfile.TemporaryDirectory(prefix="cloudseg-test-airflow-")
# Airflow reads it on its first import, and would write its configuration to ~/airflow.
os.environ.setdefault("AIRFLOW_HOME", _home.name)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

RUN_ID = "manual__2026-08-26T03:00:00+00:00"
PREFIX = "/dags/cloud_segmentation/runs/manual__2026-08-26T03%3A00%3A00%2B00%3A00"


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[None]:
    yield
    _home.cleanup()


@dataclass
class Site:
    """The gallery of one run, and the run's data."""

    client: Any
    store: Store
    buckets: Buckets
    layout: RunLayout
    results: list[Result] = field(default_factory=list)

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        answer = self.client.get(path if path.startswith("/") else f"{PREFIX}/{path}", headers=headers)
        assert answer.status_code == status, answer.text[:2000]
        return answer

    def add(self, name: str, *, keep: bool = True, fraction: float = 0.5, data: bytes | None = None) -> Result:
        version = put_photograph(self.store, self.buckets, name, data)
        put_mask(self.store, self.buckets, version)
        if not keep:
            delete(self.store, self.buckets, version)
        self.results.append(done(version, fraction))
        return self.results[-1]

    def add_bad(self, name: str, reason: str, data: bytes = b"no image") -> Result:
        version = put_photograph(self.store, self.buckets, name, data)
        quarantine(self.store, self.buckets, version, reason)
        delete(self.store, self.buckets, version)
        self.results.append(failed(version, Outcome.QUARANTINED, reason))
        return self.results[-1]

    def write(self) -> None:
        """Write the current results as those of chunk 0; chunk 1 has no results."""
        write_plan(self.store, self.layout, len(self.results), 5)
        write_results(self.store, self.layout, 0, self.results)


@pytest.fixture
def site(store: Store, buckets: Buckets) -> Site:
    from fastapi import FastAPI, Request
    from fastapi.testclient import TestClient

    from cloudseg_ops.gallery.addresses import Addresses
    from cloudseg_ops.gallery.web import access, application
    from cloudseg_ops.gallery.web import buckets as webapp_buckets

    made = application.make_app()
    settings = Settings(
        input_bucket=buckets.input,
        output_bucket=buckets.output,
        staging_bucket=buckets.staging,
        model_repository="https://git.example.org/models.git",
    )

    def run(request: Request, dag_id: str, run_id: str) -> access.VisibleRun:
        return access.VisibleRun(Addresses(request.scope["root_path"], dag_id, run_id), "running")

    made.dependency_overrides[access.may_see_runs] = lambda: None
    made.dependency_overrides[access.find_run] = run
    made.dependency_overrides[webapp_buckets.get_buckets] = lambda: webapp_buckets.Buckets(settings, store)
    outer = FastAPI()
    outer.mount("/cloudseg", made)
    client = TestClient(outer, follow_redirects=False, raise_server_exceptions=False)
    client.base_url = client.base_url.join("/cloudseg")
    return Site(client, store, buckets, buckets.layout(RUN_ID))
