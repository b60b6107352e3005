"""Who may see a run, by Airflow's own logins and permissions, and whether the run is one of cloudseg's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi import Depends, Request
from sqlalchemy import select

from cloudseg_ops.contracts.errors import GalleryError
from cloudseg_ops.gallery.addresses import Addresses

# The class of the task that writes what the gallery reads: by it a run is known, whatever its DAG is called.
_PLANNER = "PlanChunksOperator"
_ENDED = frozenset({"success", "failed"})

may_see_runs = requires_access_dag("GET", DagAccessEntity.RUN)
"""Refuses users who may not see the runs of the DAG that the address names (`dag_id`)."""


@dataclass(frozen=True, slots=True)
class VisibleRun:
    """A run of cloudseg's that the user may see.

    Attributes:
        addresses: Its pages.
        state: Airflow's word for its state, such as `running`.
    """

    addresses: Addresses
    state: str

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in _ENDED


def find_run(dag_id: str, run_id: str, request: Request) -> VisibleRun:
    """Look up the run that the address names: a run of exactly the DAG whose permission was checked.

    Only a run that Airflow knows is ever looked for in the buckets, so that no address leads to another folder.

    Raises:
        GalleryError: The DAG has no such run, or is none of cloudseg's.
    """
    with create_session(scoped=False) as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if state is None:
            raise GalleryError(f"the DAG {dag_id!r} has no run {run_id!r}; it may have been deleted")
        planner = session.scalar(
            select(TaskInstance.task_id)
            .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.operator == _PLANNER)
            .limit(1)
        )
    if planner is None:
        raise GalleryError(
            f"run {run_id!r} of the DAG {dag_id!r} has no {_PLANNER}: it is none of cloudseg's, and has no gallery"
        )
    return VisibleRun(Addresses(request.scope.get("root_path", ""), dag_id, run_id), str(state))


RunDep = Annotated[VisibleRun, Depends(find_run)]
"""The run that a page is of."""
