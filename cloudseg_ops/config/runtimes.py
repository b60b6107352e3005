"""The table of runtimes: to add one, add an entry here and the module of its operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudseg_ops.config.extensions import find_entry
from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.imports import import_reference

if TYPE_CHECKING:
    from cloudseg_ops.config.settings import Settings

_VARIABLE = "CLOUDSEG_RUNTIME"


def _settings_and_model(settings: Settings, model: Any) -> dict[str, Any]:
    return {"settings": settings, "model": model}


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the engines of a run's chunks run.

    Attributes:
        operator: `module:class` of the operator that segments a chunk; it is mapped over `chunk`. It is imported only
            when it is used, because importing its provider can add seconds to DAG parsing.
        requires: Fields of `Settings` or `PodSettings` that must be set.
        cluster: `module:function` that connects to the cluster of the engines' pods, given the settings, and returns a
            `kubernetes.client.CoreV1Api`; a teardown deletes the pods that a run leaves. None: engines are not pods.
        arguments: Returns the operator's arguments, given the settings and the run's `ModelRef` (an XComArg).
    """

    operator: str
    requires: tuple[str, ...] = ()
    cluster: str | None = None
    arguments: Callable[[Settings, Any], dict[str, Any]] = _settings_and_model

    def missing_variables(self, settings: Settings) -> list[str]:
        """List the variables that this runtime requires and that are not set."""
        values = {**vars(settings), **vars(settings.pods)}
        return [f"CLOUDSEG_{name.upper()}" for name in self.requires if values[name] is None]

    def load_operator(self) -> Any:
        """Import the operator's class."""
        return import_reference(self.operator)


def _local_arguments(settings: Settings, _model: Any) -> dict[str, Any]:
    return {
        "input_bucket": settings.input_bucket,
        "staging_bucket": settings.staging_bucket,
        "output_bucket": settings.output_bucket,
        "gcp_conn_id": settings.gcp_conn_id,
        "device": settings.engine_device,
        "engine_options": settings.engine_options,
        "previews": settings.previews,
    }


RUNTIMES: dict[str, Runtime] = {
    "local": Runtime(
        operator="cloudseg_ops.operators.segment_local:LocalSegmentOperator",
        arguments=_local_arguments,
    ),
    "kubernetes": Runtime(
        operator="cloudseg_ops.operators.segment_kubernetes:KubernetesSegmentOperator",
        requires=("image",),
        cluster="cloudseg_ops.operators.clusters:connect_kubernetes",
    ),
    "gke": Runtime(
        operator="cloudseg_ops.operators.segment_gke:GKESegmentOperator",
        requires=("image", "gke_cluster", "gke_location"),
        cluster="cloudseg_ops.operators.clusters:connect_gke",
    ),
}


def find_runtime(settings: Settings) -> Runtime:
    """Find the runtime that `CLOUDSEG_RUNTIME` names, in the table or in a team's own module.

    Raises:
        SettingsError: There is no such runtime, or a variable that it requires is not set.
    """
    runtime = find_entry(_VARIABLE, settings.runtime, RUNTIMES, Runtime)
    if missing := runtime.missing_variables(settings):
        raise SettingsError(f"{_VARIABLE}={settings.runtime} needs {', '.join(missing)}")
    return runtime
