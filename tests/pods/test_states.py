from typing import Any

import pytest

from cloudseg_ops.pods import CONTAINER
from cloudseg_ops.pods.states import (
    condition,
    describe_state,
    engine_of,
    engine_state,
    other_container_failure,
    pod_requirements,
    waiting_state,
)
from tests.support.pod_samples import manifest, seen


def _status(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", "state": state}


@pytest.mark.parametrize(
    "status", [{}, {"containerStatuses": None}, {"containerStatuses": [{}]}, {"containerStatuses": [{"state": None}]}]
)
def test_incomplete_status_gives_empty_values(status: dict[str, Any]) -> None:
    assert engine_state(status, "terminated") == {}
    assert waiting_state(status) == {}
    assert other_container_failure(status) == ""
    assert condition(status, "PodScheduled", "False") == ""


def test_engine_container_is_found_among_others() -> None:
    pod = manifest()
    pod["spec"]["containers"].insert(0, {"name": "proxy"})
    assert engine_of(pod)["name"] == CONTAINER
    assert engine_of({}) == engine_of({"spec": {"containers": [{"name": "proxy"}]}}) == {}
    status = {"containerStatuses": [_status("proxy", running={"a": 1}), _status(CONTAINER, running={"b": 2})]}
    assert engine_state(status, "running") == {"b": 2}


def test_waiting_errors_have_priority_and_the_engines_come_first() -> None:
    status = {
        "initContainerStatuses": [_status("first", waiting={"reason": "ErrImagePull"})],
        "containerStatuses": [_status(CONTAINER, waiting={"reason": "PodInitializing"})],
    }
    assert waiting_state(status) == {"reason": "ErrImagePull", "container": "first", "image": "first:1"}
    status["containerStatuses"][0]["state"]["waiting"]["reason"] = "InvalidImageName"
    assert waiting_state(status)["reason"] == "InvalidImageName"
    ordinary = {"containerStatuses": [_status(CONTAINER, waiting={"reason": "ContainerCreating"})]}
    assert waiting_state(ordinary)["reason"] == "ContainerCreating"


def test_condition_is_matched_with_its_status() -> None:
    status = {"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]}
    assert condition(status, "PodScheduled", "False") == ""
    assert condition(status, "Ready", "False") == "Ready"


def test_message_is_one_line() -> None:
    assert describe_state({"reason": "A", "message": "b\n  c\n"}) == "A: b c"
    assert describe_state({"message": "b"}) == "b"
    assert describe_state({"reason": "", "message": None}) == ""


def test_demands_are_labels_and_requests() -> None:
    found = pod_requirements(seen("Pending", node=None))
    assert found.startswith("cloud.google.com/gke-accelerator=nvidia-l4, 3 of cpu, 10Gi of memory")
    assert pod_requirements({"spec": {"containers": [{"name": CONTAINER}]}}) == ""
