"""Preparation of the cluster: tests without a cluster, then on the one that KUBECONFIG names."""

import os
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudseg_local.cluster import Cluster, kubeconfig_path
from cloudseg_local.compose import cluster as compose_cluster
from cloudseg_local.compose.cluster import SERVER, has_image, prepare_cluster, with_server
from cloudseg_ops.contracts.errors import LocalError

KUBECONFIG: dict[str, Any] = {
    "clusters": [
        {"name": "default", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority-data": "x"}},
    ],
    "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    "current-context": "default",
}


def nodes(*names: str) -> list[dict[str, Any]]:
    return [{"status": {"images": [{"names": [name]} for name in names]}}, {"status": {}}]


def test_readdressed_kubeconfig_changes_only_the_address() -> None:
    moved = with_server(KUBECONFIG, SERVER)
    assert moved["clusters"] == [
        {"name": "default", "cluster": {"server": "https://k3s:6443", "certificate-authority-data": "x"}}
    ]
    assert moved["contexts"] == KUBECONFIG["contexts"]
    assert KUBECONFIG["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"


def test_missing_node_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_cluster, "_PAUSE", 0.01)
    refusals = [LocalError("no node yet"), LocalError("no node yet")]

    def read_offer() -> str:
        if refusals:
            raise refusals.pop()
        return "node-1"

    assert compose_cluster._await_node(read_offer) == "node-1"


def test_node_timeout_shows_the_cluster_s_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose_cluster, "_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(compose_cluster, "_PAUSE", 0.01)

    def read_offer() -> str:
        raise LocalError("no node yet")

    with pytest.raises(LocalError, match="no node yet"):
        compose_cluster._await_node(read_offer)


def test_kubeconfig_without_a_cluster_is_rejected() -> None:
    with pytest.raises(LocalError, match="docker compose logs k3s"):
        with_server({"clusters": None}, SERVER)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("cloudseg-inference:dev", "docker.io/library/cloudseg-inference:dev"),
        ("team/engine:1", "docker.io/team/engine:1"),
        ("registry.example.org/engine:1", "registry.example.org/engine:1"),
        ("localhost:5000/engine:1", "localhost:5000/engine:1"),
    ],
)
def test_image_is_found_by_its_containerd_name(image: str, name: str) -> None:
    assert has_image(nodes("docker.io/rancher/mirrored-pause:3.6", name), image)
    assert not has_image(nodes("docker.io/rancher/mirrored-pause:3.6", f"{name}2"), image)


def test_real_cluster_is_prepared(tmp_path: Path) -> None:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no cluster: KUBECONFIG names none")
    document = yaml.safe_load(Path(kubeconfig_path()).read_text())
    server = document["clusters"][0]["cluster"]["server"]
    admin = tmp_path / "admin.yaml"
    admin.write_text(yaml.safe_dump(with_server(document, "https://127.0.0.1:1")))
    written, namespace = tmp_path / "kube" / "config", f"cloudseg-test-{uuid.uuid4().hex[:8]}"
    messages: list[str] = []
    try:
        prepare_cluster(admin, written, namespace, "nonesuch:dev", report=messages.append, server=server)
        prepare_cluster(admin, written, namespace, "nonesuch:dev", report=messages.append, server=server)
        assert stat.S_IMODE(written.stat().st_mode) == 0o600
        assert Cluster.connect(str(written), namespace).pods("any") == []
        assert [f"{namespace} (made now)" in line for line in messages[::2]] == [True, False]
        assert "docker save nonesuch:dev" in messages[1]
    finally:
        Cluster.connect(kubeconfig_path(), namespace).api.delete_namespace(namespace)
