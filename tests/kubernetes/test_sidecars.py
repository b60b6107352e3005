"""Pods with another container next to the engine, as a service mesh or a team's template adds them."""

import time
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import IMAGE, Site, open_site, swept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("kubernetes")]

# It runs longer than the test, and ignores SIGTERM, as a shell's child does.
_RUNS_ON = ["python", "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"]
_FAILS = ["python", "-c", "raise SystemExit(7)"]
_NO_IMAGE = "cloudseg-inference:no-such-tag"


def add_container(site: Site, name: str, command: list[str], image: str = IMAGE) -> None:
    sidecar = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    site.overlay({"spec": {"containers": [sidecar]}})


@pytest.mark.parametrize(
    ("name", "command"), [("istio-proxy", _RUNS_ON), ("log-shipper", _RUNS_ON), ("log-shipper", _FAILS)]
)
def test_run_succeeds_whatever_a_sidecar_does(site: Site, name: str, command: list[str]) -> None:
    add_container(site, name, command)
    site.upload("sidecar", 6)
    began = time.monotonic()
    run_id = site.airflow.trigger()
    assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
    assert time.monotonic() - began < 180
    assert site.tries(run_id) == [1]
    site.assert_all_done(run_id, "sidecar", 6)


def test_run_succeeds_next_to_a_container_that_cannot_start(site: Site) -> None:
    add_container(site, "log-shipper", _RUNS_ON, _NO_IMAGE)
    site.upload("pending", 6)
    run_id = site.airflow.trigger()
    assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
    assert site.tries(run_id) == [1]
    site.assert_all_done(run_id, "pending", 6)


@pytest.mark.parametrize("image", [IMAGE, _NO_IMAGE], ids=["runs on", "cannot start"])
def test_deferred_run_succeeds_whatever_a_sidecar_does(cluster: Cluster, tmp_path: Path, image: str) -> None:
    with open_site(cluster, tmp_path, deferrable=True) as running, swept(running) as site:
        add_container(site, "log-shipper", _RUNS_ON, image)
        site.upload("deferred", 6)
        run_id = site.airflow.trigger()
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert site.tries(run_id) == [1]
        site.assert_all_done(run_id, "deferred", 6)


def test_exit_code_2_fails_the_task_next_to_istio_proxy(cluster: Cluster, tmp_path: Path) -> None:
    options = "--no-such-option"
    with open_site(cluster, tmp_path, engine_options=options, segment_retries=0) as running, swept(running) as site:
        add_container(site, "istio-proxy", _RUNS_ON)
        site.upload("usage", 2)
        began = time.monotonic()
        run_id = site.airflow.trigger()
        assert site.airflow.wait(run_id) == "failed"
        assert time.monotonic() - began < 120
        assert site.airflow.tasks(run_id)["segment"] == ["failed"]
        assert "the engine rejects its command line" in site.failure_summary(run_id)
        site.cluster.await_empty()
        assert site.airflow.audit(run_id).places["input"] == 2


def test_failed_engine_fails_the_task_next_to_istio_proxy(site: Site) -> None:
    add_container(site, "istio-proxy", _RUNS_ON)
    site.upload("denied", 4)
    refused = {"action": "status", "status": 403, "path": r"/denied/.*alt=media", "times": 1000}
    with site.airflow.faults(refused):
        run_id = site.airflow.trigger()
        assert site.airflow.wait(run_id) == "failed"
    assert site.airflow.tasks(run_id)["segment"] == ["failed"]
    site.cluster.await_empty()
    assert site.airflow.audit(run_id).places["input"] == 4
