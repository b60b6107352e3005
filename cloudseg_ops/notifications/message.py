"""Builds the notification of a failed run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from cloudseg_ops.runs.failed_tasks import FailedTask

# Google Chat rejects a message with unknown fields.
_TEXT_ONLY = "chat.googleapis.com"


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
