"""Reads a pod's status: any of its parts may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cloudseg_ops.pods.manifest import CONTAINER

Pod = Mapping[str, Any]
# What a container waits for before anything can be wrong with it
_ORDINARY = frozenset({"ContainerCreating", "PodInitializing"})


def engine_of(pod: Pod) -> Mapping[str, Any]:
    """Find the engine's container in a pod's spec; empty when there is none."""
    containers = (pod.get("spec") or {}).get("containers") or ()
    return next((container for container in containers if container.get("name") == CONTAINER), {})


def engine_state(status: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    """What Kubernetes says of the engine's state `waiting`, `running` or `terminated`; empty when it is in another."""
    return next((_state(item, state) for item in _statuses(status) if item.get("name") == CONTAINER), {})


def waiting(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the pod waits for: reason and message, with the image of that container; the trouble first, if any."""
    held = [
        {**_state(item, "waiting"), "image": item.get("image")}
        for item in sorted(_statuses(status), key=lambda item: item.get("name") != CONTAINER)
        if _state(item, "waiting")
    ]
    return next((state for state in held if state.get("reason") not in _ORDINARY), held[0] if held else {})


def failed_beside(status: Mapping[str, Any]) -> str:
    """Which container of a team's template failed, and how; empty when none did."""
    for item in _statuses(status):
        ended = _state(item, "terminated")
        if item.get("name") != CONTAINER and ended.get("exitCode"):
            return f"container {item.get('name')} ended with exit code {ended['exitCode']}: {in_words(ended)}"
    return ""


def condition(status: Mapping[str, Any], kind: str, value: str) -> str:
    """Reason and message of a condition of the pod that has this value, `True` or `False`; empty when it has not."""
    return next(
        (
            in_words(found) or kind
            for found in status.get("conditions") or ()
            if found.get("type") == kind and found.get("status") == value
        ),
        "",
    )


def disruption(status: Mapping[str, Any]) -> str:
    """Who ended the pod from outside, as `DeletionByTaintManager: …`; empty when nobody says so."""
    return condition(status, "DisruptionTarget", "True")


def in_words(said: Mapping[str, Any]) -> str:
    """Put reason and message in one line."""
    return ": ".join(" ".join(str(said[key]).split()) for key in ("reason", "message") if said.get(key))


def demands(pod: Pod) -> str:
    """What a node must have to take the pod."""
    spec = pod.get("spec") or {}
    labels = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
    requests = (engine_of(pod).get("resources") or {}).get("requests") or {}
    return ", ".join([*labels, *(f"{value} of {key}" for key, value in requests.items())])


def _statuses(status: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _state(item: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    return (item.get("state") or {}).get(state) or {}
