"""The pod that runs the engine on one chunk, the same for every cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.config.pods import PodSettings
from cloudseg_ops.contracts.engine_command import ENGINE_MODULE
from cloudseg_ops.contracts.versions import require_image

CONTAINER = "engine"
APP_LABELS: Mapping[str, str] = {
    "app.kubernetes.io/name": "cloudseg",
    "app.kubernetes.io/component": "engine",
}
GPU_RESOURCE = "nvidia.com/gpu"

# cloud.google.com/kubernetes-engine/docs: labels and taints of GPU and of Spot nodes
_GPU_TYPE_LABEL = "cloud.google.com/gke-accelerator"
_SPOT_LABEL = "cloud.google.com/gke-spot"
# Any user but root; the image's user has the same id.
_USER = 10001


@dataclass(frozen=True, slots=True)
class PodWork:
    """The work of one pod.

    Attributes:
        run_id: Airflow's run id.
        chunk_index: Number of the chunk in the run, from 0.
        model_commit: Commit of the model registry, 40 hexadecimal digits.
        arguments: Arguments of the engine.
        spot: Whether the pod runs on a Spot node.
    """

    run_id: str
    chunk_index: int
    model_commit: str
    arguments: Sequence[str]
    spot: bool = False


def pod_manifest(pods: PodSettings, work: PodWork) -> dict[str, Any]:
    """Build the pod as a Kubernetes manifest (API version v1), before a platform team's template is laid over it.

    It conforms to Kubernetes' restricted Pod Security Standard.

    Args:
        pods: Pod settings of the environment.
        work: The work of this pod.

    Raises:
        VersionMismatchError: The image's version does not fit this code, so no GPU is started for it.
    """
    require_image(__version__, pods.image or "")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"cloudseg-{work.chunk_index:05d}",
            "namespace": pods.namespace,
            "labels": {
                **pods.pod_labels,
                **APP_LABELS,
                # A label's value cannot contain `+`, as versions between two releases do.
                "app.kubernetes.io/version": __version__.replace("+", "-"),
                "cloudseg-chunk": str(work.chunk_index),
                "cloudseg-model-commit": work.model_commit,
            },
            # Not every run id is a valid value of a label.
            "annotations": {**pods.pod_annotations, "cloudseg-run-id": work.run_id},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": pods.pod_deadline_seconds,
            "terminationGracePeriodSeconds": pods.pod_grace_seconds,
            "automountServiceAccountToken": pods.service_account_token,
            # A service named cloudseg would add CLOUDSEG_… variables to the pod.
            "enableServiceLinks": False,
            **({"serviceAccountName": pods.service_account} if pods.service_account else {}),
            "imagePullSecrets": [{"name": name} for name in pods.image_pull_secrets],
            "nodeSelector": _node_selector(pods, spot=work.spot),
            "tolerations": _tolerations(pods, spot=work.spot),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(pods, work.arguments)],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": pods.pod_ephemeral_storage}},
                # PyTorch's worker processes share tensors there; a container has only 64 MiB by default.
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": pods.pod_shm}},
            ],
        },
    }


def _container(pods: PodSettings, arguments: Sequence[str]) -> dict[str, Any]:
    fixed = {"memory": pods.pod_memory, "ephemeral-storage": pods.pod_ephemeral_storage}
    if pods.gpus:
        fixed[GPU_RESOURCE] = str(pods.gpus)
    return {
        "name": CONTAINER,
        "image": pods.image,
        "imagePullPolicy": pods.image_pull_policy,
        "command": ["python", "-m", ENGINE_MODULE],
        "args": list(arguments),
        "env": [{"name": name, "value": value} for name, value in sorted(pods.pod_env.items())],
        # Memory beyond the request belongs to other pods, so the limit equals the request. A CPU limit only throttles.
        "resources": {"requests": {"cpu": pods.pod_cpu, **fixed}, "limits": fixed},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # If the engine writes no termination message, the last lines of its log become the message.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108
    }


def _node_selector(pods: PodSettings, *, spot: bool) -> dict[str, str]:
    return {
        **pods.node_selector,
        **({_GPU_TYPE_LABEL: pods.gpu_type} if pods.gpus and pods.gpu_type else {}),
        **({_SPOT_LABEL: "true"} if spot else {}),
    }


def _tolerations(pods: PodSettings, *, spot: bool) -> list[dict[str, str]]:
    gpu = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
    on_spot = {"key": _SPOT_LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    return [*([gpu] if pods.gpus else []), *([on_spot] if spot else [])]
