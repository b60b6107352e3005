"""Runs the engine on a chunk in a pod on a GKE cluster: the `gke` runtime."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any

from airflow.providers.google.cloud.operators.kubernetes_engine import GKEStartPodOperator
from packaging.version import Version

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.operators._pod import PodSegmentOperator
from cloudseg_ops.operators.clusters import gke_arguments, translate_gke_errors

# Up to this version the trigger gives up after 120 s, which is too short for a pool that scales from zero
# (github.com/apache/airflow/issues/66352).
_LAST_WITH_FIXED_TIMEOUT = Version("21.2.0")


class GKESegmentOperator(PodSegmentOperator, GKEStartPodOperator):
    """`PodSegmentOperator` on a GKE cluster, whose address and credentials come from Google's control plane.

    Args:
        settings: Settings of the environment; `settings.pods.gke_*` name the cluster.
        task: Arguments of `PodSegmentOperator`.
    """

    template_fields: Sequence[str] = tuple({*GKEStartPodOperator.template_fields, "chunk", "model"})

    # Without the provider's link to the pod, which is deleted when it has ended.
    operator_extra_links: Any = PodSegmentOperator.operator_extra_links

    def __init__(self, *, settings: Settings, **task: Any) -> None:
        super().__init__(settings=settings, **gke_arguments(settings), **task)

    @cached_property
    def cluster_info(self) -> tuple[str, str]:
        """The cluster's address and certificate, from Google's control plane."""
        with translate_gke_errors(self.settings):
            return super().cluster_info

    def log_project(self) -> str | None:
        """Return the cluster's project: the one in the settings, else that of the workers' identity."""
        return super().log_project() or self.hook.project_id or None

    def invoke_defer_method(self, *args: Any, **kwargs: Any) -> None:
        """Defer; if the provider's trigger ignores the schedule timeout, first wait until the pod has a node."""
        if Version(version("apache-airflow-providers-google")) <= _LAST_WITH_FIXED_TIMEOUT:
            self.await_pod_start(self.pod)
        super().invoke_defer_method(*args, **kwargs)
