"""Reads from Airflow which tasks of a run failed, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import BaseOperator

from cloudseg_ops.operators._errors import FAILURE_KEY
from cloudseg_ops.runs.failed_tasks import TASKS_NAMED, FailedTask, find_failed_tasks


def failed_upstream(operator: BaseOperator, context: Mapping[str, Any]) -> list[FailedTask]:
    """Return the failed tasks upstream of a task, in the order in which they run; the first ten have their messages.

    Args:
        operator: The task.
        context: Its context.
    """
    task_instance, run_id = context["ti"], str(context["run_id"])
    upstream = operator.get_flat_relative_ids(upstream=True)
    order = [task.task_id for task in context["dag"].topological_sort() if task.task_id in upstream]
    states = task_instance.get_task_states(dag_id=operator.dag_id, task_ids=order, run_ids=[run_id])
    failed = find_failed_tasks(states.get(run_id, {}), order, limit=None)
    return [_explained(task_instance, task) for task in failed[:TASKS_NAMED]] + failed[TASKS_NAMED:]


def _explained(task_instance: Any, task: FailedTask) -> FailedTask:
    where = {} if task.map_index < 0 else {"map_indexes": task.map_index}
    pushed = task_instance.xcom_pull(task_ids=task.task_id, key=FAILURE_KEY, **where)
    return replace(task, **pushed) if isinstance(pushed, dict) else task
