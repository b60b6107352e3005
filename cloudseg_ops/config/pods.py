"""Settings of the `kubernetes` and `gke` runtimes: what a platform team decides about pods and their cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from cloudseg_ops.config import pod_grammar as grammar
from cloudseg_ops.contracts.quantities import check_size, in_bytes

Cpu = Annotated[str, AfterValidator(grammar.check_cpu)]
Size = Annotated[str, AfterValidator(check_size)]
Subdomain = Annotated[str, AfterValidator(grammar.check_subdomain)]
Pairs = Annotated[dict[str, str], BeforeValidator(grammar.read_pairs)]

MORE_MEMORY = "raise CLOUDSEG_POD_MEMORY, or give the engine less (--memory in CLOUDSEG_ENGINE_OPTIONS)"
"""Advice for a pod that ran out of main memory, which `--memory` limits; `--batch` limits a forward pass."""


def _none_is_any(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() == "none" else value


class PodSettings(BaseModel):
    """Settings of pods and their cluster; field `x` is read from the variable `CLOUDSEG_X`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Before `image`, whose check reads it.
    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent",
        description="`IfNotPresent`, `Always`, or `Never`: the nodes have the image already, as on a laptop",
    )
    image: str | None = Field(
        default=None,
        description="The engine's image, by digest (`…@sha256:…`); by tag only under the pull policy `Never`",
    )
    image_pull_secrets: Annotated[
        tuple[str, ...],
        BeforeValidator(grammar.parse_list),
        AfterValidator(grammar.check_each(grammar.check_subdomain)),
    ] = Field(default=(), description="Names of pull secrets, separated by commas")
    namespace: Annotated[str, AfterValidator(grammar.check_label_name)] = Field(
        default="cloudseg", description="Kubernetes namespace of the pods"
    )
    service_account: Subdomain | None = Field(
        default=None, description="Kubernetes service account of the pods; unset: the namespace's default"
    )
    service_account_token: bool = Field(
        default=False,
        description="Mount the service account's token. Workload Identity on GKE does not need it",
    )
    gpus: int = Field(default=1, ge=0, le=16, description="GPUs of a pod; 0: CPU nodes")
    gpu_type: Annotated[str | None, BeforeValidator(_none_is_any)] = Field(
        default="nvidia-l4",
        min_length=1,
        description="Value of the node label `cloud.google.com/gke-accelerator`; `none`: any GPU",
    )
    spot: bool = Field(
        default=False,
        description="Run on Spot nodes: the label `cloud.google.com/gke-spot`, and a toleration of that taint",
    )
    last_try_on_demand: bool = Field(default=True, description="Do not require Spot nodes for a task's last try")
    pod_cpu: Cpu = Field(default="3", description="CPU request of a pod")
    pod_memory: Size = Field(default="10Gi", description="Memory request and limit of a pod")
    pod_ephemeral_storage: Size = Field(default="2Gi", description="Disk request and limit of a pod")
    pod_shm: Size = Field(
        default="1Gi",
        validate_default=True,  # against a smaller memory
        description="Size of the memory-backed /dev/shm; counts toward the memory limit",
    )
    pod_deadline_seconds: int = Field(
        default=21600, ge=60, description="Kubernetes ends a pod that runs longer (`activeDeadlineSeconds`)"
    )
    pod_grace_seconds: int = Field(
        default=25, ge=20, le=600, description="`terminationGracePeriodSeconds`; the engine needs 20"
    )
    schedule_timeout_seconds: int = Field(
        default=1800, ge=1, description="Maximum wait for a node; a pool that scales from zero takes minutes"
    )
    startup_timeout_seconds: int = Field(
        default=900, ge=1, description="Maximum wait for the image once the pod has a node"
    )
    outage_seconds: int = Field(
        default=300, ge=0, description="Longest outage of the Kubernetes API that a task tolerates"
    )
    pod_env: Annotated[Pairs, AfterValidator(grammar.check_variables)] = Field(
        default={}, description="Environment variables of the engine, as `key=value,…` or a JSON object"
    )
    pod_labels: Annotated[Pairs, AfterValidator(grammar.check_team_labels)] = Field(
        default={}, description="Additional labels of the pods, as `key=value,…` or a JSON object"
    )
    pod_annotations: Annotated[Pairs, AfterValidator(grammar.check_keys)] = Field(
        default={}, description="Additional annotations of the pods, as `key=value,…` or a JSON object"
    )
    node_selector: Annotated[Pairs, AfterValidator(grammar.check_labels)] = Field(
        default={}, description="Additional node labels that a pod requires, as `key=value,…` or a JSON object"
    )
    pod_template: str | None = Field(
        default=None,
        min_length=1,
        description="YAML file on the workers, or the YAML itself, merged into the pod as docs/settings.md describes",
    )
    deferrable: bool = Field(default=False, description="Wait for pods in the triggerer instead of in a worker's slot")
    kubernetes_conn_id: str = Field(
        default="kubernetes_default", min_length=1, description="Airflow connection of the runtime `kubernetes`"
    )
    gke_cluster: str | None = Field(default=None, min_length=1, description="Name of the runtime `gke`'s cluster")
    gke_location: str | None = Field(default=None, min_length=1, description="Region or zone of that cluster")
    gke_project: str | None = Field(
        default=None, min_length=1, description="Project of that cluster; unset: the connection's project"
    )
    gke_endpoint: Literal["dns", "external", "internal"] = Field(
        default="dns", description="Endpoint of that cluster that the workers use: `dns`, `external` or `internal`"
    )
    gke_impersonate: str | None = Field(
        default=None, min_length=1, description="Service account that the workers impersonate towards that cluster"
    )

    @field_validator("image")
    @classmethod
    def _image_is_pinned(cls, image: str | None, info: ValidationInfo) -> str | None:
        policy = info.data.get("image_pull_policy", "Never")  # missing: it is invalid, and reported separately
        return image if image is None else grammar.check_image(image, by_digest=policy != "Never")

    @field_validator("gpu_type")
    @classmethod
    def _gpu_type_is_a_label(cls, gpu_type: str | None) -> str | None:
        return gpu_type if gpu_type is None else grammar.check_label_value(gpu_type)

    @field_validator("pod_shm")
    @classmethod
    def _shm_leaves_memory(cls, shm: str, info: ValidationInfo) -> str:
        memory = info.data.get("pod_memory")
        if memory is not None and in_bytes(shm) >= in_bytes(memory):
            raise ValueError(
                f"a pod's /dev/shm counts as memory, and must be smaller than CLOUDSEG_POD_MEMORY = {memory}"
            )
        return shm
