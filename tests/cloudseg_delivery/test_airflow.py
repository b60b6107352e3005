"""Calls of Airflow's REST API and a whole smoke test, against a real Airflow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from cloudseg_delivery.airflow import Airflow
from cloudseg_delivery.programs import Programs
from cloudseg_delivery.records import Release
from cloudseg_delivery.smoke import Patience, smoke_test
from cloudseg_local.state import INPUT_BUCKET
from cloudseg_ops.contracts.errors import DeliveryError, SmokeTestError
from cloudseg_ops.contracts.versions import RELEASE
from tests.support.running import RunningAirflow, start_airflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("delivery")]
ROOT = Path(__file__).parents[2]
PATIENCE = Patience(parse_seconds=60, run_seconds=120, poll_seconds=0.5)
# gcloud's `storage cp FILE URI` and `storage rm URI`, on the emulator.
GCLOUD = """#!{python}
import sys, urllib.parse, urllib.request
bucket, _, name = sys.argv[-1].removeprefix("gs://").partition("/")
name, gcs = urllib.parse.quote(name, safe=""), "{gcs}"
if sys.argv[2] == "cp":
    url = f"{{gcs}}/upload/storage/v1/b/{{bucket}}/o?uploadType=media&name={{name}}"
    request = urllib.request.Request(url, open(sys.argv[3], "rb").read(), {{"Content-Type": "image/png"}})
else:
    request = urllib.request.Request(f"{{gcs}}/storage/v1/b/{{bucket}}/o/{{name}}", method="DELETE")
urllib.request.urlopen(request).read()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAirflow]:
    settings = {"retries": 0, "sense_timeout_seconds": 20}
    with start_airflow(tmp_path_factory.mktemp("state"), settings) as airflow:
        yield airflow


@pytest.fixture
def airflow(running: RunningAirflow) -> Airflow:
    def token() -> str:
        answer = requests.post(f"{running.api._url}/auth/token", json=running.api._login, timeout=30)
        return str(answer.json()["access_token"])

    return Airflow(running.api._url, token, patience_seconds=30, pause_seconds=0.5)


@pytest.fixture
def programs(running: RunningAirflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(GCLOUD.format(python=sys.executable, gcs=running.stack.state.gcs_url))
    gcloud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Programs(ROOT, print)


def release(name: str = RELEASE) -> Release:
    return Release(name, "0.1.0", "", "", {}, {"CLOUDSEG_INPUT_BUCKET": INPUT_BUCKET}, {})


def test_smoke_test_of_a_working_release_passes(running: RunningAirflow, airflow: Airflow, programs: Programs) -> None:
    airflow.set_paused(True)
    assert smoke_test(airflow, programs, release(), PATIENCE, resume=True)
    dag = airflow.dag()
    assert dag
    assert not dag["is_paused"]
    assert running.names(INPUT_BUCKET) == []
    assert airflow.unfinished_runs() == []
    assert airflow.import_errors() == []


def test_smoke_test_fails_if_airflow_lacks_the_release(airflow: Airflow, programs: Programs) -> None:
    with pytest.raises(SmokeTestError, match=r"has not parsed cloud_segmentation of release 9\.9\.9"):
        smoke_test(airflow, programs, release("9.9.9"), Patience(1, 1, 1, 0.5), resume=True)


def test_waiting_run_is_listed_and_can_be_failed(airflow: Airflow) -> None:
    # The bucket is empty: the sensor waits.
    airflow.trigger("waiting__1", {"dry_run": True, "input_prefix": "nothing/"})
    airflow.trigger("waiting__1", {"dry_run": True, "input_prefix": "nothing/"})  # as after a lost response
    assert airflow.unfinished_runs() == ["waiting__1"]
    airflow.fail_run("waiting__1")
    assert airflow.run_state("waiting__1") == "failed"
    assert set(airflow.task_states("waiting__1")) >= {"sense_inputs", "plan_chunks"}


def test_paused_dag_stays_paused(airflow: Airflow, programs: Programs) -> None:
    airflow.set_paused(True)
    assert not smoke_test(airflow, programs, release(), PATIENCE, resume=False)
    dag = airflow.dag()
    assert dag
    assert dag["is_paused"]
    airflow.set_paused(False)


def test_airflow_s_error_message_is_passed_on(airflow: Airflow) -> None:
    with pytest.raises(
        DeliveryError, match=r"Airflow returned 4\d\d for POST /dags/cloud_segmentation/dagRuns: .*max_objects"
    ):
        airflow.trigger("wrong", {"max_objects": 0})
