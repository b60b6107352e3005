"""The cluster of the local setup: tests without a cluster, then on the one that KUBECONFIG names."""

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from cloudseg_local.cluster import Cluster, address_towards, kubeconfig_path
from cloudseg_local.pod_runtime import PodRuntime, delete_pods
from cloudseg_local.state import LocalState
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.pods.manifest import APP_LABELS


def _kubeconfig(path: Path, server: str, token: str = "t", *, context: str = "here", **cluster: Any) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "current-context": context,
    }
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_kubeconfig_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").touch()
    assert kubeconfig_path({"KUBECONFIG": "a:b"}) == f"{tmp_path}/a:{tmp_path}/b"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(LocalError, match=r"~/.kube/config does not exist; name one: `make demo RUNTIME=kubernetes KUB"):
        kubeconfig_path({})
    Path(".kube").mkdir()
    Path(".kube/config").touch()
    assert kubeconfig_path({"KUBECONFIG": ""}) == f"{tmp_path}/.kube/config"


@pytest.mark.parametrize("text", ["", "{", "[]", "a: b", "apiVersion: v1\nkind: Config\ncontexts: []\n"])
def test_invalid_kubeconfig_is_rejected(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(LocalError, match="is not a usable kubeconfig"):
        Cluster.connect(str(path), "cloudseg")


def test_missing_context_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="nonesuch"):
        Cluster.connect(_kubeconfig(tmp_path / "config", "https://127.0.0.1:1", context="nonesuch"), "cloudseg")


def test_unreachable_cluster_is_reported_quickly(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{closed.getsockname()[1]}"
        cluster = Cluster.connect(_kubeconfig(tmp_path / "config", server), "cloudseg")
        began = time.monotonic()
        with pytest.raises(LocalError, match=f"cluster here does not answer at {server}.*Start it, or name another"):
            cluster.offer()
        assert time.monotonic() - began < 10


def test_loopback_or_unroutable_node_is_rejected() -> None:
    with pytest.raises(LocalError, match=r"127\.0\.0\.1, which is loopback"):
        address_towards("127.0.0.1")
    with pytest.raises(LocalError, match=r"no route to the cluster.s node at 255\.255\.255\.255"):
        address_towards("255.255.255.255")


def test_unreachable_cluster_does_not_fail_clean_up(tmp_path: Path) -> None:
    state = LocalState(tmp_path, 1, 2)
    messages: list[str] = []
    delete_pods(state, messages.append)
    assert messages == []
    kubeconfig = _kubeconfig(tmp_path / "config", "https://127.0.0.1:1")
    state.cluster_file.write_text(json.dumps({"kubeconfig": kubeconfig, "context": "here", "namespace": "n"}))
    delete_pods(state, messages.append)
    assert len(messages) == 1
    assert f"pods may be left in the namespace n (label cloudseg-setup={state.setup})" in messages[0]
    assert state.cluster_file.exists()  # the next command tries again


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace that does not exist yet, on the real cluster."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster: KUBECONFIG names none")
    name = f"cloudseg-test-{uuid.uuid4().hex[:8]}"
    cluster = Cluster.connect(kubeconfig_path(), name)
    yield name
    try:
        cluster.api.delete_namespace(name)
    except ApiException as error:
        if error.status != 404:
            raise


@pytest.fixture
def cluster(namespace: str) -> Cluster:
    found = Cluster.connect(kubeconfig_path(), namespace)
    found.ensure_namespace()
    return found


def _add_pod(cluster: Cluster, name: str, setup: str, **labels: str) -> None:
    """A pod that is not schedulable, so it exists without running."""
    body = {
        "metadata": {"name": name, "labels": {**APP_LABELS, "cloudseg-setup": setup, **labels}},
        "spec": {
            "nodeSelector": {"cloudseg-test": "no-such-node"},
            "automountServiceAccountToken": False,
            "containers": [{"name": "c", "image": "none"}],
        },
    }
    for _ in range(30):
        try:
            cluster.api.create_namespaced_pod(cluster.namespace, body)
        except ApiException as error:
            if "serviceaccount" not in str(error.body):
                raise
            time.sleep(1)  # a new namespace has no service account yet
        else:
            return


def test_namespace_is_created_once(namespace: str) -> None:
    cluster = Cluster.connect(kubeconfig_path(), namespace)
    assert cluster.ensure_namespace()
    assert not cluster.ensure_namespace()


def test_cluster_offer_and_route_back_to_this_machine(cluster: Cluster) -> None:
    offer = cluster.offer()
    assert offer.nodes >= 1
    assert offer.cpus >= 1
    with socket.socket() as listener:
        listener.bind((address_towards(offer.address), 0))  # it is an address of this machine


def test_administrator_has_the_required_rights(cluster: Cluster) -> None:
    cluster.require_rights()


def test_missing_rights_are_listed(cluster: Cluster, tmp_path: Path) -> None:
    """A service account that is not bound to a role."""
    cluster.api.create_namespaced_service_account(cluster.namespace, {"metadata": {"name": "nobody"}})
    body = {"spec": {"audiences": [], "expirationSeconds": 600}}
    token = cluster.api.create_namespaced_service_account_token("nobody", cluster.namespace, body).status.token
    settings = cluster.api.api_client.configuration
    trust = (
        {"certificate-authority": settings.ssl_ca_cert} if settings.verify_ssl else {"insecure-skip-tls-verify": True}
    )
    unprivileged = Cluster.connect(_kubeconfig(tmp_path / "config", settings.host, token, **trust), cluster.namespace)
    with pytest.raises(
        LocalError, match=rf"you may not create pods, .*list events in the namespace {cluster.namespace}"
    ):
        unprivileged.require_rights()
    with pytest.raises(LocalError, match=r"did not let you list its nodes \(403\): nodes is forbidden"):
        unprivileged.offer()
    with pytest.raises(LocalError, match=r"did not let you list its pods \(403\)"):
        unprivileged.pods("x")
    assert not unprivileged.ensure_namespace()  # it may not read the namespace; creating pods shows whether it exists


def test_only_pods_of_this_setup_are_deleted(cluster: Cluster, tmp_path: Path) -> None:
    state = LocalState(tmp_path, 1, 2)
    _add_pod(cluster, "ours-1", state.setup, run_id="a")
    _add_pod(cluster, "ours-2", state.setup, run_id="b")
    _add_pod(cluster, "theirs", "another-setup")
    assert sorted(cluster.pods(state.setup)) == ["ours-1", "ours-2"]
    assert cluster.await_no_pods(state.setup, 1, run_id="b") == ["ours-2"]
    assert cluster.await_no_pods(state.setup, 1, run_id="c") == []
    messages: list[str] = []
    where = {"kubeconfig": cluster.kubeconfig, "context": cluster.context, "namespace": cluster.namespace}
    state.cluster_file.write_text(json.dumps(where))
    delete_pods(state, messages.append)
    assert messages == [f"deleted 2 pods in the namespace {cluster.namespace}: ours-1, ours-2"]
    assert cluster.pods(state.setup) == []
    assert cluster.pods("another-setup") == ["theirs"]
    assert not state.cluster_file.exists()


def test_leftover_pods_of_a_run_are_listed(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

    monkeypatch.setattr("cloudseg_local.pod_runtime._TERMINATION_SECONDS", 1)
    state = LocalState(tmp_path, 1, 2)
    pods = PodRuntime.connect(state.setup, "mine:dev", cluster.namespace)
    run_id = "manual__2026-11-22T21:56:26.848559+00:00"
    labels = {"dag_id": "cloud_segmentation", "run_id": make_safe_label_value(run_id)}
    _add_pod(cluster, "left", state.setup, **labels)
    assert pods.pods_left(run_id) == ["left"]
    assert pods.pods_left("another") == []
    cluster.delete_pods(state.setup)
    assert pods.pods_left(run_id) == []
