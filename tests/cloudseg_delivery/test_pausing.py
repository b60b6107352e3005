"""The DAG is paused during a delivery: no run starts, and no run uses two releases."""

from __future__ import annotations

import time

import pytest

from cloudseg_delivery.records import State
from tests.cloudseg_delivery.conftest import Cloud

pytestmark = pytest.mark.slow


def test_unfinished_run_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 3
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("waiting for scheduled__1") > 1


def test_unfinished_run_blocks_the_release_after_the_drain_time(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 10_000
    done = cloud.deploy()
    assert done.returncode == 2
    assert "scheduled__1 is still running in staging" in done.stderr
    assert cloud.airflow.release == good


def test_paused_dag_is_parsed_but_not_smoke_tested(cloud: Cloud) -> None:
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("parsed but not tested, because the DAG is paused or a run is queued")
    assert cloud.airflow.paused
    assert cloud.state.good == cloud.name


def test_paused_dag_is_unpaused_if_configured(cloud: Cloud) -> None:
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert not cloud.airflow.paused
    assert len(cloud.airflow.runs) == 1


def test_no_run_starts_during_a_delivery(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    # The dry run is queued before any other run can start.
    assert cloud.airflow.events == ["paused", "triggered", "unpaused", "unpaused"]
    assert not cloud.airflow.paused
    assert not cloud.state.held


def test_dag_stays_paused_until_the_rollback_succeeds(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    cloud.airflow.failing.add(cloud.name)
    assert cloud.deploy().returncode == 1
    assert cloud.airflow.events == ["paused", "triggered", "unpaused", "paused", "triggered", "unpaused", "unpaused"]
    assert not cloud.state.held


def test_run_that_starts_just_before_the_pause_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    # Idle at the first query, and not at the second.
    cloud.airflow.starting = ["scheduled__1"]
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert cloud.airflow.events[:3] == ["paused", "unpaused", "paused"]


def test_failed_unpause_is_recorded_and_repeated(cloud: Cloud, good: str) -> None:
    cloud.airflow.refusing_after_pause = 2
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Airflow returned 403" in done.stderr
    assert cloud.airflow.paused
    assert (cloud.state.held, cloud.state.since, cloud.state.tried) == (True, None, ())
    assert cloud.deploy().returncode == 0
    assert not cloud.airflow.paused


def test_runs_of_a_paused_dag_are_not_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.paused = True
    cloud.airflow.unfinished = ["scheduled__1"]
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert "no dry run: scheduled__1 would have to end first" in done.stdout
    assert cloud.airflow.paused


def test_next_delivery_unpauses_after_a_killed_one(cloud: Cloud, good: str) -> None:
    cloud.put("cloudseg/state.json", State(good, ("9.9.9-other",), (good,), time.time() - 60, held=True).to_json())
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy("--take-over")
    assert done.returncode == 0, done.stderr
    assert "its smoke test passed" in done.stdout
    assert not cloud.airflow.paused
    assert cloud.state == State(cloud.name, (), (good, cloud.name))


def test_workers_can_lag_behind_the_dag_processor(cloud: Cloud, good: str) -> None:
    cloud.airflow.behind = 2
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the worker still had 0.0.9-old") == 2
    cloud.commit({"README.md": "again"})
    cloud.airflow.behind = 10_000
    done = cloud.deploy()
    assert "the workers still run release 0.0.9-old" in done.stderr
