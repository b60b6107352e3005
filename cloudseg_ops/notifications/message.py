"""Builds the notification of a failed run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

_TASKS_NAMED = 10
# Google Chat rejects a message with unknown fields.
_TEXT_ONLY = "chat.googleapis.com"


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


def find_failed_tasks(states: Mapping[str, str | None], task_ids: Sequence[str]) -> list[FailedTask]:
    """Find the failed tasks of a run.

    Args:
        states: State by task, as Airflow's API for tasks returns it: mapped ones are named `task_index`.
        task_ids: The DAG's tasks, in the order in which they run.

    Returns:
        The first ten, in that order. Tasks that did not run because an earlier one failed are left out.
    """
    failed = [name for name, state in states.items() if state == "failed"]
    found = [
        FailedTask(task_id, -1 if name == task_id else int(name.removeprefix(f"{task_id}_")))
        for task_id in task_ids
        for name in failed
        if name == task_id or (name.startswith(f"{task_id}_") and name.removeprefix(f"{task_id}_").isdigit())
    ]
    order = {task_id: number for number, task_id in enumerate(task_ids)}
    return sorted(found, key=lambda task: (order[task.task_id], task.map_index))[:_TASKS_NAMED]


def log_address(base: str, dag_id: str, run_id: str, task: FailedTask | None = None) -> str:
    """Return the address at which the Airflow UI shows a task's log, or a run.

    Args:
        base: Address of the Airflow UI.
        dag_id: The DAG.
        run_id: The run.
        task: The task; None: the run.

    >>> log_address("https://airflow.example/", "clouds", "manual__1", FailedTask("segment", 3))
    'https://airflow.example/dags/clouds/runs/manual__1/tasks/segment/mapped/3'
    """
    run = f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}"
    if task is None:
        return run
    return f"{run}/tasks/{quote(task.task_id)}" + (f"/mapped/{task.map_index}" if task.map_index >= 0 else "")


def build_notification(
    *, dag_id: str, run_id: str, reason: str, failed: Iterable[FailedTask], report: str | None, base_url: str
) -> dict[str, Any]:
    """Build the notification as plain JSON; docs/events.md describes each field.

    Args:
        dag_id: The DAG.
        run_id: The run.
        reason: Airflow's reason for the failure, such as `task_failure`.
        failed: The failed tasks, in the order in which they run.
        report: Address of the run's report; None if none was written.
        base_url: Address of the Airflow UI.
    """
    tasks = list(failed)
    log = log_address(base_url, dag_id, run_id, tasks[0] if tasks else None)
    message = _sentence(tasks, reason)
    lines = [f"{dag_id}: the run {run_id} failed", message]
    if tasks and tasks[0].todo:
        lines.append(f"What to do: {tasks[0].todo}")
    if report:
        lines.append(f"Report: {report}")
    lines.append(f"Log: {log}")
    return {
        "text": _escaped("\n".join(lines)),
        "dag_id": dag_id,
        "run_id": run_id,
        "reason": reason,
        "message": message,
        "failed_tasks": [task.to_json() for task in tasks],
        "report": report,
        "log": log,
    }


def webhook_body(address: str, notification: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body to post to a webhook: the whole notification, or only its text if the host rejects more."""
    return {"text": notification["text"]} if urlsplit(address).hostname == _TEXT_ONLY else dict(notification)


def _escaped(text: str) -> str:
    # In chats, `<…>` is a command, for example to mention everyone, and uploaders choose object names.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _sentence(tasks: Sequence[FailedTask], reason: str) -> str:
    if not tasks:
        return f"Airflow's reason: {reason}"
    first, more = tasks[0], len(tasks) - 1
    what = f"{first.error}: {first.message}" if first.error else "its log says why"
    return f"{first.name}: {what}" + (f" (and {more} more)" if more else "")
