"""The resources that a cluster's nodes offer to chunks, read from the nodes' JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.pods.manifest import GPU_RESOURCE

_GPU_TYPE_LABEL = "cloud.google.com/gke-accelerator"
_MOST_SLOTS = 4
_SLOTS_WITHOUT_GPUS = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """What the nodes have together that chunks may go to: those with GPUs, or all when none has any.

    Attributes:
        nodes: How many they are.
        gpus: GPUs that pods may have.
        gpu_type: The one type of all of them, as GKE labels nodes; None: there are several, or nodes do not say.
        cpus: Processors that pods may have.
        address: IPv4 address of one of the nodes in its own network.
        docker: Whether all of them run their containers by a Docker engine.
    """

    nodes: int
    gpus: int
    gpu_type: str | None
    cpus: float
    address: str
    docker: bool

    @property
    def slots(self) -> int:
        """Concurrent chunks: one per GPU, but not more than a demo needs."""
        return min(_MOST_SLOTS, self.gpus) or _SLOTS_WITHOUT_GPUS


def read_nodes(nodes: Sequence[Mapping[str, Any]]) -> Offer:
    """Sum up the nodes that chunks may go to.

    Args:
        nodes: v1 Nodes in JSON's terms.

    Raises:
        LocalError: None is ready, or none has an IPv4 address.
    """
    from kubernetes.utils.quantity import parse_quantity

    ready = [node for node in nodes if _is_ready(node)]
    takers = [node for node in ready if _gpus(node)] or [node for node in ready if not _repels(node)]
    if not takers:
        raise LocalError(
            f"none of the cluster's {len(nodes)} nodes is ready and takes pods; `kubectl describe nodes` tells why"
        )
    addresses = [address for node in takers if (address := _address(node))]
    if not addresses:
        raise LocalError("none of the cluster's nodes has an internal IPv4 address, by which pods could reach back")
    gpus = sum(map(_gpus, takers))
    types = {node["metadata"].get("labels", {}).get(_GPU_TYPE_LABEL) for node in takers} if gpus else set()
    return Offer(
        nodes=len(takers),
        gpus=gpus,
        gpu_type=types.pop() if len(types) == 1 else None,
        cpus=sum(float(parse_quantity(node["status"].get("allocatable", {}).get("cpu", "1"))) for node in takers),
        address=addresses[0],
        docker=all(_runtime(node).startswith("docker://") for node in takers),
    )


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions") or ()}
    return conditions.get("Ready") == "True" and not node.get("spec", {}).get("unschedulable")


def _repels(node: Mapping[str, Any]) -> bool:
    return any(taint["effect"] != "PreferNoSchedule" for taint in node.get("spec", {}).get("taints") or ())


def _gpus(node: Mapping[str, Any]) -> int:
    return int(node["status"].get("allocatable", {}).get(GPU_RESOURCE, 0))


def _address(node: Mapping[str, Any]) -> str | None:
    found = [item["address"] for item in node["status"].get("addresses") or () if item["type"] == "InternalIP"]
    return next((address for address in found if ":" not in address), None)


def _runtime(node: Mapping[str, Any]) -> str:
    return str(node["status"].get("nodeInfo", {}).get("containerRuntimeVersion", ""))
