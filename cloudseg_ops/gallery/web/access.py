"""Access control: checks Airflow's permissions, and that the run is a cloudseg run."""

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

from cloudseg_ops.gallery.addresses import Addresses
from cloudseg_ops.gallery.errors import GalleryError

# The class of the task that writes the chunk plan: it identifies a cloudseg run, whatever the name of the DAG.
_PLANNER = "PlanChunksOperator"
_ENDED = frozenset({"success", "failed"})

may_see_runs = requires_access_dag("GET", DagAccessEntity.RUN)
"""Dependency that refuses users who may not read the runs of the DAG in the address (`dag_id`)."""


@dataclass(frozen=True, slots=True)
class VisibleRun:
    """A cloudseg run that the user may see.

    Attributes:
        addresses: The addresses of its pages.
        state: Airflow's state of the run, such as `running`.
    """

    addresses: Addresses
    state: str

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in _ENDED


def find_run(dag_id: str, run_id: str, request: Request) -> VisibleRun:
    """Look up the run in the address, which must belong to the DAG whose permission was checked.

    Only runs that Airflow knows are looked up in the buckets, so that no address leads to another folder.

    Args:
        dag_id: The DAG.
        run_id: The run.
        request: The request, for the path where the gallery is mounted.

    Raises:
        GalleryError: The DAG has no such run, or the run is not a cloudseg run.
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
            f"run {run_id!r} of the DAG {dag_id!r} has no {_PLANNER}: it is not a cloudseg run, so it has no gallery"
        )
    return VisibleRun(Addresses(request.scope.get("root_path", ""), dag_id, run_id), str(state))


RunDep = Annotated[VisibleRun, Depends(find_run)]
"""The run in a page's address."""
