"""Airflow's simple auth manager, with one user more who may see one DAG alone."""

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

STRANGER = "stranger"
STRANGERS_DAG = "no_clouds"


class StrangerAuthManager(SimpleAuthManager):
    """Its own users have the same rights on all DAGs: whether the right DAG is asked for would go unseen."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        if user.username == STRANGER and (details is None or details.id != STRANGERS_DAG):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)
