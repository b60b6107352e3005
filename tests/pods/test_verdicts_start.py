"""Verdicts on pods whose engine never started: no image, no node, or too long a start."""

from typing import Any

import pytest

from cloudseg_ops.contracts.errors import (
    PodError,
    PodImageError,
    PodUnschedulableError,
)
from cloudseg_ops.pods import final_error
from tests.support.pod_samples import IMAGE, container, held, seen, unscheduled

NAME = "cloudseg-00007-x1"
KEPT = "the masks so far are kept, and a retry does the rest"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", "rpc error: code = NotFound desc = manifest unknown"),
        ("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'),
        ("InvalidImageName", "couldn't parse image reference"),
        ("ImageInspectError", "Failed to inspect image"),
        ("RegistryUnavailable", "503"),
        ("SignatureValidationFailed", "not signed"),
    ],
)
def test_image_pull_error_names_the_image(reason: str, message: str) -> None:
    error = final_error(seen("Pending", held(reason, message)), NAME)
    assert type(error) is PodImageError
    assert f"cannot get the image {IMAGE}: {reason}: {message}" in str(error)
    assert "CLOUDSEG_IMAGE exists" in str(error)
    assert "clear this task" in str(error)


def test_missing_image_with_pull_policy_never_must_be_loaded() -> None:
    message = f'Container image "{IMAGE}" is not present with pull policy of Never'
    error = final_error(seen("Pending", held("ErrImageNeverPull", message)), NAME)
    assert type(error) is PodImageError
    assert "load it there" in str(error)


def test_pull_error_of_another_container_names_its_image() -> None:
    first = container("first", held("ErrImagePull", "no"))
    pod = seen("Pending", held("PodInitializing"), initContainerStatuses=[first])
    error = final_error(pod, NAME)
    assert type(error) is PodImageError
    assert "cannot get the image watcher:1: ErrImagePull: no" in str(error)
    assert "CLOUDSEG_POD_TEMPLATE or a webhook" in str(error)
    assert "CLOUDSEG_IMAGE exists" not in str(error)


def test_container_next_to_the_engine_is_not_to_blame_for_its_slow_start() -> None:
    pod = seen("Pending", held("ContainerCreating"))
    pod["status"]["containerStatuses"].append(container("log-shipper", held("ErrImagePull", "no")))
    error = final_error(pod, NAME)
    assert type(error) is PodError
    assert "did not start in time: ContainerCreating" in str(error)


def test_unschedulable_pod_names_its_requirements() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    pod = seen("Pending", node=None, **unscheduled("Unschedulable", message))
    error = final_error(pod, NAME, ["FailedScheduling: old", "FailedScaleUp: GCE quota exceeded"])
    assert type(error) is PodUnschedulableError
    for part in (
        message.rstrip("."), "FailedScaleUp: GCE quota exceeded", "cloud.google.com/gke-accelerator=nvidia-l4",
        "1 of nvidia.com/gpu",
        "10Gi of memory", "CLOUDSEG_SCHEDULE_TIMEOUT_SECONDS",
    ):  # fmt: skip
        assert part in str(error)


def test_scheduler_message_is_not_repeated() -> None:
    message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity."
    pod = seen("Pending", node=None, **unscheduled("Unschedulable", message))
    error = final_error(pod, NAME, [f"FailedScheduling: {message}", f"FailedScheduling: {message}"])
    assert str(error).count("0/1 nodes are available") == 1
    assert "affinity. Check that" in str(error)


def test_pod_without_scheduler_messages_is_unschedulable() -> None:
    error = final_error(seen("Pending", node=None), NAME)
    assert type(error) is PodUnschedulableError
    assert "the scheduler has not looked at it" in str(error)


@pytest.mark.parametrize(
    ("state", "events", "expected"),
    [
        (
            held("CreateContainerConfigError", 'secret "s" not found'),
            (),
            'CreateContainerConfigError: secret "s" not found',
        ),
        (held("CreateContainerError", "context deadline exceeded"), (), "CreateContainerError: context deadline"),
        (held("RunContainerError", "no such device"), (), "RunContainerError: no such device"),
        (held("ContainerCreating"), ("FailedMount: secret", "FailedMount: timed out"), "FailedMount: timed out"),
        (None, ("FailedCreatePodSandBox: network",), "FailedCreatePodSandBox: network"),
        (None, (), "Kubernetes gives no reason"),
    ],
)
def test_slow_start_names_its_cause(state: dict[str, Any] | None, events: tuple[str, ...], expected: str) -> None:
    error = final_error(seen("Pending", state), NAME, events)
    assert type(error) is PodError
    assert f"pod {NAME} did not start in time" in str(error)
    assert expected in str(error)
    assert "CLOUDSEG_STARTUP_TIMEOUT_SECONDS" in str(error)
