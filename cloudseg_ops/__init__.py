"""Image segmentation in production on Google Cloud Composer.

DAG authors import everything they need from here. Each name loads its module on first use, so that a DAG file loads
only what it uses. Everything else is private, except the exceptions in `cloudseg_ops.contracts.errors`, and
`cloudseg_ops.export` for those who train networks.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_MODULES = {
    "CleanInputsOperator": "operators.clean_inputs",
    "DVCPullModelOperator": "operators.pull_model",
    "GCSNewObjectsSensor": "sensors.gcs_new_objects",
    "GKESegmentOperator": "operators.segment_gke",
    "KubernetesSegmentOperator": "operators.segment_kubernetes",
    "LocalSegmentOperator": "operators.segment_local",
    "PlanChunksOperator": "operators.plan_chunks",
    "PodSettings": "config.pods",
    "ReleasePodsOperator": "operators.release_pods",
    "RunReportOperator": "operators.run_report",
    "Settings": "config.settings",
    "dag_schedule": "dag.schedules",
    "failure_callback": "notifications.run_failure",
    "help_text": "dag.help",
    "masks_asset": "operators.assets",
    "revision_choices": "registry.revision_choices",
    "segment_chunks": "dag.segment_chunks",
}

__all__ = ["__version__", *_MODULES]  # noqa: PLE0604  all of them are strings


def __getattr__(name: str) -> Any:
    """Import and return a public name.

    Raises:
        AttributeError: There is no public name `name`.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public are {', '.join(sorted(_MODULES))}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
