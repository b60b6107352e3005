"""CLOUDSEG_DEFERRABLE: the triggerer waits for the pods, and runs survive the same faults."""

import time
from collections.abc import Iterator

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import REPORT, Site, open_site, swept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.xdist_group("kubernetes")]


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(cluster, tmp_path_factory.mktemp("deferred"), deferrable=True) as site:
        yield site


@pytest.fixture
def deferred(running: Site) -> Iterator[Site]:
    with swept(running) as site:
        yield site


def test_deferred_task_occupies_a_pool_slot_while_its_pod_runs(deferred: Site) -> None:
    deferred.upload("deferred", 32)
    deferred.airflow.api.set_pool("cloudseg_gpu", 1, "One chunk at once")
    with deferred.slow_storage():
        run_id = deferred.run_until("deferred", 2)
        assert sorted(map(str, deferred.airflow.tasks(run_id)["segment"])) == ["deferred", "scheduled"]
        assert len(deferred.cluster.pods()) == 1
        deferred.airflow.api.set_pool("cloudseg_gpu", 4, "Chunks at once, deferred ones included")
        assert deferred.airflow.wait(run_id) == "success", deferred.airflow.tasks(run_id)
        assert deferred.uploads_begun() == 32 + REPORT
    assert "progress: " in deferred.logs(run_id)
    deferred.assert_all_done(run_id, "deferred", 32)


def test_preempted_pod_is_replaced_by_a_retry(deferred: Site) -> None:
    deferred.upload("gone", 16)
    with deferred.slow_storage():
        run_id = deferred.run_until("gone", 3)
        pod = deferred.cluster.running()[0].metadata.name
        deferred.cluster.preempt(pod)
        assert deferred.airflow.wait(run_id) == "success", deferred.airflow.tasks(run_id)
    assert deferred.tries(run_id) == [2]
    assert f"pod {pod} was deleted while it ran" in deferred.logs(run_id)
    deferred.assert_all_done(run_id, "gone", 16)


def test_unschedulable_pod_fails_the_run(deferred: Site) -> None:
    deferred.upload("nowhere", 2)
    deferred.overlay({"spec": {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-h100-mega"}}})
    run_id = deferred.airflow.trigger()
    assert deferred.airflow.wait(run_id, 300) == "failed"
    assert "found no node" in deferred.logs(run_id)
    assert deferred.airflow.audit(run_id).places["input"] == 2
    deferred.cluster.await_empty()


def test_teardown_deletes_the_pod_of_a_task_marked_failed(deferred: Site) -> None:
    deferred.upload("orphan", 16)
    with deferred.slow_storage():
        run_id = deferred.run_until("orphan", 2)
        deferred.airflow.change_task(run_id, "segment", 0, "failed")
        assert deferred.airflow.wait(run_id) == "failed"
        deferred.cluster.await_empty()
    assert deferred.airflow.audit(run_id).holds


def test_run_survives_a_minute_without_the_api_server(deferred: Site) -> None:
    deferred.upload("away", 24)
    with deferred.slow_storage(0.5):
        run_id = deferred.run_until("away", 2)
        with deferred.proxy.blocked():
            time.sleep(60)
        assert deferred.airflow.wait(run_id) == "success", deferred.airflow.tasks(run_id)
        assert deferred.uploads_begun() == 24 + REPORT
    deferred.assert_all_done(run_id, "away", 24)
