"""Runs the chunks of the local setup as pods: prepares the cluster and provides Airflow's settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudseg_local.airflow_server import DAG_ID
from cloudseg_local.cluster_image import provide_image, pull_policy
from cloudseg_local.nodes import Offer
from cloudseg_local.state import SETUP_LABEL, LocalState, write_private
from cloudseg_ops.contracts.errors import LocalError

# Importing the Kubernetes client takes seconds, so only setups that use it do so.
if TYPE_CHECKING:
    from cloudseg_local.cluster import Cluster

DEFAULT_NAMESPACE = "cloudseg"
# Longer than a pod's grace period, so that pods still terminating do not count as left over.
_TERMINATION_SECONDS = 40.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """The cluster on which a setup runs its chunks.

    Attributes:
        cluster: The cluster and the namespace.
        offer: What the cluster's nodes offer.
        image: The engine's image.
        setup: Name that distinguishes this setup from others on the same cluster.
        gcs_host: This machine's address, as seen from pods.
    """

    cluster: Cluster
    offer: Offer
    image: str
    setup: str
    gcs_host: str

    @classmethod
    def connect(cls, setup: str, image: str, namespace: str) -> PodRuntime:
        """Inspect the cluster named by KUBECONFIG, without changing it.

        Args:
            setup: Name that distinguishes this setup from others on the same cluster.
            image: The engine's image.
            namespace: Namespace for the pods.

        Raises:
            LocalError: The cluster cannot be used; the message says why.
        """
        from cloudseg_local.cluster import Cluster, address_towards, kubeconfig_path

        cluster = Cluster.connect(kubeconfig_path(), namespace)
        offer = cluster.offer()
        return cls(cluster, offer, image, setup, address_towards(offer.address))

    @property
    def slots(self) -> int:
        """Number of chunks to run concurrently."""
        return self.offer.slots

    @property
    def identity(self) -> dict[str, str]:
        """The options that a later command must share to use the running services."""
        return {
            "runtime": "kubernetes",
            "cluster": self.cluster.context,
            "namespace": self.cluster.namespace,
            "image": self.image,
        }

    def prepare(self, state: LocalState, report: Report) -> None:
        """Prepare the cluster: check permissions, provide the image and create the namespace.

        Args:
            state: Records the cluster, so that a later command can delete pods that a killed one left.
            report: Receives progress messages for the terminal.

        Raises:
            LocalError: A permission or the image is missing, or the namespace cannot be created.
        """
        cluster, offer = self.cluster, self.offer
        cluster.require_rights()
        shares_docker = offer.docker and self.gcs_host == offer.address
        provide_image(self.image, cluster.context, shares_docker=shares_docker, report=report)
        suffix = " (created)" if cluster.ensure_namespace() else ""
        gpus = f"{offer.gpus} GPUs ({offer.gpu_type or 'of any type'})" if offer.gpus else "no GPUs, so chunks use CPUs"
        report(
            f"cluster {cluster.context}: {offer.nodes} node(s) for chunks, {gpus}; up to {self.slots} pods at a time"
        )
        report(f"pods of {self.image} in the namespace {cluster.namespace}{suffix}")
        report(f"the GCS emulator will listen on {state.gcs_url}: anyone who can reach that address can use it")
        location = {"kubeconfig": cluster.kubeconfig, "context": cluster.context, "namespace": cluster.namespace}
        write_private(state.cluster_file, location)

    def settings(self, state: LocalState) -> dict[str, object]:
        """Return the cloudseg settings, as the `overrides` of `airflow_environment`."""
        threads = max(1, int(self.offer.cpus) // self.slots)
        return {
            "runtime": "kubernetes",
            "image": self.image,
            "image_pull_policy": pull_policy(self.image),
            "namespace": self.cluster.namespace,
            "gpus": 1 if self.offer.gpus else 0,
            "gpu_type": self.offer.gpu_type or "none",
            # A test cluster may advertise GPUs that its nodes do not have.
            "device": "auto",
            "pod_cpu": "500m",
            "pod_memory": "2Gi",
            "pod_shm": "256Mi",
            "pod_env": f"STORAGE_EMULATOR_HOST={state.gcs_url}",
            "pod_labels": f"{SETUP_LABEL}={self.setup}",
            "schedule_timeout_seconds": 300,
            "startup_timeout_seconds": 120,
            "pool_slots": self.slots,
            "engine_options": f"--threads {threads} --progress-seconds 2",
        }

    def environment(self) -> dict[str, str]:
        """Return the environment variables by which Airflow's Kubernetes hook finds the cluster."""
        return {"KUBECONFIG": self.cluster.kubeconfig}

    def pods_left(self, run_id: str) -> list[str]:
        """Return the names of a run's pods that are still on the cluster 40 s after the call.

        Raises:
            LocalError: The cluster does not answer or denies access.
        """
        from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

        labels = {"dag_id": DAG_ID, "run_id": make_safe_label_value(run_id)}
        return self.cluster.await_no_pods(self.setup, _TERMINATION_SECONDS, **labels)


def delete_pods(state: LocalState, report: Report) -> None:
    """Delete this setup's pods from the cluster it used last, if any.

    If the cluster does not answer, this only prints a message: the caller is shutting down or changing clusters.
    """
    if not state.cluster_file.exists():
        return
    from cloudseg_local.cluster import Cluster

    location = json.loads(state.cluster_file.read_text())
    try:
        cluster = Cluster.connect(location["kubeconfig"], location["namespace"], location["context"])
        names = cluster.delete_pods(state.setup)
    except LocalError as error:
        report(
            f"pods may be left in the namespace {location['namespace']} (label {SETUP_LABEL}={state.setup}): {error}"
        )
        return
    if names:
        report(f"deleted {len(names)} pods in the namespace {location['namespace']}: {', '.join(names)}")
    state.cluster_file.unlink()
