"""Reads a pod's status, any part of which may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudseg_ops.pods.manifest import CONTAINER

Pod = Mapping[str, Any]
# Reasons for waiting that do not indicate a problem
_ORDINARY = frozenset({"ContainerCreating", "PodInitializing"})


def engine_of(pod: Pod) -> Mapping[str, Any]:
    """Return the engine's container in a pod's spec; empty if there is none."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    return next((container for container in containers if container.get("name") == CONTAINER), {})


def engine_state(status: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    """Return the engine's state `waiting_state`, `running` or `terminated`; empty if it is in another state."""
    return next((_state(item, state) for item in _statuses(status) if item.get("name") == CONTAINER), {})


def engine_phase(pod: Pod) -> str:
    """Return the pod's phase as the engine's container decides it, whatever other containers of the pod do.

    A sidecar that a service mesh or a team's template adds may run on after the engine, and fail on its own. As long
    as a container cannot start, Kubernetes reports `Pending`, even if the engine runs or has ended.

    Returns:
        `Succeeded` or `Failed` once the engine has ended; `Running` if it runs in a pod that is pending; else the phase
        that Kubernetes reports.
    """
    status = pod.get("status") or {}
    ended, phase = engine_state(status, "terminated"), str(status.get("phase"))
    if ended:
        return "Succeeded" if ended.get("exitCode") == 0 else "Failed"
    return "Running" if phase == "Pending" and engine_state(status, "running") else phase


def waiting_state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return why the engine or an init container waits: reason, message, its name and image; preferably a problem.

    The engine does not wait for the pod's other containers.
    """
    engine = [item for item in status.get("containerStatuses") or () if item.get("name") == CONTAINER]
    states = [
        {**_state(item, "waiting"), "container": item.get("name"), "image": item.get("image")}
        for item in (*engine, *(status.get("initContainerStatuses") or ()))
        if _state(item, "waiting")
    ]
    return next((state for state in states if state.get("reason") not in _ORDINARY), states[0] if states else {})


def other_container_failure(status: Mapping[str, Any]) -> str:
    """Return which other container, one of a pod template, failed and how; empty if none did."""
    for item in _statuses(status):
        ended = _state(item, "terminated")
        if item.get("name") != CONTAINER and ended.get("exitCode"):
            return f"container {item.get('name')} ended with exit code {ended['exitCode']}: {describe_state(ended)}"
    return ""


def condition(status: Mapping[str, Any], kind: str, value: str) -> str:
    """Return reason and message of a pod's condition if it has the given value, else an empty string.

    Args:
        status: The pod's status.
        kind: Type of the condition, such as `PodScheduled`.
        value: `True` or `False`.
    """
    return next(
        (
            describe_state(found) or kind
            for found in status.get("conditions") or ()
            if found.get("type") == kind and found.get("status") == value
        ),
        "",
    )


def disruption(status: Mapping[str, Any]) -> str:
    """Return what ended the pod from outside, such as `DeletionByTaintManager: …`; empty if that is unknown."""
    return condition(status, "DisruptionTarget", "True")


def describe_state(state: Mapping[str, Any]) -> str:
    """Join reason and message in one line."""
    return ": ".join(" ".join(str(state[key]).split()) for key in ("reason", "message") if state.get(key))


def pod_requirements(pod: Pod) -> str:
    """Return what the pod requires of a node: labels and resources, in one line."""
    spec = pod.get("spec") or {}
    labels = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
    requests = (engine_of(pod).get("resources") or {}).get("requests") or {}
    return ", ".join([*labels, *(f"{value} of {key}" for key, value in requests.items())])


def _statuses(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _state(item: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    return (item.get("state") or {}).get(state) or {}
