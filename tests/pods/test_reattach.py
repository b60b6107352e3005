"""Which pods of earlier tries are reused, deleted or awaited, and which pods of a run are deletable."""

from typing import Any

from cloudseg_ops.pods import CONTAINER
from cloudseg_ops.pods.reattach import classify_pods, deletable_pods


def pod(name: str, phase: str, created: int = 0, *, ending: bool = False, run: str = "r1") -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": f"2026-01-01T00:00:{created:02d}Z", "labels": {"run_id": run}}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return {"metadata": metadata, "status": {"phase": phase}}


def test_no_pods_give_an_empty_plan() -> None:
    plan = classify_pods([])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ())


def test_running_pod_is_reused() -> None:
    plan = classify_pods([pod("a", "Running")])
    assert (plan.reuse, plan.delete, plan.await_end) == ("a", (), ())


def test_pending_pod_is_reused() -> None:
    assert classify_pods([pod("a", "Pending")]).reuse == "a"


def test_succeeded_pod_is_preferred() -> None:
    plan = classify_pods([pod("a", "Running", 1), pod("b", "Succeeded", 2)])
    assert (plan.reuse, plan.delete) == ("b", ("a",))


def test_failed_pod_is_deleted() -> None:
    plan = classify_pods([pod("a", "Failed")])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ())


def test_terminating_pending_pod_is_not_awaited() -> None:
    plan = classify_pods([pod("a", "Pending", ending=True)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ())


def test_terminating_running_pod_is_awaited() -> None:
    plan = classify_pods([pod("a", "Running", ending=True)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ("a",))


def test_oldest_running_pod_is_reused() -> None:
    plan = classify_pods([pod("new", "Running", 9), pod("old", "Running", 1), pod("waiting", "Pending", 0)])
    assert plan.reuse == "old"
    assert set(plan.delete) == {"new", "waiting"}
    assert plan.await_end == ("new",)


def test_pod_in_unknown_phase_is_deleted_and_awaited() -> None:
    plan = classify_pods([pod("a", "Unknown")])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ("a",))


def test_all_pods_of_an_ended_run_are_deletable() -> None:
    pods = [pod("running", "Running"), pod("waiting", "Pending"), pod("done", "Succeeded")]
    assert deletable_pods(pods, "r1") == ["running", "waiting", "done"]


def test_active_pods_of_other_runs_are_kept() -> None:
    pods = [pod("running", "Running", run="r2"), pod("waiting", "Pending", run="r2"), pod("failed", "Failed", run="r0")]
    assert deletable_pods(pods, "r1") == ["failed"]


def with_sidecar(name: str, code: int | None, created: int = 0) -> dict[str, Any]:
    """A running pod whose engine has ended, or still runs, next to a sidecar that runs on."""
    found = pod(name, "Running", created)
    running: dict[str, Any] = {"running": {}}
    engine = running if code is None else {"terminated": {"exitCode": code}}
    found["status"]["containerStatuses"] = [
        {"name": "istio-proxy", "state": running},
        {"name": CONTAINER, "state": engine},
    ]
    return found


def test_pod_whose_engine_has_finished_is_reused_first() -> None:
    plan = classify_pods([with_sidecar("a", None, 1), with_sidecar("b", 0, 2)])
    assert (plan.reuse, plan.delete, plan.await_end) == ("b", ("a",), ("a",))


def test_pod_whose_engine_has_failed_is_deleted_and_not_awaited() -> None:
    plan = classify_pods([with_sidecar("a", 1)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ())


def test_pod_of_another_run_is_deletable_once_its_engine_has_ended() -> None:
    pods = [with_sidecar("finished", 0), with_sidecar("failed", 2), with_sidecar("running", None)]
    assert deletable_pods(pods, "r2") == ["finished", "failed"]


def test_pending_pod_whose_engine_runs_is_at_work() -> None:
    found = with_sidecar("a", None)
    engine = found["status"]["containerStatuses"][1]
    engine["state"] = {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
    found["status"]["phase"] = "Pending"
    assert classify_pods([found, pod("b", "Succeeded")]).await_end == ("a",)
    found["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    assert classify_pods([found]).await_end == ("a",)
