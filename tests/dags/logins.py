"""Airflow's simple auth manager, with an additional user who may see only one DAG."""

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

STRANGER = "stranger"
STRANGERS_DAG = "no_clouds"


class StrangerAuthManager(SimpleAuthManager):
    """Its users have the same rights on all DAGs, which would hide a check of the wrong DAG."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **asked: Any) -> bool:
        if user.username == STRANGER and (details is None or details.id != STRANGERS_DAG):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)
