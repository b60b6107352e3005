"""The DAG is paused while a release comes: no run begins meanwhile, and none has to do with two."""

from __future__ import annotations

import time

from cloudseg_delivery.records import State
from tests.cloudseg_delivery.conftest import Cloud


def test_a_run_that_goes_on_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 3
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("waiting for scheduled__1") > 1


def test_a_run_that_goes_on_for_too_long_keeps_a_release_out(cloud: Cloud, good: str) -> None:
    cloud.airflow.unfinished = ["scheduled__1"] * 10_000
    done = cloud.deploy()
    assert done.returncode == 2
    assert "scheduled__1 is still running in staging" in done.stderr
    assert cloud.airflow.release == good


def test_a_paused_dag_is_parsed_and_not_tried(cloud: Cloud) -> None:
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("parsed but not tested, because the DAG is paused or a run is queued")
    assert cloud.airflow.paused
    assert cloud.state.good == cloud.name


def test_a_paused_dag_may_be_unpaused(cloud: Cloud) -> None:
    cloud.airflow.paused = True
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert not cloud.airflow.paused
    assert len(cloud.airflow.runs) == 1


def test_no_run_begins_while_a_release_comes(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    # The dry run stands in the queue before anything else may begin.
    assert cloud.airflow.events == ["paused", "triggered", "unpaused", "unpaused"]
    assert not cloud.airflow.paused
    assert not cloud.state.held


def test_after_a_failure_the_dag_is_held_until_the_good_release_is_back(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    cloud.airflow.failing.add(cloud.name)
    assert cloud.deploy().returncode == 1
    assert cloud.airflow.events == ["paused", "triggered", "unpaused", "paused", "triggered", "unpaused", "unpaused"]
    assert not cloud.state.held


def test_a_run_that_begins_just_before_the_pause_is_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.events.clear()
    # Idle at the first look, and not at the second.
    cloud.airflow.starting = ["scheduled__1"]
    done = cloud.deploy("--drain-seconds=60")
    assert done.returncode == 0, done.stderr
    assert cloud.airflow.events[:3] == ["paused", "unpaused", "paused"]


def test_a_dag_that_could_not_be_let_go_is_remembered(cloud: Cloud, good: str) -> None:
    cloud.airflow.refusing_after_pause = 2
    done = cloud.deploy()
    assert done.returncode == 1
    assert "Airflow returned 403" in done.stderr
    assert cloud.airflow.paused
    assert (cloud.state.held, cloud.state.since, cloud.state.tried) == (True, None, ())
    assert cloud.deploy().returncode == 0
    assert not cloud.airflow.paused


def test_a_paused_dag_is_not_waited_for(cloud: Cloud, good: str) -> None:
    cloud.airflow.paused = True
    cloud.airflow.unfinished = ["scheduled__1"]
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert "no dry run: scheduled__1 would have to end first" in done.stdout
    assert cloud.airflow.paused


def test_what_a_killed_delivery_has_paused_is_let_go_by_the_next(cloud: Cloud, good: str) -> None:
    cloud.put("cloudseg/state.json", State(good, ("9.9.9-other",), (good,), time.time() - 60, held=True).to_json())
    staging = cloud.checkout / "deploy/environments/staging.env"
    cloud.commit({"deploy/environments/staging.env": staging.read_text().replace("UNPAUSE=true", "UNPAUSE=false")})
    cloud.airflow.paused = True
    done = cloud.deploy("--take-over")
    assert done.returncode == 0, done.stderr
    assert "its smoke test passed" in done.stdout
    assert not cloud.airflow.paused
    assert cloud.state == State(cloud.name, (), (good, cloud.name))


def test_workers_may_get_a_release_later_than_the_dag_processor(cloud: Cloud, good: str) -> None:
    cloud.airflow.behind = 2
    done = cloud.deploy()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the worker still had 0.0.9-old") == 2
    cloud.commit({"README.md": "again"})
    cloud.airflow.behind = 10_000
    done = cloud.deploy()
    assert "the workers still run release 0.0.9-old" in done.stderr
