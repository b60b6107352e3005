"""Rules for the engine's pods: how one is built, and why one failed. They need neither Airflow nor a cluster."""

from __future__ import annotations

from cloudseg_ops.config.pods import PodSettings
from cloudseg_ops.pods.manifest import CONTAINER, PodWork, pod_manifest
from cloudseg_ops.pods.overlay import overlay
from cloudseg_ops.pods.states import engine_phase
from cloudseg_ops.pods.template import load_template, unknown_fields
from cloudseg_ops.pods.verdicts import explain_pod, final_error

__all__ = [
    "CONTAINER",
    "PodSettings",
    "PodWork",
    "engine_phase",
    "explain_pod",
    "final_error",
    "load_template",
    "overlay",
    "pod_manifest",
    "unknown_fields",
]
