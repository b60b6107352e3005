"""What becomes of the pods of earlier tries, and of an ended run."""

from typing import Any

from cloudseg_ops.pods.reattach import classify_pods, deletable_pods


def pod(name: str, phase: str, created: int = 0, *, ending: bool = False, run: str = "r1") -> dict[str, Any]:
    metadata = {"name": name, "creationTimestamp": f"2026-01-01T00:00:{created:02d}Z", "labels": {"run_id": run}}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return {"metadata": metadata, "status": {"phase": phase}}


def test_nothing_was_left() -> None:
    plan = classify_pods([])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ())


def test_a_running_pod_is_taken_up() -> None:
    plan = classify_pods([pod("a", "Running")])
    assert (plan.reuse, plan.delete, plan.await_end) == ("a", (), ())


def test_a_pod_that_waits_for_a_node_is_taken_up() -> None:
    assert classify_pods([pod("a", "Pending")]).reuse == "a"


def test_a_pod_that_has_done_the_chunk_is_taken_for_it() -> None:
    plan = classify_pods([pod("a", "Running", 1), pod("b", "Succeeded", 2)])
    assert (plan.reuse, plan.delete) == ("b", ("a",))


def test_a_failed_pod_makes_room() -> None:
    plan = classify_pods([pod("a", "Failed")])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ())


def test_a_pod_that_is_ending_and_never_started_holds_nobody_up() -> None:
    plan = classify_pods([pod("a", "Pending", ending=True)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ())


def test_a_pod_that_is_ending_is_waited_for_not_joined() -> None:
    plan = classify_pods([pod("a", "Running", ending=True)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ("a",))


def test_of_two_that_run_the_older_one_has_come_further() -> None:
    plan = classify_pods([pod("new", "Running", 9), pod("old", "Running", 1), pod("waiting", "Pending", 0)])
    assert plan.reuse == "old"
    assert set(plan.delete) == {"new", "waiting"}
    assert plan.await_end == ("new",)


def test_a_node_that_does_not_answer_makes_a_pod_unknown_and_no_use() -> None:
    plan = classify_pods([pod("a", "Unknown")])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ("a",))


def test_an_ended_run_needs_none_of_its_pods() -> None:
    pods = [pod("running", "Running"), pod("waiting", "Pending"), pod("done", "Succeeded")]
    assert deletable_pods(pods, "r1") == ["running", "waiting", "done"]


def test_another_run_keeps_what_it_still_uses() -> None:
    pods = [pod("running", "Running", run="r2"), pod("waiting", "Pending", run="r2"), pod("failed", "Failed", run="r0")]
    assert deletable_pods(pods, "r1") == ["failed"]
