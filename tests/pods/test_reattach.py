from typing import Any

import pytest

from cloudseg_ops.pods.reattach import releasable, sort_out


def _pod(name: str, phase: str | None, *, at: int = 0, ending: bool = False, run: str | None = "r1") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "creationTimestamp": f"2026-08-26T03:00:{at:02}Z"}
    if ending:
        metadata["deletionTimestamp"] = "2026-08-26T04:00:00Z"
    if run:
        metadata["labels"] = {"run_id": run}
    return {"metadata": metadata, "status": {"phase": phase} if phase else {}}


def test_without_pods_there_is_nothing_to_do() -> None:
    plan = sort_out([])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ())


@pytest.mark.parametrize("phase", ["Succeeded", "Running", "Pending"])
def test_one_that_lives_or_is_done_is_taken_up(phase: str) -> None:
    plan = sort_out([_pod("a", phase)])
    assert (plan.reuse, plan.delete, plan.await_end) == ("a", (), ())


@pytest.mark.parametrize("phase", ["Failed", "Unknown", None])
def test_one_that_failed_or_is_lost_is_deleted_and_its_end_awaited(phase: str | None) -> None:
    plan = sort_out([_pod("a", phase)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, ("a",), ("a",))


@pytest.mark.parametrize("phase", ["Succeeded", "Running", "Pending", "Failed"])
def test_one_that_is_ending_is_awaited_and_neither_joined_nor_deleted_again(phase: str) -> None:
    plan = sort_out([_pod("a", phase, ending=True)])
    assert (plan.reuse, plan.delete, plan.await_end) == (None, (), ("a",))


def test_of_several_the_furthest_goes_on_and_the_others_end_first() -> None:
    pods = [
        _pod("pending", "Pending", at=1),
        _pod("younger", "Running", at=9),
        _pod("older", "Running", at=3),
        _pod("failed", "Failed", at=2),
        _pod("ending", "Running", at=0, ending=True),
    ]
    plan = sort_out(pods)
    assert plan.reuse == "older"
    assert sorted(plan.delete) == ["failed", "pending", "younger"]
    assert sorted(plan.await_end) == ["ending", "failed", "pending", "younger"]
    done = sort_out([*pods, _pod("done", "Succeeded", at=20)])
    assert done.reuse == "done"
    assert "older" in done.delete


def test_the_end_of_a_run_releases_its_own_pods_and_what_has_ended() -> None:
    pods = [
        _pod("own", "Running"),
        _pod("own-pending", "Pending"),
        _pod("other", "Running", run="r2"),
        _pod("other-failed", "Failed", run="r2"),
        _pod("other-done", "Succeeded", run="r2"),
        _pod("other-lost", "Unknown", run="r2"),
        _pod("nobodys", "Running", run=None),
    ]
    assert releasable(pods, "r1") == ["own", "own-pending", "other-failed", "other-done"]
