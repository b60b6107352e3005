"""The failed tasks of a run, for notifications and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TASKS_NAMED = 10
"""Maximum number of failed tasks that a notification or a report names."""


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A failed task of a run.

    Attributes:
        task_id: Id of the task.
        map_index: Index of the mapped task, else -1.
        error: Name of its error's class; empty if the task was ended from outside, or by an error that is not ours.
        message: What was found, and where; empty if `error` is.
        todo: What to do about it; empty if `error` is.
    """

    task_id: str
    map_index: int = -1
    error: str = ""
    message: str = ""
    todo: str = ""

    @property
    def name(self) -> str:
        """Name for people, such as `segment[3]`."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "task_id": self.task_id,
            "map_index": self.map_index,
            "error": self.error,
            "message": self.message,
            "todo": self.todo,
        }


def find_failed_tasks(
    states: Mapping[str, str | None], task_ids: Sequence[str], limit: int | None = TASKS_NAMED
) -> list[FailedTask]:
    """Find the failed tasks of a run.

    Args:
        states: State by task, as Airflow's API for tasks returns it: mapped ones are named `task_index`.
        task_ids: The DAG's tasks, in the order in which they run.
        limit: Maximum number of tasks to return; None: all.

    Returns:
        The first ones, in that order. Tasks that did not run because an earlier one failed are left out.
    """
    failed = [name for name, state in states.items() if state == "failed"]
    found = [
        FailedTask(task_id, -1 if name == task_id else int(name.removeprefix(f"{task_id}_")))
        for task_id in task_ids
        for name in failed
        if name == task_id or (name.startswith(f"{task_id}_") and name.removeprefix(f"{task_id}_").isdigit())
    ]
    order = {task_id: number for number, task_id in enumerate(task_ids)}
    return sorted(found, key=lambda task: (order[task.task_id], task.map_index))[:limit]


def name_tasks(tasks: Sequence[FailedTask]) -> str:
    """Name the first ten of failed tasks: `segment[3], segment[7] and 12 more`."""
    more = len(tasks) - TASKS_NAMED
    return ", ".join(task.name for task in tasks[:TASKS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
