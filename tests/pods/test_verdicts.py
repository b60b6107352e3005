import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudseg_ops.contracts.errors import (
    ChunkUnfinishedError,
    CloudsegError,
    NonFiniteWeightsError,
    PodDeadlineError,
    PodError,
    PodLostError,
    PodOutOfMemoryError,
    VersionMismatchError,
)
from cloudseg_ops.pods import explain_pod, final_error
from tests.support.pod_samples import container, deleted, disrupted, ended, held, seen, unscheduled

NAME = "cloudseg-00007-x1"
KEPT = "the masks so far are kept, and a retry does the rest"


# Pods as the API server returns them, with the messages of the kubelet, the scheduler and GKE.
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
LOST: list[tuple[str, dict[str, Any], str]] = [
    ("spot node, graceful", seen("Failed", ended(143), reason="Terminated", message=SHUTDOWN), SHUTDOWN),
    ("spot node, abrupt", seen("Failed", ended(137), reason="Terminated", message=SHUTDOWN), SHUTDOWN),
    ("spot node, GKE before 1.22", seen("Failed", reason="Shutdown", message="Node is shutting, evicting pods"),
     "evicting"),
    ("node that is going", seen("Failed", reason="NodeShutdown", message="Pod was rejected"), "Pod was rejected"),
    ("only a condition", seen("Failed", ended(143), **disrupted("TerminationByKubelet", SHUTDOWN)), SHUTDOWN),
    ("node deleted", seen("Failed", {"running": {}}, **disrupted("DeletionByPodGC", "node no longer exists")),
     "DeletionByPodGC: node no longer exists"),
    ("node silent", seen("Unknown", {"running": {}}, reason="NodeLost", message="Node n which was running"),
     "NodeLost: Node n"),
    ("node short of memory", seen("Failed", ended(137, "ContainerStatusUnknown", "gone"), reason="Evicted",
     message="The node was low on resource: memory. Container engine was using 11Gi."), "low on resource: memory"),
    ("node short of disk", seen("Failed", reason="Evicted", message="The node was low on resource: ephemeral-storage. "
     "Container engine was using 34260Ki, request is 2Gi."), "low on resource"),
    ("preempted", seen("Failed", ended(137), reason="Preempting", message="Preempted in order to admit critical pod"),
     "critical pod"),
    ("GPU gone at the start", seen("Failed", reason="UnexpectedAdmissionError", message="Allocate failed due to "
     "requested number of devices unavailable for nvidia.com/gpu"), "unavailable for nvidia.com/gpu"),
    ("labels gone", seen("Failed", reason="NodeAffinity", message="Pod was rejected: Predicate NodeAffinity failed"),
     "NodeAffinity: Pod was rejected"),
    ("stopped", seen("Failed", ended(143)), "SIGTERM"),
    ("killed", seen("Failed", ended(137)), "container was killed (SIGKILL)"),
    ("killed, another container waits", seen("Pending", ended(137)), "container was killed (SIGKILL)"),
    ("no container status", seen("Failed"), "no longer reports"),
    ("deleted, running", deleted(seen("Running", {"running": {}})), "was deleted while it ran"),
    ("deleted, stopping", deleted(seen("Running", ended(143))), "was deleted while it ran"),
    ("deleted, waiting", deleted(seen("Pending", node=None)), "was deleted while it ran"),
    ("tainted", deleted(seen("Running", {"running": {}}, **disrupted("DeletionByTaintManager", "NoExecute taint"))),
     "DeletionByTaintManager: NoExecute taint"),
    ("drained", deleted(seen("Failed", ended(137), **disrupted("EvictionByEvictionAPI", "Eviction API: evicting"))),
     "EvictionByEvictionAPI"),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "expected"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
def test_externally_ended_pod_is_lost(pod: dict[str, Any], expected: str) -> None:
    error = final_error(pod, NAME)
    assert type(error) is PodLostError
    assert NAME in str(error)
    assert expected in str(error)
    assert KEPT in str(error)


def test_missing_pod_is_lost() -> None:
    error = final_error(None, NAME)
    assert type(error) is PodLostError
    assert str(error).startswith(f"pod {NAME} was deleted while it ran: a Spot node was taken back")


OUT_OF_MEMORY = ended(137, "OOMKilled")


@pytest.mark.parametrize(
    "pod",
    [
        seen("Failed", OUT_OF_MEMORY),
        seen("Failed", ended(1, "OOMKilled")),  # a child was killed, and the engine exited after it
        deleted(seen("Failed", OUT_OF_MEMORY)),
        seen("Failed", OUT_OF_MEMORY, **disrupted("TerminationByKubelet", SHUTDOWN)),
    ],
)
def test_out_of_memory_names_limit_and_setting(pod: dict[str, Any]) -> None:
    error = final_error(pod, NAME)
    assert type(error) is PodOutOfMemoryError
    assert "needed more memory than 10Gi" in str(error)
    assert "raise CLOUDSEG_POD_MEMORY, or give the engine less (--memory in CLOUDSEG_ENGINE_OPTIONS)" in str(error)


@pytest.mark.parametrize("state", [None, ended(143), ended(137), {"running": {}}, held("ContainerCreating")])
def test_exceeded_deadline_names_the_setting(state: dict[str, Any] | None) -> None:
    message = "Pod was active on the node longer than the specified deadline"
    pod = seen("Failed", state, reason="DeadlineExceeded", message=message)
    for found in (pod, deleted(pod)):
        error = final_error(found, NAME)
        assert type(error) is PodDeadlineError
        assert "longer than CLOUDSEG_POD_DEADLINE_SECONDS (21600 s)" in str(error)
        assert "CLOUDSEG_CHUNK_OBJECTS" in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
        'Container engine exceeded its local ephemeral storage limit "2Gi". ',
        'Usage of EmptyDir volume "tmp" exceeds the limit "2Gi". ',
    ],
)
def test_exceeded_disk_limit_names_the_setting(message: str) -> None:
    error = final_error(seen("Failed", ended(137), reason="Evicted", message=message), NAME)
    assert type(error) is PodError
    assert "used more disk than 2Gi" in str(error)
    assert message.strip() in str(error)
    assert "raise CLOUDSEG_POD_EPHEMERAL_STORAGE" in str(error)


@pytest.mark.parametrize(("code", "reason"), [(128, "StartError"), (127, "ContainerCannotRun")])
def test_image_without_the_engine_names_the_setting(code: int, reason: str) -> None:
    message = 'exec: "python": executable file not found in $PATH'
    error = final_error(seen("Failed", ended(code, reason, message)), NAME)
    assert type(error) is PodError
    assert message in str(error)
    assert "CLOUDSEG_IMAGE is an image of the engine" in str(error)


@pytest.mark.parametrize("gone", [False, True])
def test_engine_failure_has_the_last_lines_of_its_log(gone: bool) -> None:
    log = "first\nsecond\nthird\nModelLoadError: the weights do not fit\n"
    pod = seen("Failed", ended(1, "Error", log), **disrupted("TerminationByKubelet", SHUTDOWN))
    error = final_error(deleted(pod) if gone else pod, NAME)
    assert type(error) is ChunkUnfinishedError
    assert "exit code 1 (Error): second | third | ModelLoadError: the weights do not fit" in str(error)
    assert KEPT in str(error)


def test_failure_without_a_message_says_so() -> None:
    assert "it left no message" in str(final_error(seen("Failed", ended(1)), NAME))


def test_version_mismatch_is_recognized() -> None:
    log = (
        "2026-11-24 ERROR VersionMismatchError: this engine is cloudseg 0.1.0, and the DAG that started it is 0.2.0: …"
    )
    error = final_error(seen("Failed", ended(3, "Error", log)), NAME)
    assert type(error) is VersionMismatchError
    assert str(error) == f"pod {NAME}: {log.partition('VersionMismatchError: ')[2]}"


def test_a_failure_that_no_retry_can_fix_is_raised_as_the_engines_error() -> None:
    log = "first\n2026-11-24 ERROR NonFiniteWeightsError: model v1: head.bias is NaN\n"
    error = final_error(seen("Failed", ended(4, "Error", log)), NAME)
    assert type(error) is NonFiniteWeightsError
    assert str(error) == f"pod {NAME}: model v1: head.bias is NaN"
    # An engine of an older version ends with 1, as for images that are left.
    assert type(final_error(seen("Failed", ended(1, "Error", log)), NAME)) is ChunkUnfinishedError
    assert "exit code 4" in str(final_error(seen("Failed", ended(4)), NAME))


def test_engine_without_the_version_option_is_reported_as_older() -> None:
    log = "usage: …\npython -m cloudseg_ops.engine: error: unrecognized arguments: --expect-version 0.2.0"
    error = final_error(seen("Failed", ended(2, "Error", log)), NAME)
    assert type(error) is PodError
    assert "unrecognized arguments: --expect-version 0.2.0" in str(error)
    assert "CLOUDSEG_IMAGE is of an older version than the DAG" in str(error)


def test_failed_container_of_the_template_is_named() -> None:
    first = seen("Failed", held("PodInitializing"), initContainerStatuses=[container("first", ended(3, "Error", "no"))])
    error = final_error(first, NAME)
    assert type(error) is PodError
    assert "never started the engine: container first ended with exit code 3: Error: no" in str(error)


def test_limits_of_a_sidecar_are_not_those_of_the_engine() -> None:
    pod = seen("Failed", OUT_OF_MEMORY)
    pod["spec"]["containers"].insert(0, {"name": "proxy", "resources": {"limits": {"memory": "1Mi"}}})
    assert "more memory than 10Gi" in str(final_error(pod, NAME))


EXPLAINED = [
    (seen("Pending", node=None, **unscheduled("Unschedulable", "0/3 nodes")), "Pending: Unschedulable: 0/3 nodes"),
    (seen("Pending", held("ImagePullBackOff", "Back-off")), "Pending: ImagePullBackOff: Back-off"),
    (seen("Running", {"running": {}}), "Running"),
    (seen("Succeeded", ended(0, "Completed")), "Succeeded"),
    (seen("Failed", ended(137, "OOMKilled")), "Failed: exit code 137: OOMKilled"),
    (seen("Failed", reason="Evicted", message="The node was low"), "Failed: Evicted: The node was low"),
    (deleted(seen("Running", {"running": {}})), "Running: being deleted"),
    (deleted(seen("Running", **disrupted("EvictionByEvictionAPI", "e"))),
     "Running: being deleted: EvictionByEvictionAPI: e"),
    (seen("Failed", held("PodInitializing"), initContainerStatuses=[container("first", ended(3, "Error", "no"))]),
     "Failed: container first ended with exit code 3: Error: no"),
    (seen(), "Unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "expected"), EXPLAINED)
def test_pod_is_explained_in_one_line(pod: dict[str, Any], expected: str) -> None:
    assert explain_pod(pod) == expected


def _parts(pod: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in pod.items() if isinstance(pod, dict) else enumerate(pod) if isinstance(pod, list) else ():
        yield (*path, key)
        yield from _parts(value, (*path, key))


PODS = [case[1] for case in LOST] + [case[0] for case in EXPLAINED] + [
    seen("Failed", OUT_OF_MEMORY), seen("Pending", held("ErrImagePull")), seen("Failed", ended(1, "Error", "x"))
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(pod=st.sampled_from(PODS), data=st.data())
def test_incomplete_pods_are_still_explained(pod: dict[str, Any], data: st.DataObject) -> None:
    pod = json.loads(json.dumps(pod))
    # The API server always returns these.
    optional = [path for path in _parts(pod) if path not in (("metadata",), ("spec",)) and path[-1] != "name"]
    path = data.draw(st.sampled_from(optional))
    part = pod
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    error = final_error(pod, NAME)
    assert isinstance(error, CloudsegError)
    assert NAME in str(error)
    assert "\n" not in str(error)
    assert explain_pod(pod)
