"""Deletes the pods that a run left on the cluster, however their tasks ended."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators._errors import log_remedy_last, translate_errors
from cloudseg_ops.operators.clusters import connect, release_pods, translate_kubernetes_errors


class ReleasePodsOperator(BaseOperator):
    """Deletes the pods that a run left behind: those of tasks that were marked failed or died with their worker.

    Use it as a teardown, so that it also runs when a person ends the run.

    Args:
        settings: Settings of the environment.
        task: Arguments of `BaseOperator`.

    Raises:
        ClusterError: The cluster could not be reached, or refused the call; a retry may succeed.
    """

    ui_color = "#fee2e2"

    def __init__(self, *, settings: Settings, **task: Any) -> None:
        super().__init__(**task)
        log_remedy_last(self)
        self.settings = settings

    @translate_errors
    def execute(self, context: Any) -> list[str]:
        """Delete the pods and return their names."""
        pods = self.settings.pods
        with translate_kubernetes_errors():
            names = release_pods(
                connect(self.settings),
                pods.namespace,
                dag_id=str(context["ti"].dag_id),
                run_id=str(context["run_id"]),
                grace_seconds=pods.pod_grace_seconds,
            )
        self.log.info("%d leftover pods deleted: %s", len(names), ", ".join(names) or "none")
        return names
