"""What to do about pods that an earlier try of a task left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Pod = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodPlan:
    """What becomes of the pods that carry a task's labels.

    Attributes:
        reuse: The one to go on with: it runs, waits for a node, or has done the chunk already.
        delete: Those that are to be deleted.
        await_end: Those that must be gone before a new pod starts, for they may still be at work.
    """

    reuse: str | None
    delete: tuple[str, ...]
    await_end: tuple[str, ...]


def classify_pods(pods: Sequence[Pod]) -> PodPlan:
    """Decide about the pods of one mapped task, each a v1 Pod in JSON's terms.

    A pod that is ending still holds its GPU and still writes masks, if it ever started: it is waited for, not joined.
    Of several alive the oldest has come furthest.
    """
    ending = [pod for pod in pods if pod["metadata"].get("deletionTimestamp")]
    rest = sorted(
        (pod for pod in pods if not pod["metadata"].get("deletionTimestamp")),
        key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")),
    )
    by_phase = {
        phase: [_name(pod) for pod in rest if _phase(pod) == phase] for phase in ("Succeeded", "Running", "Pending")
    }
    candidates = [*by_phase["Succeeded"], *by_phase["Running"], *by_phase["Pending"]]
    reuse = candidates[0] if candidates else None
    delete = [pod for pod in rest if _name(pod) != reuse]
    at_work = [pod for pod in (*ending, *delete) if _phase(pod) in ("Running", "Unknown")]
    return PodPlan(reuse, tuple(map(_name, delete)), tuple(map(_name, at_work)))


def deletable_pods(pods: Sequence[Pod], run_label: str) -> list[str]:
    """Name the pods of a DAG that nobody needs once a run is over.

    Args:
        pods: All pods of the DAG.
        run_label: The ended run's value of the label `run_id`.

    Returns:
        All pods of that run, and those of other runs that have ended and were never deleted.
    """
    return [
        _name(pod)
        for pod in pods
        if pod["metadata"].get("labels", {}).get("run_id") == run_label or _phase(pod) in ("Succeeded", "Failed")
    ]


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def _phase(pod: Pod) -> str:
    return str(pod.get("status", {}).get("phase"))
