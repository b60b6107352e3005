"""The profile k8s of docker-compose.yaml on a real Docker engine: chunks as pods of the cluster next to Airflow.

The tests depend on each other and run in this order. They take two minutes, and need the two images that
tests/compose/try.sh builds and the image of k3s. Without access to a registry, try.sh can build a stand-in for k3s from
another Kubernetes; then these tests do not check k3s itself: whether it accepts its options and runs on this kernel.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.state import INPUT_BUCKET
from tests.compose.composefile import defaults, services
from tests.compose.project import Project, clone, why_no_compose
from tests.support.containers import docker
from tests.support.running import free_port
from tests.support.samples import names_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("compose")]

SCENES = 12
ENGINE = defaults()["CLOUDSEG_IMAGE"]
NAMESPACE = "cloudseg"


def _why_no_cluster() -> str:
    if reason := why_no_compose():
        return reason
    if docker("image", "inspect", ENGINE).returncode:
        return f"there is no image {ENGINE}: `make image` builds it"
    k3s = services()["k3s"]["image"]
    if docker("image", "inspect", k3s).returncode and docker("pull", k3s, timeout=600).returncode:
        return f"the image {k3s} cannot be had: scripts/stand-in-base.sh makes a stand-in"
    return ""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    if reason := _why_no_cluster():
        pytest.skip(f"{reason}; the profile k8s is not tested")
    folder = tmp_path_factory.mktemp("clone")
    clone(folder)
    changes = {
        "SUBNET": "10.213.99",
        "COMPOSE_PROFILES": "k8s",
        "CLOUDSEG_RUNTIME": "kubernetes",
        "PHOTOGRAPHS": str(SCENES),
    }
    made = Project(folder, f"cloudseg-test-{free_port()}", free_port(), free_port(), changes)
    try:
        made.compose("up", "--detach")
        made.await_healthy()
        yield made
    finally:
        (folder / "compose.log").write_text(made.compose("logs", "--no-color"))
        made.compose("down", "--volumes", "--timeout", "5")


def test_cluster_is_ready_and_asks_for_the_image(setup: Project) -> None:
    assert setup.health()["k3s"] == "healthy"
    output = setup.compose("logs", "--no-color", "cluster")
    assert f"cluster with 1 node, namespace {NAMESPACE} (created)" in output
    assert f"the node does not have the image {ENGINE} yet" in output


def test_image_is_imported(setup: Project) -> None:
    with subprocess.Popen(["docker", "save", ENGINE], stdout=subprocess.PIPE) as saved:
        output = setup.compose("exec", "-T", "k3s", "ctr", "images", "import", "-", stdin=saved.stdout)
    assert saved.returncode == 0
    assert ENGINE in output


def test_chunks_run_as_pods(setup: Project) -> None:
    assert len(names_in(setup.store, INPUT_BUCKET)) == SCENES + 2
    setup.wait_for(lambda: setup.api.has_dag(DAG_ID) or None)
    run_id = setup.trigger()
    pods = setup.wait_for(lambda: _pods(setup) or None, 180)
    assert {container["image"] for pod in pods for container in pod["spec"]["containers"]} == {ENGINE}
    assert setup.await_end(run_id) == "success"
    assert setup.states(run_id, "segment") == ["success"] * 2
    setup.assert_all_done(run_id, SCENES + 2, SCENES)
    assert setup.wait_for(lambda: True if not _pods(setup) else None)


def test_only_the_cluster_has_root_and_it_publishes_no_port(setup: Project) -> None:
    containers = setup.containers()
    assert [name for name, each in containers.items() if each["HostConfig"]["Privileged"]] == ["k3s"]
    assert not containers["k3s"]["NetworkSettings"]["Ports"].get("6443/tcp")


def test_down_removes_the_cluster(setup: Project) -> None:
    setup.compose("down", "--volumes", "--timeout", "5")
    assert setup.left() == []


def _pods(setup: Project) -> list[dict[str, Any]]:
    output = setup.execute("k3s", "kubectl", "--namespace", NAMESPACE, "get", "pods", "--output=json")
    found: list[dict[str, Any]] = json.loads(output)["items"]
    return found
