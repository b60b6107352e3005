"""Runs the engine on a chunk in a pod of the cluster that an Airflow connection names: the `kubernetes` runtime."""

from __future__ import annotations

from typing import Any

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators._pod import PodSegmentOperator


class KubernetesSegmentOperator(PodSegmentOperator):
    """`PodSegmentOperator` on the cluster of `settings.pods.kubernetes_conn_id`.

    Args:
        settings: Settings of the environment.
        task: Arguments of `PodSegmentOperator`.
    """

    def __init__(self, *, settings: Settings, **task: Any) -> None:
        super().__init__(settings=settings, kubernetes_conn_id=settings.pods.kubernetes_conn_id, **task)
