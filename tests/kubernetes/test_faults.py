"""Faults of Spot nodes, injected: no image is lost, no pod is left, few images are segmented twice."""

import time
from pathlib import Path

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_ops.pods import CONTAINER
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import IN_FLIGHT, REPORT, Site, open_site, settings_of, swept
from tests.support.running import TASK, kill_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.xdist_group("kubernetes")]


def test_pod_preempted_with_25_s_of_grace_loses_no_work(site: Site) -> None:
    site.upload("preempted", 16)
    with site.slow_storage(0.5):
        run_id = site.run_until("preempted", 3)
        pod = site.cluster.running()[0].metadata.name
        site.cluster.preempt(pod)
        site.airflow.wait_for(lambda: True if pod not in _names(site) else None, 60)
        kept = len(site.masks("preempted"))
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        # It stopped cleanly: its images in flight were finished, and are not segmented again.
        assert site.uploads_begun() == 16 + REPORT
    assert kept > 3
    assert site.tries(run_id) == [2]
    log = site.logs(run_id)
    assert f"pod {pod} was deleted while it ran" in log
    assert "a retry does the rest" in log
    site.assert_all_done(run_id, "preempted", 16)


def test_killed_container_is_replaced_by_a_retry(site: Site) -> None:
    site.upload("killed", 16)
    with site.slow_storage():
        run_id = site.run_until("killed", 3)
        site.cluster.kill_container(site.cluster.running()[0])
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert site.uploads_begun() <= 16 + REPORT + IN_FLIGHT
    assert site.tries(run_id) == [2]
    assert "container was killed (SIGKILL)" in site.logs(run_id)
    site.assert_all_done(run_id, "killed", 16)


def test_out_of_memory_pod_is_replaced_by_a_retry(cluster: Cluster, tmp_path: Path) -> None:
    # With its default, the limit of the container, the engine would not start.
    options = f"{settings_of(cluster, tmp_path, '')['engine_options']} --memory 2Gi"
    with open_site(cluster, tmp_path, engine_options=options) as running, swept(running) as site:
        site.upload("memory", 4)
        small = {"requests": {"memory": "120Mi"}, "limits": {"memory": "120Mi"}}
        site.overlay({"spec": {"containers": [{"name": CONTAINER, "resources": small}]}})
        run_id = site.airflow.trigger()
        site.airflow.wait_for(lambda: True if (site.tries(run_id) or [0])[0] >= 2 else None, 120)
        site.overlay({})
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert "needed more memory than 120Mi" in site.logs(run_id)
        assert "CLOUDSEG_POD_MEMORY" in site.logs(run_id)
        site.assert_all_done(run_id, "memory", 4)


def test_pod_with_too_little_memory_reports_how_much_is_needed(site: Site) -> None:
    site.upload("small", 2)
    small = {"requests": {"memory": "512Mi"}, "limits": {"memory": "512Mi"}}
    site.overlay({"spec": {"containers": [{"name": CONTAINER, "resources": small}]}})
    run_id = site.airflow.trigger()
    assert site.airflow.wait(run_id) == "failed"
    assert "set at least 956 MiB with --memory, and give the pod as much (CLOUDSEG_POD_MEMORY)" in site.logs(run_id)
    assert site.airflow.audit(run_id).places["input"] == 2


def test_unusable_gpu_fails_the_chunk_with_the_reason(cluster: Cluster, tmp_path: Path) -> None:
    """The pod must use the GPU that it pays for, but this image's PyTorch has no CUDA."""
    with open_site(cluster, tmp_path, device="cuda", segment_retries=0) as running, swept(running) as site:
        site.upload("device", 2)
        run_id = site.airflow.trigger()
        assert site.airflow.wait(run_id) == "failed"
        assert "DeviceError: the GPU cannot be used" in site.logs(run_id)
        assert "VARIANT=cuda" in site.failure_summary(run_id)
        assert site.airflow.audit(run_id).places["input"] == 2


def test_missing_image_fails_the_run(site: Site) -> None:
    site.upload("image", 2)
    site.overlay({"spec": {"containers": [{"name": CONTAINER, "image": "cloudseg-inference:no-such-tag"}]}})
    run_id, state = site.airflow.run()
    assert state == "failed"
    tasks = site.airflow.tasks(run_id)
    assert (tasks["segment"], tasks["report"], tasks["release_pods"]) == (["failed"], ["failed"], ["success"])
    last = site.failure_summary(run_id)
    assert "cannot get the image cloudseg-inference:no-such-tag" in last, last
    _assert_untouched(site, run_id, 2)


def test_unschedulable_pod_fails_the_run(site: Site) -> None:
    site.upload("unschedulable", 2)
    site.overlay({"spec": {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-h100-mega"}}})
    began = time.monotonic()
    run_id = site.airflow.trigger()
    assert site.airflow.wait(run_id, 300) == "failed"
    # Three tries of 40 s each.
    assert 3 * 40 < time.monotonic() - began < 3 * 40 + 100
    last = site.failure_summary(run_id)
    assert "found no node" in last, last
    assert "gke-accelerator=nvidia-h100-mega" in last, last
    assert "didn't match" in last, last
    _assert_untouched(site, run_id, 2)


def test_retry_of_a_killed_task_process_resumes_the_pod(site: Site) -> None:
    site.upload("worker", 16)
    with site.slow_storage():
        run_id = site.run_until("worker", 2)
        before = _names(site)
        assert kill_process(site.airflow, TASK)
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert site.uploads_begun() == 16 + REPORT
    assert len(before) == 1
    assert f"resuming pod {before[0]} of an earlier try: Running" in site.logs(run_id)
    site.assert_all_done(run_id, "worker", 16)


def test_run_survives_killed_scheduler_and_workers(site: Site) -> None:
    site.upload("scheduler", 24)
    with site.slow_storage(0.6):
        run_id = site.run_until("scheduler", 2)
        assert kill_process(site.airflow, "airflow scheduler", "airflow worker")
        assert site.airflow.wait(run_id, 240) == "success", site.airflow.tasks(run_id)
        # No pod was restarted: running pods continued, and ended ones were recognized.
        assert site.uploads_begun() == 24 + REPORT
    site.assert_all_done(run_id, "scheduler", 24)


@pytest.mark.parametrize("change", ["failed", "cleared"])
def test_pod_stops_when_its_task_is_failed_or_cleared(site: Site, change: str) -> None:
    site.upload(change, 16)
    with site.slow_storage(0.5):
        run_id = site.run_until(change, 2)
        pod = site.cluster.running()[0].metadata.name
        site.airflow.change_task(run_id, "segment", 0, change)
        # The pod gets SIGTERM immediately, and stops within its grace period.
        site.airflow.wait_for(lambda: True if pod not in _names(site) else None, 60)
        state = site.airflow.wait(run_id)
        assert site.uploads_begun() == len(site.masks(change)) + REPORT
    if change == "cleared":
        assert state == "success", site.airflow.tasks(run_id)
        site.assert_all_done(run_id, change, 16)
        return
    assert (state, site.airflow.tasks(run_id)["segment"]) == ("failed", ["failed"])
    audit = site.airflow.audit(run_id)
    assert audit.holds
    assert 0 < audit.places["masked"] < 16
    site.cluster.await_empty()


def test_pods_are_deleted_when_the_run_is_marked_failed(site: Site) -> None:
    site.upload("marked", 16)
    with site.slow_storage(0.5):
        run_id = site.run_until("marked", 2)
        site.airflow.api.fail_run(DAG_ID, run_id)
        site.cluster.await_empty(90)
    assert site.airflow.audit(run_id).holds
    assert site.airflow.tasks(run_id)["segment"] == ["failed"]


def test_run_survives_a_minute_without_the_api_server(site: Site) -> None:
    site.upload("away", 16)
    with site.slow_storage(0.5):
        run_id = site.run_until("away", 2)
        with site.proxy.blocked():
            time.sleep(60)
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert site.uploads_begun() == 16 + REPORT
    assert site.tries(run_id) == [1]
    assert "the Kubernetes API does not answer" in site.logs(run_id)
    site.assert_all_done(run_id, "away", 16)


def _names(site: Site) -> list[str]:
    return [pod.metadata.name for pod in site.cluster.pods()]


def _assert_untouched(site: Site, run_id: str, count: int) -> None:
    assert site.airflow.audit(run_id).places["input"] == count
    site.cluster.await_empty()
