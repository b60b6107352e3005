from typing import Any

import pytest

from cloudseg_local.nodes import read_nodes
from cloudseg_ops.contracts.errors import LocalError


def _node(
    *, gpus: int = 0, gpu_type: str | None = None, ready: str = "True", cordoned: bool = False,
    address: str = "10.0.0.7", cpu: str = "4", runtime: str = "containerd://2.1", taint: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "metadata": {"name": "n", **({"labels": {"cloud.google.com/gke-accelerator": gpu_type}} if gpu_type else {})},
        "spec": {
            **({"unschedulable": True} if cordoned else {}),
            **({"taints": [{"key": "k", "effect": taint}]} if taint else {}),
        },
        "status": {
            "allocatable": {"cpu": cpu, **({"nvidia.com/gpu": str(gpus)} if gpus else {})},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}],
            "addresses": [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": address}],
            "nodeInfo": {"containerRuntimeVersion": runtime},
        },
    }


def test_gpus_of_one_type() -> None:
    offer = read_nodes([_node(), _node(gpus=1, gpu_type="nvidia-l4"), _node(gpus=2, gpu_type="nvidia-l4")])
    assert (offer.nodes, offer.gpus, offer.gpu_type, offer.slots) == (2, 3, "nvidia-l4", 3)
    assert offer.cpus == 8  # those of the third node do not belong to a chunk


@pytest.mark.parametrize("types", [("nvidia-l4", "nvidia-t4"), ("nvidia-l4", None), (None, None)])
def test_mixed_or_unlabeled_gpus_count_as_any_gpu(types: tuple[str | None, str | None]) -> None:
    offer = read_nodes([_node(gpus=1, gpu_type=name) for name in types])
    assert (offer.gpus, offer.gpu_type) == (2, None)


def test_gpu_type_without_gpus_is_ignored() -> None:
    offer = read_nodes([_node(gpu_type="nvidia-l4")])
    assert (offer.gpus, offer.gpu_type, offer.slots) == (0, None, 2)


@pytest.mark.parametrize(("gpus", "slots"), [(1, 1), (4, 4), (16, 4)])
def test_slots_are_one_per_gpu_up_to_four(gpus: int, slots: int) -> None:
    assert read_nodes([_node(gpus=gpus)]).slots == slots


def test_only_schedulable_nodes_count() -> None:
    away = [_node(gpus=8, ready="Unknown", cpu="64"), _node(gpus=8, cordoned=True, cpu="64")]
    offer = read_nodes([*away, _node(cpu="1930m", address="10.0.0.9")])
    assert (offer.nodes, offer.gpus, offer.cpus, offer.address) == (1, 0, 1.93, "10.0.0.9")
    with pytest.raises(LocalError, match="none of the cluster's 2 nodes is ready"):
        read_nodes(away)
    with pytest.raises(LocalError, match="none of the cluster's 0 nodes is ready"):
        read_nodes([])


def test_tainted_nodes_are_excluded_except_gpu_nodes() -> None:
    control_plane = _node(taint="NoSchedule", cpu="64")
    assert read_nodes([control_plane, _node()]).cpus == 4
    assert read_nodes([control_plane, _node(taint="PreferNoSchedule")]).nodes == 1
    assert read_nodes([control_plane, _node(gpus=1, taint="NoSchedule")]).cpus == 4
    with pytest.raises(LocalError, match="none of the cluster's 2 nodes is ready and accepts pods"):
        read_nodes([control_plane, _node(taint="NoExecute")])


def test_node_address_is_ipv4() -> None:
    assert read_nodes([_node(address="fd00::7"), _node(address="10.0.0.9")]).address == "10.0.0.9"
    with pytest.raises(LocalError, match="internal IPv4 address"):
        read_nodes([_node(address="fd00::7")])


def test_docker_runtime_of_all_nodes() -> None:
    assert read_nodes([_node(runtime="docker://20.10")]).docker
    assert not read_nodes([_node(runtime="docker://20.10"), _node()]).docker
