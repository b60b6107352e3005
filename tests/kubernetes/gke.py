"""Makes a plain cluster look like a GKE cluster to Airflow: only Google's control plane is replaced."""

import base64
import json
import os
import subprocess
from pathlib import Path

import yaml
from kubernetes import client, utils
from kubernetes.client.exceptions import ApiException

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.proxy import ApiServerProxy

_HERE = Path(__file__).parent
_ACCOUNT = "cloudseg-workers"


def control_plane(cluster: Cluster, proxy: ApiServerProxy, root: Path) -> dict[str, str]:
    """Write the responses of Google's control plane to a file, and return the environment that makes Airflow use it."""
    described = root / "control-plane.json"
    endpoint = f"localhost:{proxy.port}"
    described.write_text(
        json.dumps({"endpoint": endpoint, "ca": _certificate(cluster, endpoint), "token": _token(cluster)})
    )
    described.chmod(0o600)
    return {
        "CONTROL_PLANE": str(described),
        "PYTHONPATH": os.pathsep.join([str(_HERE / "control_plane"), str(_HERE.parents[1])]),
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps({"conn_type": "google_cloud_platform"}),
        # The cluster must be found through the google provider.
        "KUBECONFIG": "/nonexistent",
    }


def _token(cluster: Cluster) -> str:
    """Return a token of a service account with exactly the documented role."""
    try:
        cluster.api.create_namespaced_service_account(cluster.namespace, {"metadata": {"name": _ACCOUNT}})
    except ApiException as error:
        if error.status != 409:
            raise
    for document in yaml.safe_load_all((_HERE / "rbac.yaml").read_text()):
        if document["kind"] == "RoleBinding":
            document["subjects"][0]["namespace"] = cluster.namespace
        try:
            utils.create_from_dict(cluster.api.api_client, document, namespace=cluster.namespace)
        except utils.FailToCreateError as error:
            if any(cause.status != 409 for cause in error.api_exceptions):
                raise
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(expiration_seconds=7200, audiences=[]))
    answer = cluster.api.create_namespaced_service_account_token(_ACCOUNT, cluster.namespace, request)
    return str(answer.status.token)


def _certificate(cluster: Cluster, endpoint: str) -> str:
    """Return the cluster's certificate authority: from the kubeconfig, or the last certificate from the server."""
    if authority := cluster.api.api_client.configuration.ssl_ca_cert:
        return base64.b64encode(Path(authority).read_bytes()).decode()
    shown = subprocess.run(
        ["openssl", "s_client", "-showcerts", "-connect", endpoint],
        input=b"",
        capture_output=True,
        check=False,
        timeout=30,
    ).stdout.decode()
    last = "-----BEGIN" + shown.rpartition("-----BEGIN")[2].partition("-----END CERTIFICATE-----")[0]
    return base64.b64encode(f"{last}-----END CERTIFICATE-----\n".encode()).decode()
