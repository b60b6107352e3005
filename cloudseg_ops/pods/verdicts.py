"""Explains what happened to a pod, from what Kubernetes reports about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudseg_ops.config.pods import MORE_MEMORY
from cloudseg_ops.contracts.engine_failure import PERMANENT_EXIT, permanent_failure
from cloudseg_ops.contracts.errors import (
    ChunkUnfinishedError,
    CloudsegError,
    EngineError,
    PodDeadlineError,
    PodError,
    PodImageError,
    PodLostError,
    PodOutOfMemoryError,
    PodUnschedulableError,
    VersionMismatchError,
)
from cloudseg_ops.pods.manifest import CONTAINER
from cloudseg_ops.pods.states import (
    Pod,
    condition,
    describe_state,
    disruption,
    engine_of,
    engine_phase,
    engine_state,
    other_container_failure,
    pod_requirements,
    waiting_state,
)

_KEPT = "the masks so far are kept, and a retry does the rest"
_ADDED_BY = "CLOUDSEG_POD_TEMPLATE or a webhook of the cluster"
_USAGE_EXIT = 2
_MISMATCH_EXIT = 3
_SIGTERM_EXIT = 143
_SIGKILL_EXIT = 137
# Reasons that the kubelet and container runtimes give if a container's process could not be started
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})
# The kubelet's messages if a pod exceeded its own disk limits, unlike a node that ran short of disk
_OWN_DISK = ("ephemeral local storage", "local ephemeral storage", "EmptyDir volume")
# The kubelet's reasons for failing to pull an image that do not contain the word «Image»
_IMAGE_REASONS = frozenset({"RegistryUnavailable", "SignatureValidationFailed"})


def final_error(pod: Pod | None, name: str, events: Sequence[str] = ()) -> CloudsegError:
    """Return the error that says why a pod did not finish its chunk.

    Args:
        pod: The pod as Kubernetes last returned it (a v1 Pod in JSON form); None if it is gone.
        name: Name of the pod, used if it is gone.
        events: Warning events of the pod, newest last.

    Returns:
        The error to raise; its message says what to do.
    """
    if pod is None:
        return _deleted(name, "")
    name = pod["metadata"].get("name", name)
    status = pod.get("status") or {}
    limit = _limit(pod, name, status)
    if limit is not None:
        return limit
    if not _exited_unsignalled(status):
        if pod["metadata"].get("deletionTimestamp"):
            return _deleted(name, disruption(status))
        if engine_phase(pod) == "Pending":
            return _never_started(pod, name, status, events)
        if lost := _lost(name, status):
            return lost
    return _ended(name, status)


def explain_pod(pod: Pod) -> str:
    """Summarize a pod's state in one line, such as `Pending: Unschedulable: 0/3 nodes are available`."""
    status = pod.get("status") or {}
    phase = str(status.get("phase", "Unknown"))
    words = [phase, describe_state(status)]
    if phase == "Pending":
        words += [condition(status, "PodScheduled", "False"), describe_state(waiting_state(status))]
    ended = engine_state(status, "terminated")
    if ended and phase != "Succeeded":
        words.append(f"exit code {ended.get('exitCode')}: {ended.get('reason', 'no reason')}")
    elif phase == "Failed":
        words.append(other_container_failure(status))
    if pod["metadata"].get("deletionTimestamp"):
        words.append(f"being deleted: {disruption(status)}".removesuffix(": "))
    return ": ".join(word for word in words if word)


def _exited_unsignalled(status: Mapping[str, Any]) -> bool:
    code = engine_state(status, "terminated").get("exitCode")
    return code is not None and code not in (_SIGTERM_EXIT, _SIGKILL_EXIT)


def _deleted(name: str, why: str) -> PodLostError:
    return PodLostError(
        f"pod {name} was deleted while it ran{f' ({why})' if why else ''}: a Spot node was taken back, a node drained, "
        f"or the pod deleted by hand; {_KEPT}"
    )


def _limit(pod: Pod, name: str, status: Mapping[str, Any]) -> PodError | None:
    """Return the error if one of the pod's own limits ended it, even if it was deleted afterwards."""
    engine, message = engine_of(pod), str(status.get("message", "")).strip()
    limits = (engine.get("resources") or {}).get("limits") or {}
    if status.get("reason") == "DeadlineExceeded" and not _exited_unsignalled(status):
        return PodDeadlineError(
            f"pod {name} ran longer than CLOUDSEG_POD_DEADLINE_SECONDS "
            f"({(pod.get('spec') or {}).get('activeDeadlineSeconds')} s): {_KEPT}. If it happens again, make chunks "
            "smaller (CLOUDSEG_CHUNK_OBJECTS)"
        )
    if engine_state(status, "terminated").get("reason") == "OOMKilled":
        return PodOutOfMemoryError(
            f"pod {name} needed more memory than {limits.get('memory', 'its limit')}: {_KEPT}. If it fails again, "
            f"{MORE_MEMORY}"
        )
    if status.get("reason") == "Evicted" and any(words in message for words in _OWN_DISK):
        return PodError(
            f"pod {name} used more disk than {limits.get('ephemeral-storage', 'its limit')} (Evicted: {message}): "
            f"{_KEPT}. If it fails again, raise CLOUDSEG_POD_EPHEMERAL_STORAGE"
        )
    return None


def _never_started(pod: Pod, name: str, status: Mapping[str, Any], events: Sequence[str]) -> PodError:
    state, unscheduled = waiting_state(status), condition(status, "PodScheduled", "False")
    if unscheduled or not (pod.get("spec") or {}).get("nodeName"):
        detail = _joined(unscheduled or "the scheduler has not looked at it", *events[-2:])
        return PodUnschedulableError(
            f"pod {name} found no node in time: {detail}. Check that the cluster has (or can add) nodes that match it: "
            f"{pod_requirements(pod)}; then clear this task. CLOUDSEG_SCHEDULE_TIMEOUT_SECONDS limits the wait"
        )
    reason = str(state.get("reason"))
    if "Image" in reason or reason in _IMAGE_REASONS:
        image = state.get("image") or engine_of(pod).get("image")
        advice = (
            "With CLOUDSEG_IMAGE_PULL_POLICY=Never, the nodes must have the image already: load it there"
            if reason == "ErrImageNeverPull"
            else "Check that CLOUDSEG_IMAGE exists and that the nodes can pull it (Artifact Registry Reader)"
        )
        if state.get("container") != CONTAINER:
            advice = f"It is the image of an init container, which comes from {_ADDED_BY}: correct it there"
        return PodImageError(
            f"pod {name} cannot get the image {image}: {describe_state(state)}. {advice}; then clear this task"
        )
    detail = _joined(describe_state(state), *events[-2:])
    return PodError(
        f"pod {name} did not start in time: {detail or 'Kubernetes gives no reason'}. Check that everything its "
        "template names (secrets, volumes, init containers) exists; CLOUDSEG_STARTUP_TIMEOUT_SECONDS limits the wait"
    )


def _joined(first: str, *events: str) -> str:
    """Join a reason and the events that add something to it."""
    words = [first.rstrip(". ")] if first else []
    for event in (" ".join(event.split()).rstrip(". ") for event in events):
        if not any(event.partition(": ")[2] in word for word in words):
            words.append(event)
    return "; ".join(words)


def _lost(name: str, status: Mapping[str, Any]) -> PodError | None:
    """Return the error if the pod's node ended it or is gone."""
    ended = engine_state(status, "terminated")
    why = describe_state(status) or disruption(status)
    other_failure = other_container_failure(status)
    if not why and not ended and other_failure:
        return PodError(
            f"pod {name} never started the engine: {other_failure}. That container comes from {_ADDED_BY}: see its log"
        )
    if why:
        return PodLostError(
            f"pod {name} was ended or refused by its node: {why}: {_KEPT}. This is normal for Spot nodes; "
            "otherwise, check the node"
        )
    if not ended:
        return PodLostError(
            f"pod {name} is {status.get('phase', 'Unknown')}, and its node no longer reports how the engine ended: "
            f"{_KEPT}"
        )
    return None


def _ended(name: str, status: Mapping[str, Any]) -> CloudsegError:
    ended = engine_state(status, "terminated")
    reason, code = ended.get("reason", "no reason"), ended.get("exitCode")
    tail = " | ".join(str(ended.get("message", "")).strip().splitlines()[-3:])
    if reason in _NOT_STARTED:
        return PodError(
            f"pod {name} could not start the engine ({reason}): {tail}. Check that CLOUDSEG_IMAGE is an image of "
            "the engine, and what CLOUDSEG_POD_TEMPLATE changes"
        )
    if code == _SIGTERM_EXIT:
        return PodLostError(f"pod {name} was stopped (SIGTERM): {_KEPT}")
    if code == _SIGKILL_EXIT:
        return PodLostError(
            f"pod {name}'s container was killed (SIGKILL), after its grace period or by a node short of memory: {_KEPT}"
        )
    lines = str(ended.get("message", "")).splitlines()
    if code == PERMANENT_EXIT and (failure := permanent_failure(lines, f"pod {name}")):
        return failure
    return _exit_error(name, code, reason, tail or "it left no message")


def _exit_error(name: str, code: int | None, reason: str, tail: str) -> EngineError:
    """Return the error of an engine that ended with an error code."""
    if code == _MISMATCH_EXIT:
        return VersionMismatchError(f"pod {name}: {tail.rpartition('VersionMismatchError: ')[2]}")
    if code == _USAGE_EXIT:
        return PodError(
            f"pod {name}: the engine rejects its command line: {tail}. Correct CLOUDSEG_ENGINE_OPTIONS; or, if "
            "CLOUDSEG_IMAGE is of an older version than the DAG, deploy both from one revision"
        )
    return ChunkUnfinishedError(f"pod {name}: the engine ended with exit code {code} ({reason}): {tail}; {_KEPT}")
