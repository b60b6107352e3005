"""Pods with another container next to the engine, as a service mesh or a team's template adds them."""

import time

import pytest

from tests.kubernetes.conftest import IMAGE, Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("kubernetes")]

# It runs longer than the test, and ignores SIGTERM, as a shell's child does.
_RUNS_ON = ["python", "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"]
_FAILS = ["python", "-c", "raise SystemExit(7)"]


def _add_container(site: Site, name: str, command: list[str]) -> None:
    sidecar = {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    site.overlay({"spec": {"containers": [sidecar]}})


@pytest.mark.parametrize(
    ("name", "command"), [("istio-proxy", _RUNS_ON), ("log-shipper", _RUNS_ON), ("log-shipper", _FAILS)]
)
def test_run_succeeds_whatever_a_sidecar_does(site: Site, name: str, command: list[str]) -> None:
    _add_container(site, name, command)
    site.upload("sidecar", 6)
    began = time.monotonic()
    run_id = site.airflow.trigger()
    assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
    assert time.monotonic() - began < 180
    assert site.tries(run_id) == [1]
    site.assert_all_done(run_id, "sidecar", 6)


def test_failed_engine_fails_the_task_next_to_istio_proxy(site: Site) -> None:
    _add_container(site, "istio-proxy", _RUNS_ON)
    site.upload("denied", 4)
    refused = {"action": "status", "status": 403, "path": r"/denied/.*alt=media", "times": 1000}
    with site.airflow.faults(refused):
        run_id = site.airflow.trigger()
        assert site.airflow.wait(run_id) == "failed"
    assert site.airflow.tasks(run_id)["segment"] == ["failed"]
    site.cluster.await_empty()
    assert site.airflow.audit(run_id).places["input"] == 4
