"""The local setup with its chunks as pods: what the cluster must have, and what Airflow must know."""

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

# The Kubernetes client takes seconds to import: only a setup that uses it pays for that.
if TYPE_CHECKING:
    from cloudseg_local.cluster import Cluster

DEFAULT_NAMESPACE = "cloudseg"
# Longer than a pod's grace period: a pod that was just deleted does not count as left over.
_GONE_SECONDS = 40.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PodRuntime:
    """A setup's chunks on a cluster.

    Attributes:
        cluster: The cluster and the namespace.
        offer: The resources of its nodes.
        image: The engine's image.
        setup: Name of this setup among all that share the cluster.
        gcs_host: This machine's address, as pods reach it.
    """

    cluster: Cluster
    offer: Offer
    image: str
    setup: str
    gcs_host: str

    @classmethod
    def connect(cls, setup: str, image: str, namespace: str) -> PodRuntime:
        """Read the cluster that KUBECONFIG names, without changing anything.

        Args:
            setup: Name of this setup among all that share the cluster.
            image: The engine's image.
            namespace: Where the pods are to be.

        Raises:
            LocalError: The cluster cannot be used; the message says why.
        """
        from cloudseg_local.cluster import Cluster, address_towards, kubeconfig_path

        cluster = Cluster.connect(kubeconfig_path(), namespace)
        offer = cluster.offer()
        return cls(cluster, offer, image, setup, address_towards(offer.address))

    @property
    def slots(self) -> int:
        """Chunks at once."""
        return self.offer.slots

    @property
    def identity(self) -> dict[str, str]:
        """What must be the same for another command to use the setup that is up."""
        return {
            "runtime": "kubernetes",
            "cluster": self.cluster.context,
            "namespace": self.cluster.namespace,
            "image": self.image,
        }

    def prepare(self, state: LocalState, tell: Tell) -> None:
        """Make the cluster ready: the rights to use it, its namespace, and the image.

        Args:
            state: Remembers the cluster, so that a later command clears what a killed one leaves there.
            tell: Tells the person at the terminal.

        Raises:
            LocalError: Something is missing there.
        """
        cluster, offer = self.cluster, self.offer
        cluster.require_rights()
        own_engine = offer.docker and self.gcs_host == offer.address
        provide_image(self.image, cluster.context, own_engine=own_engine, tell=tell)
        made = " (made)" if cluster.ensure_namespace() else ""
        gpus = f"{offer.gpus} GPUs ({offer.gpu_type or 'of any type'})" if offer.gpus else "no GPUs, so chunks use CPUs"
        tell(f"cluster {cluster.context}: {offer.nodes} node(s) for chunks, {gpus}; {self.slots} pods at once")
        tell(f"pods of {self.image} in the namespace {cluster.namespace}{made}")
        tell(f"the GCS emulator will listen on {state.gcs_url}: anyone who reaches that address can use it")
        where = {"kubeconfig": cluster.kubeconfig, "context": cluster.context, "namespace": cluster.namespace}
        write_private(state.cluster_file, where)

    def settings(self, state: LocalState) -> dict[str, object]:
        """Variables of cloudseg, as `airflow_environment` takes them."""
        threads = max(1, int(self.offer.cpus) // self.slots)
        return {
            "runtime": "kubernetes",
            "image": self.image,
            "image_pull_policy": pull_policy(self.image),
            "namespace": self.cluster.namespace,
            "gpus": 1 if self.offer.gpus else 0,
            "gpu_type": self.offer.gpu_type or "none",
            # A test cluster may offer GPUs that its nodes do not have.
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
        """Environment variables of Airflow's processes: its Kubernetes hook finds the cluster by them."""
        return {"KUBECONFIG": self.cluster.kubeconfig}

    def pods_left(self, run_id: str) -> list[str]:
        """Names of a run's pods that the cluster still has some time after its end.

        Raises:
            LocalError: The cluster does not answer, or refuses.
        """
        from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value

        labels = {"dag_id": DAG_ID, "run_id": make_safe_label_value(run_id)}
        return self.cluster.await_no_pods(self.setup, _GONE_SECONDS, **labels)


def delete_pods(state: LocalState, tell: Tell) -> None:
    """Delete what pods of this setup the cluster has that it used last; without one, do nothing.

    A cluster that does not answer is reported, not raised: the caller is ending, or wants another one.
    """
    if not state.cluster_file.exists():
        return
    from cloudseg_local.cluster import Cluster

    where = json.loads(state.cluster_file.read_text())
    try:
        cluster = Cluster.connect(where["kubeconfig"], where["namespace"], where["context"])
        names = cluster.delete_pods(state.setup)
    except LocalError as error:
        tell(f"pods may be left in the namespace {where['namespace']} (label {SETUP_LABEL}={state.setup}): {error}")
        return
    if names:
        tell(f"deleted {len(names)} pods in the namespace {where['namespace']}: {', '.join(names)}")
    state.cluster_file.unlink()
