"""The runtime `gke`: the same pods, through the google provider, with only the documented role."""

from collections.abc import Iterator

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Site, open_site, swept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.xdist_group("kubernetes")]

CLUSTER = {
    "runtime": "gke",
    "gke_project": "test-project",
    "gke_location": "europe-west4",
    "gke_cluster": "gpus",
    "gke_endpoint": "external",
}


@pytest.fixture(scope="module", params=[False, True], ids=["waiting", "deferred"])
def running(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with open_site(cluster, tmp_path_factory.mktemp("gke"), deferrable=request.param, **CLUSTER) as site:
        yield site


@pytest.fixture
def gke(running: Site) -> Iterator[Site]:
    with swept(running) as site:
        yield site


def test_run_on_gke_writes_masks(gke: Site) -> None:
    gke.upload("gke", 20)
    run_id = gke.airflow.trigger()
    assert gke.airflow.wait(run_id) == "success", gke.airflow.tasks(run_id)
    assert "progress: " in gke.logs(run_id)
    gke.assert_all_done(run_id, "gke", 20)
    links = gke.airflow.links(run_id, "segment", 0)
    assert set(links) == {"Pod log", "Run folder"}
    assert links["Pod log"].endswith("?project=test-project")


def test_preempted_pod_is_replaced_by_a_retry(gke: Site) -> None:
    gke.upload("gke-preempted", 16)
    with gke.slow_storage():
        run_id = gke.run_until("gke-preempted", 3)
        gke.cluster.preempt(gke.cluster.running()[0].metadata.name)
        assert gke.airflow.wait(run_id) == "success", gke.airflow.tasks(run_id)
    assert gke.tries(run_id) == [2]
    assert "was deleted while it ran" in gke.logs(run_id)
    gke.assert_all_done(run_id, "gke-preempted", 16)


def test_unschedulable_pod_fails_the_run(gke: Site) -> None:
    gke.upload("gke-nowhere", 2)
    gke.overlay({"spec": {"nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-h100-mega"}}})
    run_id = gke.airflow.trigger()
    assert gke.airflow.wait(run_id, 300) == "failed"
    assert "found no node" in gke.logs(run_id)
    assert gke.airflow.audit(run_id).places["input"] == 2
    gke.cluster.await_empty()
