"""What became of a pod, told from what Kubernetes says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudseg_ops.errors import (
    ChunkUnfinishedError,
    PodDeadlineError,
    PodError,
    PodImageError,
    PodLostError,
    PodOutOfMemoryError,
    PodUnschedulableError,
)
from cloudseg_ops.pods.manifest import CONTAINER

_KEPT = "the masks so far are kept, and a retry does the rest"
_SIGTERM_EXIT = 143
_SIGKILL_EXIT = 137


def final_error(
    pod: Mapping[str, Any] | None, name: str, events: Sequence[str] = ()
) -> PodError | ChunkUnfinishedError:
    """Say why a pod did not finish its chunk.

    Args:
        pod: The pod as Kubernetes last gave it (a v1 Pod in JSON's terms); None: it is gone.
        name: Its name, for a pod that is gone.
        events: Its warning events, newest last.

    Returns:
        The error to raise; its message says what to do.
    """
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return PodLostError(
            f"pod {name} was deleted while it ran, as a Spot node is taken back, a node drained or a pod deleted by "
            f"hand: {_KEPT}"
        )
    status = pod.get("status", {})
    if status.get("phase") == "Pending":
        return _never_started(pod, events)
    return _ended(pod, status)


def explain_pod(pod: Mapping[str, Any]) -> str:
    """Sum a pod's state up in one line, such as `Pending: Unschedulable: 0/3 nodes are available`."""
    status = pod.get("status", {})
    waiting = _state(status, "waiting")
    reasons = [*_conditions(status, "PodScheduled"), *([_reason(waiting)] if waiting else [])]
    return ": ".join([status.get("phase", "Unknown"), *reasons])


def _never_started(pod: Mapping[str, Any], events: Sequence[str]) -> PodError:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    if unscheduled := _conditions(status, "PodScheduled"):
        return PodUnschedulableError(
            f"pod {name} found no node: {'; '.join(unscheduled)}. See that the cluster has (or may grow) nodes that "
            f"match it: {_demands(pod)}; then clear this task. CLOUDSEG_SCHEDULE_TIMEOUT_SECONDS bounds the wait"
        )
    waiting = _state(status, "waiting")
    image = next((container.get("image") for container in pod["spec"]["containers"]), None)
    if "Image" in str(waiting.get("reason")):
        return PodImageError(
            f"pod {name} cannot have the image {image}: {_reason(waiting)}. See that CLOUDSEG_IMAGE exists and that "
            "the nodes may pull it (Artifact Registry Reader), then clear this task"
        )
    told = "; ".join([_reason(waiting), *events[-2:]]).strip("; ")
    return PodError(
        f"pod {name} did not start in time: {told or 'Kubernetes gives no reason'}. "
        "CLOUDSEG_STARTUP_TIMEOUT_SECONDS bounds the wait"
    )


def _ended(pod: Mapping[str, Any], status: Mapping[str, Any]) -> PodError | ChunkUnfinishedError:
    name = pod["metadata"]["name"]
    ended = _state(status, "terminated")
    reason, code = ended.get("reason"), ended.get("exitCode")
    if status.get("reason") == "DeadlineExceeded":
        return PodDeadlineError(
            f"pod {name} ran longer than CLOUDSEG_POD_DEADLINE_SECONDS "
            f"({pod['spec'].get('activeDeadlineSeconds')} s): {_KEPT}. If it always does, make chunks smaller "
            "(CLOUDSEG_CHUNK_OBJECTS)"
        )
    if reason == "OOMKilled":
        limit = pod["spec"]["containers"][0].get("resources", {}).get("limits", {}).get("memory", "its limit")
        return PodOutOfMemoryError(
            f"pod {name} needed more memory than {limit}: {_KEPT}. If it fails again, raise CLOUDSEG_POD_MEMORY or "
            "lower --batch in CLOUDSEG_ENGINE_OPTIONS"
        )
    if status.get("reason") in ("Evicted", "NodeLost", "Shutdown", "Terminated", "Preempting", "NodeShutdown"):
        return PodLostError(f"pod {name} lost its node: {status['reason']}: {status.get('message', '')}: {_KEPT}")
    if code == _SIGTERM_EXIT:
        return PodLostError(f"pod {name} was told to stop (SIGTERM), and did: {_KEPT}")
    if code == _SIGKILL_EXIT:
        return PodLostError(f"pod {name}'s container was killed (SIGKILL): {_KEPT}")
    tail = " | ".join(str(ended.get("message", "")).strip().splitlines()[-3:])
    return ChunkUnfinishedError(
        f"pod {name}: the engine ended with exit code {code} ({reason}): {tail or 'it left no message'}; {_KEPT}"
    )


def _state(status: Mapping[str, Any], state: str) -> Mapping[str, Any]:
    for container in status.get("containerStatuses") or ():
        if container["name"] == CONTAINER:
            return container.get("state", {}).get(state) or {}
    return {}


def _conditions(status: Mapping[str, Any], kind: str) -> list[str]:
    return [
        _reason(condition)
        for condition in status.get("conditions") or ()
        if condition["type"] == kind and condition["status"] == "False"
    ]


def _reason(said: Mapping[str, Any]) -> str:
    return ": ".join(str(said[key]) for key in ("reason", "message") if said.get(key))


def _demands(pod: Mapping[str, Any]) -> str:
    spec = pod["spec"]
    labels = [f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()]
    requests = spec["containers"][0].get("resources", {}).get("requests") or {}
    return ", ".join([*labels, *(f"{value} of {key}" for key, value in requests.items())])
