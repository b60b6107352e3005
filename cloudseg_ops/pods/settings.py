"""The settings of the `kubernetes` and `gke` runtimes: what a platform team decides about a pod and its cluster."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
# RFC 1123 labels, as Kubernetes names namespaces
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")


def _quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise ValueError("a Kubernetes quantity is a number with a unit, such as 500m, 4, 512Mi or 12Gi")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("Kubernetes names have at most 63 lower-case letters, digits and '-'")
    return text


def _pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"it begins like JSON and is none: {error}") from None
    words = [word.strip() for word in value.split(",") if word.strip()]
    if wrong := [word for word in words if "=" not in word]:
        raise ValueError(f"{wrong[0]!r} is no key=value; give key=value,key=value or a JSON object")
    return {key.strip(): text.strip() for key, _, text in (word.partition("=") for word in words)}


def _words(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Quantity = Annotated[str, AfterValidator(_quantity)]
Name = Annotated[str, AfterValidator(_name)]
Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]


class PodSettings(BaseModel):
    """What an environment says of pods: field `x` is the variable `CLOUDSEG_X`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image: str | None = Field(
        default=None,
        description="The engine's image, by digest (`…@sha256:…`); by tag only under the pull policy `Never`",
    )
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="`Never`: the nodes have the image already, as in a cluster on a laptop"
    )
    image_pull_secrets: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        default=(), description="Names of pull secrets, with commas"
    )
    namespace: Name = Field(default="cloudseg", description="Kubernetes namespace of the pods")
    service_account: str | None = Field(
        default=None, min_length=1, description="Kubernetes service account of the pods; unset: the namespace's default"
    )
    service_account_token: bool = Field(
        default=False,
        description="Mount the service account's token. Workload Identity on GKE does not need it",
    )
    gpus: int = Field(default=1, ge=0, le=16, description="GPUs of a pod; 0: CPU nodes")
    gpu_type: str | None = Field(
        default="nvidia-l4",
        description="Value of the node label `cloud.google.com/gke-accelerator`; `none`: any GPU",
    )
    spot: bool = Field(default=False, description="Run on Spot nodes (label and taint `cloud.google.com/gke-spot`)")
    last_try_on_demand: bool = Field(default=True, description="Let a task's last try leave Spot nodes")
    pod_cpu: Quantity = Field(default="3", description="CPU request of a pod")
    pod_memory: Quantity = Field(default="12Gi", description="Memory request and limit of a pod")
    pod_ephemeral_storage: Quantity = Field(default="2Gi", description="Disk request and limit of a pod")
    pod_shm: Quantity = Field(default="1Gi", description="Size of the memory-backed /dev/shm; it counts as memory")
    pod_deadline_seconds: int = Field(
        default=21600, ge=60, description="Kubernetes ends a pod that runs longer (`activeDeadlineSeconds`)"
    )
    pod_grace_seconds: int = Field(
        default=25, ge=5, le=600, description="`terminationGracePeriodSeconds`; the engine needs 20"
    )
    schedule_timeout_seconds: int = Field(
        default=1800, ge=1, description="Longest wait for a node; a pool that scales from zero takes minutes"
    )
    startup_timeout_seconds: int = Field(
        default=900, ge=1, description="Longest wait for the image once the pod has a node"
    )
    outage_seconds: int = Field(
        default=300, ge=0, description="Longest outage of the Kubernetes API that a task waits out"
    )
    pod_env: Pairs = Field(default={}, description="Environment variables of the engine, as `key=value,…` or JSON")
    pod_labels: Pairs = Field(default={}, description="Further labels of the pods, the same way")
    pod_annotations: Pairs = Field(default={}, description="Further annotations of the pods, the same way")
    node_selector: Pairs = Field(default={}, description="Further node labels that a pod demands, the same way")
    pod_template: str | None = Field(
        default=None,
        min_length=1,
        description="YAML file, or the YAML itself, laid over the pod as `kubectl patch` does",
    )
    deferrable: bool = Field(default=False, description="Wait for pods in the triggerer instead of in a worker's slot")
    kubernetes_conn_id: str = Field(
        default="kubernetes_default", min_length=1, description="Airflow connection of the runtime `kubernetes`"
    )
    gke_cluster: str | None = Field(default=None, min_length=1, description="Name of the runtime `gke`'s cluster")
    gke_location: str | None = Field(default=None, min_length=1, description="Region or zone of that cluster")
    gke_project: str | None = Field(
        default=None, min_length=1, description="Project of that cluster; unset: the connection's own"
    )
    gke_endpoint: Literal["dns", "external", "internal"] = Field(
        default="dns", description="Which of the cluster's endpoints the workers use"
    )
    gke_impersonate: str | None = Field(
        default=None, min_length=1, description="Service account that the workers impersonate towards that cluster"
    )

    @model_validator(mode="before")
    @classmethod
    def _none_is_any_gpu(cls, given: Any) -> Any:
        if isinstance(given, dict) and str(given.get("gpu_type", "")).lower() == "none":
            return {**given, "gpu_type": None}
        return given

    @model_validator(mode="after")
    def _image_is_pinned(self) -> PodSettings:
        if self.image is not None and self.image_pull_policy != "Never" and not _DIGEST.search(self.image):
            raise ValueError(
                f"CLOUDSEG_IMAGE = {self.image!r} is not pinned: a tag may mean another image tomorrow. Give "
                "image@sha256:…, or set CLOUDSEG_IMAGE_PULL_POLICY=Never for an image that the nodes have already"
            )
        return self
