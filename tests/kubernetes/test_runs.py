"""Whole runs whose chunks are pods on a real cluster."""

import pytest

from cloudseg_local.state import OUTPUT_BUCKET
from cloudseg_ops import __version__
from cloudseg_ops.contracts.provenance import MaskProvenance
from cloudseg_ops.contracts.uris import GcsUri
from tests.kubernetes.conftest import REPORT, Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.xdist_group("kubernetes")]


def test_run_on_kubernetes_writes_masks(site: Site) -> None:
    site.upload("pods", 20)
    with site.slow_storage(0.1):
        run_id = site.airflow.trigger(model_revision="v1")
        pod = site.cluster.wait_for_pod(lambda pod: pod.status.phase == "Running", 150)
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
        assert site.uploads_begun() == 20 + REPORT
    labels = pod.metadata.labels
    provenance = MaskProvenance.from_metadata(
        site.airflow.store.stat(GcsUri(OUTPUT_BUCKET, site.masks("pods")[0])).metadata  # type: ignore[union-attr]
    )
    assert provenance is not None
    assert labels["cloudseg-model-commit"] == provenance.model_commit
    assert labels["app.kubernetes.io/version"] == __version__
    assert (labels["dag_id"], labels["map_index"], labels["try_number"]) == (
        "cloud_segmentation", labels["cloudseg-chunk"], "1",
    )  # fmt: skip
    assert pod.metadata.annotations["cloudseg-run-id"] == run_id
    log = site.logs(run_id)
    assert "images" in log
    assert "left" in log
    site.assert_all_done(run_id, "pods", 20)


def test_a_third_chunk_waits_for_one_of_two_gpus(site: Site) -> None:
    if site.cluster.gpus() != 2:
        pytest.skip("the cluster has not exactly two GPUs")
    site.upload("third", 48)
    with site.slow_storage(0.1):
        run_id = site.airflow.trigger()
        site.cluster.wait_for_pod(_unschedulable, 150)
        site.airflow.wait_for(lambda: True if len(site.cluster.running()) == 2 else None)
        assert [pod for pod in site.cluster.pods() if pod.status.phase == "Pending" and _unschedulable(pod)]
        assert site.airflow.wait(run_id) == "success", site.airflow.tasks(run_id)
    assert site.tries(run_id) == [1, 1, 1]
    site.assert_all_done(run_id, "third", 48)


def _unschedulable(pod: object) -> bool:
    conditions = pod.status.conditions or []  # type: ignore[attr-defined]
    return any(condition.reason == "Unschedulable" for condition in conditions)
