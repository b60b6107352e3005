"""The cluster that runs the pods: how to reach it, what its errors mean, and how to delete a run's pods."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from cloudseg_ops.config.connections import DEFAULT_GCP_CONN_ID
from cloudseg_ops.config.runtimes import find_runtime
from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import CloudsegError, ClusterError
from cloudseg_ops.contracts.imports import import_reference
from cloudseg_ops.pods.manifest import APP_LABELS
from cloudseg_ops.pods.reattach import deletable_pods

_OUTAGE_STATUSES = frozenset({429, 500, 502, 503, 504})


def gke_arguments(settings: Settings) -> dict[str, Any]:
    """Return the arguments by which Airflow's GKE operators find the cluster."""
    from airflow.providers.google.common.hooks.base_google import PROVIDE_PROJECT_ID

    pods = settings.pods
    return {
        "project_id": pods.gke_project or PROVIDE_PROJECT_ID,
        "location": pods.gke_location,
        "cluster_name": pods.gke_cluster,
        "use_internal_ip": pods.gke_endpoint == "internal",
        "use_dns_endpoint": pods.gke_endpoint == "dns",
        "gcp_conn_id": settings.gcp_conn_id or DEFAULT_GCP_CONN_ID,
        "impersonation_chain": pods.gke_impersonate,
    }


@contextlib.contextmanager
def translate_gke_errors(settings: Settings) -> Iterator[None]:
    """Translate Google's errors while the GKE cluster is looked up.

    Raises:
        ClusterError: The cluster does not exist, the identity may not look it up, or Google does not answer.
    """
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPICallError, GoogleAuthError) as error:
        pods = settings.pods
        raise ClusterError(
            f"cannot look up the GKE cluster {pods.gke_cluster!r} in {pods.gke_location!r}: {error}. Check "
            "CLOUDSEG_GKE_CLUSTER, CLOUDSEG_GKE_LOCATION and CLOUDSEG_GKE_PROJECT, and that the workers' identity has "
            "roles/container.clusterViewer there"
        ) from None


def connect(settings: Settings) -> Any:
    """Connect to the runtime's cluster.

    Returns:
        A `kubernetes.client.CoreV1Api`.

    Raises:
        ClusterError: The GKE cluster could not be looked up.
    """
    # A team's own DAG may run chunks as pods even if CLOUDSEG_RUNTIME is another runtime.
    connect_cluster = import_reference(
        find_runtime(settings).cluster or "cloudseg_ops.operators.clusters:connect_kubernetes"
    )
    return connect_cluster(settings)


def connect_kubernetes(settings: Settings) -> Any:
    """Connect to the cluster of an Airflow connection; returns a `kubernetes.client.CoreV1Api`."""
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    return KubernetesHook(conn_id=settings.pods.kubernetes_conn_id).core_v1_client


def connect_gke(settings: Settings) -> Any:
    """Connect to a GKE cluster; returns a `kubernetes.client.CoreV1Api`.

    Raises:
        ClusterError: Google does not say where it is.
    """
    return _gke_hook(settings).core_v1_client


def is_outage(error: BaseException) -> bool:
    """Return whether an error means that the Kubernetes API is temporarily unavailable, not that it refused."""
    from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    if isinstance(error, ApiException):
        return error.status in _OUTAGE_STATUSES
    return isinstance(error, HTTPError | KubernetesApiException)


@contextlib.contextmanager
def translate_kubernetes_errors() -> Iterator[None]:
    """Re-raise errors of the Kubernetes client as our errors, without their traceback.

    Raises:
        ClusterError: The Kubernetes API did not answer, or refused.
    """
    from kubernetes.client.exceptions import ApiException

    try:
        yield
    except CloudsegError as error:
        raise error from None
    except ApiException as error:
        raise ClusterError(
            f"the Kubernetes API refused ({error.status}): {refusal(error)}. Check the namespace (CLOUDSEG_NAMESPACE), "
            "its quota, and the role of the workers' identity there; docs/gke.md lists what it needs"
        ) from None
    except Exception as error:
        if not is_outage(error):
            raise
        raise ClusterError(f"the Kubernetes API does not answer: {error}; the next try resumes the pod") from None


def refusal(error: Any) -> str:
    """Return why the Kubernetes API refused a call: its answer's message, else the reason in the status line.

    Args:
        error: A `kubernetes.client.exceptions.ApiException`.
    """
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def release_pods(api: Any, namespace: str, *, dag_id: str, run_id: str, grace_seconds: int) -> list[str]:
    """Delete the pods that a run left behind, and the ended pods of earlier runs.

    Args:
        api: A `kubernetes.client.CoreV1Api`.
        namespace: Namespace of the pods.
        dag_id: The DAG.
        run_id: The run that has ended.
        grace_seconds: Time for a running engine to finish the work in flight.

    Returns:
        Names of the deleted pods.
    """
    from airflow.providers.cncf.kubernetes.pod_generator import make_safe_label_value
    from kubernetes.client.exceptions import ApiException

    labels = {**APP_LABELS, "dag_id": make_safe_label_value(dag_id)}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = api.list_namespaced_pod(namespace, label_selector=selector)
    pods: Sequence[Any] = api.api_client.sanitize_for_serialization(found)["items"]
    names = deletable_pods(pods, make_safe_label_value(run_id))
    for name in names:
        try:
            api.delete_namespaced_pod(name, namespace, grace_period_seconds=grace_seconds)
        except ApiException as error:
            if error.status != 404:
                raise
    return names


def _gke_hook(settings: Settings) -> Any:
    from airflow.providers.google.cloud.operators.kubernetes_engine import GKEOperatorMixin

    class Cluster(GKEOperatorMixin):
        def __init__(self, **arguments: Any) -> None:
            vars(self).update(arguments)

    with translate_gke_errors(settings):
        return Cluster(**gke_arguments(settings)).hook
