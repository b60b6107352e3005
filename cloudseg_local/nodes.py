"""Computes from a cluster's Node objects what it offers to chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.pods.manifest import GPU_RESOURCE

_GPU_TYPE_LABEL = "cloud.google.com/gke-accelerator"
_MAX_SLOTS = 4
_SLOTS_WITHOUT_GPUS = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """The combined resources of the nodes that chunks may run on: nodes with GPUs, or all nodes if none has a GPU.

    Attributes:
        nodes: Number of nodes.
        gpus: Allocatable GPUs.
        gpu_type: GPU type from GKE's node label; None if the types differ or the label is missing.
        cpus: Allocatable CPUs.
        address: Internal IPv4 address of one of the nodes.
        docker: Whether all nodes run their containers on a Docker engine.
    """

    nodes: int
    gpus: int
    gpu_type: str | None
    cpus: float
    address: str
    docker: bool

    @property
    def slots(self) -> int:
        """Number of chunks to run concurrently: one per GPU, at most 4; 2 without GPUs."""
        return min(_MAX_SLOTS, self.gpus) or _SLOTS_WITHOUT_GPUS


def read_nodes(nodes: Sequence[Mapping[str, Any]]) -> Offer:
    """Sum up the nodes that chunks may run on.

    Args:
        nodes: v1 Node objects, as JSON.

    Raises:
        LocalError: No node is ready and schedulable, or none has an IPv4 address.
    """
    from kubernetes.utils.quantity import parse_quantity

    ready = [node for node in nodes if _is_ready(node)]
    eligible = [node for node in ready if _gpus(node)] or [node for node in ready if not _has_blocking_taint(node)]
    if not eligible:
        raise LocalError(
            f"none of the cluster's {len(nodes)} nodes is ready and accepts pods; see `kubectl describe nodes`"
        )
    addresses = [address for node in eligible if (address := _address(node))]
    if not addresses:
        raise LocalError(
            "none of the cluster's nodes has an internal IPv4 address, so pods could not reach the emulator; use a "
            "cluster with IPv4"
        )
    gpus = sum(map(_gpus, eligible))
    types = {node["metadata"].get("labels", {}).get(_GPU_TYPE_LABEL) for node in eligible} if gpus else set()
    return Offer(
        nodes=len(eligible),
        gpus=gpus,
        gpu_type=types.pop() if len(types) == 1 else None,
        cpus=sum(float(parse_quantity(node["status"].get("allocatable", {}).get("cpu", "1"))) for node in eligible),
        address=addresses[0],
        docker=all(_runtime(node).startswith("docker://") for node in eligible),
    )


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions") or ()}
    return conditions.get("Ready") == "True" and not node.get("spec", {}).get("unschedulable")


def _has_blocking_taint(node: Mapping[str, Any]) -> bool:
    return any(taint["effect"] != "PreferNoSchedule" for taint in node.get("spec", {}).get("taints") or ())


def _gpus(node: Mapping[str, Any]) -> int:
    return int(node["status"].get("allocatable", {}).get(GPU_RESOURCE, 0))


def _address(node: Mapping[str, Any]) -> str | None:
    found = [item["address"] for item in node["status"].get("addresses") or () if item["type"] == "InternalIP"]
    return next((address for address in found if ":" not in address), None)


def _runtime(node: Mapping[str, Any]) -> str:
    return str(node["status"].get("nodeInfo", {}).get("containerRuntimeVersion", ""))
