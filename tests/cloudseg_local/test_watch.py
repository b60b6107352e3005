import pytest

from cloudseg_local.airflow_api import TaskState
from cloudseg_local.watch import TASKS, Stall, describe


def _task(task_id: str, state: str | None, map_index: int = -1) -> TaskState:
    return TaskState(task_id, map_index, state, 1)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["running", None, None, None, None, None], "sense_inputs: running"),
        (["up_for_reschedule", None, None, None, None, None], "sense_inputs: up_for_reschedule"),
        (["success", "running", None, None, None, None], "pull_model: running"),
        (["success", "success", "success", None, None, None], "segment: waiting"),
        (["success", "success", "success", "failed", "running", None], "clean_inputs: running"),
        (["success", "failed", "upstream_failed", "upstream_failed", "success", "queued"], "report: queued"),
        (["skipped"] * 6, "finished"),
        (["success"] * 6, "finished"),
    ],
)
def test_first_unfinished_task_is_described(states: list[str | None], expected: str) -> None:
    tasks = [_task(task_id, state) for task_id, state in zip(TASKS[:6], states, strict=True)]
    assert describe(tasks) == expected
    # Airflow gives them in any order.
    assert describe(tasks[::-1]) == expected


def test_teardown_is_described_last() -> None:
    tasks = [_task(task_id, "success") for task_id in TASKS]
    assert describe(tasks) == "finished"
    assert describe([*tasks[:-2], _task("report", "running"), _task("release_pods", "running")]) == "report: running"
    assert describe([*tasks[:-1], _task("release_pods", "running")]) == "release_pods: running"


def test_chunks_are_counted_by_state() -> None:
    done = [_task(task_id, "success") for task_id in TASKS[:3]]
    states = ["running", "success", None, "running", "queued"]
    chunks = [_task("segment", state, index) for index, state in enumerate(states)]
    assert describe([*done, *chunks]) == "segment: 1 queued, 2 running, 1 success, 1 waiting"


def test_stall_is_half_a_minute_with_only_queued_tasks() -> None:
    queued, running = TaskState("segment", 0, "queued", 1), TaskState("segment", 1, "running", 1)
    stall = Stall()
    assert not stall.is_stalled([queued], 0)
    assert not stall.is_stalled([queued], 29)
    assert stall.is_stalled([queued], 30)
    assert not stall.is_stalled([queued], 31)  # it was reported; the time starts again
    assert not stall.is_stalled([queued, running], 50)
    assert not stall.is_stalled([queued], 62)
    assert not stall.is_stalled([TaskState("report", -1, None, 0)], 99)
