from typing import Any

import pytest

from cloudseg_ops.pods import CONTAINER
from cloudseg_ops.pods.states import condition, demands, engine_of, engine_state, failed_beside, in_words, waiting
from tests.support.pod_samples import manifest, seen


def _status(name: str, **state: Any) -> dict[str, Any]:
    return {"name": name, "image": f"{name}:1", "state": state}


@pytest.mark.parametrize(
    "status", [{}, {"containerStatuses": None}, {"containerStatuses": [{}]}, {"containerStatuses": [{"state": None}]}]
)
def test_incomplete_status_gives_empty_values(status: dict[str, Any]) -> None:
    assert engine_state(status, "terminated") == {}
    assert waiting(status) == {}
    assert failed_beside(status) == ""
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
    assert waiting(status) == {"reason": "ErrImagePull", "image": "first:1"}
    status["containerStatuses"][0]["state"]["waiting"]["reason"] = "InvalidImageName"
    assert waiting(status)["reason"] == "InvalidImageName"
    ordinary = {"containerStatuses": [_status(CONTAINER, waiting={"reason": "ContainerCreating"})]}
    assert waiting(ordinary)["reason"] == "ContainerCreating"


def test_condition_is_matched_with_its_status() -> None:
    status = {"conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]}
    assert condition(status, "PodScheduled", "False") == ""
    assert condition(status, "Ready", "False") == "Ready"


def test_message_is_one_line() -> None:
    assert in_words({"reason": "A", "message": "b\n  c\n"}) == "A: b c"
    assert in_words({"message": "b"}) == "b"
    assert in_words({"reason": "", "message": None}) == ""


def test_demands_are_labels_and_requests() -> None:
    found = demands(seen("Pending", node=None))
    assert found.startswith("cloud.google.com/gke-accelerator=nvidia-l4, 3 of cpu, 10Gi of memory")
    assert demands({"spec": {"containers": [{"name": CONTAINER}]}}) == ""
