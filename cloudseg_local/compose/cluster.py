"""Prepares the cluster of the `k8s` profile for chunks: kubeconfig for Airflow, namespace, image."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from cloudseg_ops.contracts.errors import LocalError

SERVER = "https://k3s:6443"
_WAIT_SECONDS = 180.0
_PAUSE = 2.0

Report = Callable[[str], None]


def prepare_cluster(
    admin: Path, kubeconfig: Path, namespace: str, image: str, *, report: Report, server: str = SERVER
) -> None:
    """Write Airflow's kubeconfig, wait for a node, and create the namespace.

    Args:
        admin: The kubeconfig that k3s wrote, with a loopback address.
        kubeconfig: File to write: the same kubeconfig with the address `server`.
        namespace: Namespace for the pods.
        image: The engine's image; a message says how to load it if the node does not have it.
        report: Receives progress messages for the terminal.
        server: Address at which the other services reach the cluster.

    Raises:
        LocalError: The cluster cannot be used; the message says why.
    """
    from cloudseg_local.cluster import Cluster

    document = yaml.safe_load(_await_file(admin))
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    draft = kubeconfig.with_name(f".{kubeconfig.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        yaml.safe_dump(with_server(document, server), stream)
    draft.replace(kubeconfig)
    cluster = Cluster.connect(str(kubeconfig), namespace)
    offer = _await_node(cluster.offer)
    suffix = " (created)" if cluster.ensure_namespace() else ""
    report(f"cluster with {offer.nodes} node, namespace {namespace}{suffix}")
    nodes = cluster.api.api_client.sanitize_for_serialization(cluster.api.list_node())["items"]
    if not has_image(nodes, image):
        report(
            f"the node does not have the image {image} yet. Build and load it:\n"
            "  make image\n"
            f"  docker save {image} | docker compose exec -T k3s ctr images import -"
        )


def with_server(kubeconfig: Mapping[str, Any], server: str) -> dict[str, Any]:
    """Return a copy of a kubeconfig with another server address for all clusters.

    Args:
        kubeconfig: The document.
        server: The new address, a URL.

    Raises:
        LocalError: The kubeconfig has no clusters.
    """
    clusters = kubeconfig.get("clusters")
    if not clusters:
        raise LocalError(
            "k3s wrote a kubeconfig without a cluster; see its log (`docker compose logs k3s`), and restart with "
            "`docker compose --profile k8s up`"
        )
    moved = [{**entry, "cluster": {**entry["cluster"], "server": server}} for entry in clusters]
    return {**kubeconfig, "clusters": moved}


def has_image(nodes: Sequence[Mapping[str, Any]], image: str) -> bool:
    """Return whether a node reports an image; nodes list only their 50 largest images.

    Args:
        nodes: v1 Node objects, as JSON.
        image: The image; without a registry, docker.io is assumed.
    """
    first, _, rest = image.partition("/")
    named = image if rest and ("." in first or ":" in first or first == "localhost") else f"docker.io/{image}"
    wanted = {image, named, named.replace("docker.io/", "docker.io/library/", 1)}
    return any(wanted & set(found.get("names") or ()) for node in nodes for found in node["status"].get("images") or ())


def _await_file(path: Path) -> str:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        text = path.read_text() if path.exists() else ""
        if text:
            return text
        if time.monotonic() > deadline:
            raise LocalError(f"k3s wrote no kubeconfig to {path} within {_WAIT_SECONDS:.0f} s; see its log")
        time.sleep(_PAUSE)


def _await_node(offer: Callable[[], Any]) -> Any:
    return Retrying(
        retry=retry_if_exception_type(LocalError),
        stop=stop_after_delay(_WAIT_SECONDS),
        wait=wait_fixed(_PAUSE),
        reraise=True,
    )(offer)
