"""Decides what to do with pods that an earlier try of a task left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudseg_ops.pods.states import Pod, engine_phase


@dataclass(frozen=True, slots=True)
class PodPlan:
    """What to do with the pods that carry a task's labels.

    Attributes:
        reuse: The pod to resume: it runs, waits for a node, or has finished the chunk already.
        delete: Pods to delete.
        await_end: Pods that must be gone before a new one starts, since they may still be working.
    """

    reuse: str | None
    delete: tuple[str, ...]
    await_end: tuple[str, ...]


def classify_pods(pods: Sequence[Pod]) -> PodPlan:
    """Decide what to do with the pods of one mapped task, given as v1 Pods in JSON form.

    A pod that is being deleted still holds its GPU and still writes masks, if it ever started: the task waits for it
    and does not resume it. Of several live pods, the oldest has made the most progress. A pod whose engine has ended
    has ended, even if a sidecar still runs in it.
    """
    ending = [pod for pod in pods if pod["metadata"].get("deletionTimestamp")]
    rest = sorted(
        (pod for pod in pods if not pod["metadata"].get("deletionTimestamp")),
        key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")),
    )
    by_phase = {
        phase: [_name(pod) for pod in rest if engine_phase(pod) == phase]
        for phase in ("Succeeded", "Running", "Pending")
    }
    candidates = [*by_phase["Succeeded"], *by_phase["Running"], *by_phase["Pending"]]
    reuse = candidates[0] if candidates else None
    delete = [pod for pod in rest if _name(pod) != reuse]
    at_work = [pod for pod in (*ending, *delete) if engine_phase(pod) in ("Running", "Unknown")]
    return PodPlan(reuse, tuple(map(_name, delete)), tuple(map(_name, at_work)))


def deletable_pods(pods: Sequence[Pod], run_label: str) -> list[str]:
    """Return the names of a DAG's pods that can be deleted once a run has ended.

    Args:
        pods: All pods of the DAG.
        run_label: Value of the label `run_id` on the pods of that run.

    Returns:
        All pods of that run, and ended pods of other runs that were never deleted.
    """
    return [
        _name(pod)
        for pod in pods
        if pod["metadata"].get("labels", {}).get("run_id") == run_label or engine_phase(pod) in ("Succeeded", "Failed")
    ]


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])
