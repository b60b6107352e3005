"""The Kubernetes cluster named by KUBECONFIG, on which the local setup can run chunks."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cloudseg_local.nodes import Offer, read_nodes
from cloudseg_local.state import SETUP_LABEL
from cloudseg_ops.contracts.errors import LocalError
from cloudseg_ops.operators.clusters import refusal
from cloudseg_ops.pods.manifest import APP_LABELS

_REQUIRED_RIGHTS = (
    ("create", "pods"),
    ("get", "pods"),
    ("list", "pods"),
    ("delete", "pods"),
    ("get", "pods/log"),
    ("list", "events"),
)
_TIMEOUT = 15
_DELETE_GRACE_SECONDS = 5


def kubeconfig_path(environment: Mapping[str, str] = os.environ) -> str:
    """Return the paths in KUBECONFIG, made absolute because Airflow's tasks run in other folders.

    Raises:
        LocalError: None of the files exists.
    """
    given = environment.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(word).expanduser().absolute() for word in given.split(os.pathsep) if word]
    if not any(path.is_file() for path in paths):
        raise LocalError(
            f"no kubeconfig found: {given} does not exist; name one: `make demo RUNTIME=kubernetes KUBECONFIG=…`"
        )
    return os.pathsep.join(map(str, paths))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A namespace of a cluster.

    Attributes:
        kubeconfig: One or more absolute paths, as `kubeconfig_path` returns them.
        context: Name of the kubeconfig's context.
        namespace: Namespace of the pods.
        api: A `kubernetes.client.CoreV1Api`.
    """

    kubeconfig: str
    context: str
    namespace: str
    api: Any

    @classmethod
    def connect(cls, kubeconfig: str, namespace: str, context: str | None = None) -> Cluster:
        """Load a kubeconfig, without contacting the cluster yet.

        Args:
            kubeconfig: One or more absolute paths, as `kubeconfig_path` returns them.
            namespace: Namespace for the pods.
            context: Context of the kubeconfig; None selects the current one.

        Raises:
            LocalError: The kubeconfig is invalid or has no such context.
        """
        settings = client.Configuration()
        settings.retries = 1
        try:
            _, current = config.list_kube_config_contexts(kubeconfig)
            name = context or str(current["name"])
            connection = config.new_client_from_config(kubeconfig, context=name, client_configuration=settings)
        except (
            config.ConfigException,
            yaml.YAMLError,
            AttributeError,
            ValueError,
            TypeError,
            KeyError,
            OSError,
        ) as error:
            raise LocalError(
                f"{kubeconfig} is not a usable kubeconfig ({type(error).__name__}: {error}); correct it, "
                "or name another in KUBECONFIG"
            ) from error
        return cls(kubeconfig, name, namespace, client.CoreV1Api(connection))

    def offer(self) -> Offer:
        """Return what the cluster's nodes offer to chunks.

        Raises:
            LocalError: The cluster does not answer, denies access, or has no ready node.
        """
        nodes = self._call("list its nodes", self.api.list_node)
        return read_nodes(self.api.api_client.sanitize_for_serialization(nodes)["items"])

    def require_rights(self) -> None:
        """Check that the user may run pods in the namespace.

        Raises:
            LocalError: Permissions are missing; the message lists them.
        """
        reviews = client.AuthorizationV1Api(self.api.api_client)
        missing = []
        for verb, resource in _REQUIRED_RIGHTS:
            kind, _, part = resource.partition("/")
            attributes = {"namespace": self.namespace, "verb": verb, "resource": kind, "subresource": part}
            body = {"spec": {"resourceAttributes": attributes}}
            answer = self._call(
                "review your rights", lambda body=body, **more: reviews.create_self_subject_access_review(body, **more)
            )
            if not answer.status.allowed:
                missing.append(f"{verb} {resource}")
        if missing:
            raise LocalError(
                f"you may not {', '.join(missing)} in the namespace {self.namespace} of cluster {self.context}; ask "
                "its administrator, or name another: `make demo RUNTIME=kubernetes NAMESPACE=…`"
            )

    def ensure_namespace(self) -> bool:
        """Create the namespace if it is missing, and return whether it was created.

        Raises:
            LocalError: The namespace is missing and cannot be created.
        """
        try:
            self.api.read_namespace(self.namespace, _request_timeout=_TIMEOUT)
        except ApiException as error:
            if error.status == 404:
                body = {"metadata": {"name": self.namespace}}
                self._call("create the namespace", lambda **more: self.api.create_namespace(body, **more))
                return True
            if error.status != 403:
                raise self._refused("look for the namespace", error) from None
        except HTTPError as error:
            raise self._unreachable(error) from None
        return False

    def pods(self, setup: str, **labels: str) -> list[str]:
        """Return the names of a setup's pods, in any phase.

        Raises:
            LocalError: The cluster does not answer or denies access.
        """
        wanted = {**APP_LABELS, SETUP_LABEL: setup, **labels}
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        found = self._call(
            "list its pods",
            lambda **more: self.api.list_namespaced_pod(self.namespace, label_selector=selector, **more),
        )
        return [pod.metadata.name for pod in found.items]

    def await_no_pods(self, setup: str, seconds: float, **labels: str) -> list[str]:
        """Wait until a setup's pods are gone, and return the names of those left after `seconds`."""
        deadline = time.monotonic() + seconds
        while (left := self.pods(setup, **labels)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def delete_pods(self, setup: str) -> list[str]:
        """Delete a setup's pods, wait until they are gone, and return their names.

        Raises:
            LocalError: The cluster does not answer or denies access, or pods are still there after 35 s.
        """
        names = self.pods(setup)
        for name in names:
            try:
                self.api.delete_namespaced_pod(
                    name, self.namespace, grace_period_seconds=_DELETE_GRACE_SECONDS, _request_timeout=_TIMEOUT
                )
            except ApiException as error:
                if error.status != 404:
                    raise self._refused(f"delete the pod {name}", error) from None
            except HTTPError as error:
                raise self._unreachable(error) from None
        if left := self.await_no_pods(setup, _DELETE_GRACE_SECONDS + 30):
            raise LocalError(
                f"{len(left)} pods did not terminate: {', '.join(left)}; see `kubectl -n {self.namespace} get pods`"
            )
        return names

    def _call(self, what: str, call: Callable[..., Any]) -> Any:
        try:
            return call(_request_timeout=_TIMEOUT)
        except ApiException as error:
            raise self._refused(what, error) from None
        except HTTPError as error:
            raise self._unreachable(error) from None

    def _refused(self, what: str, error: ApiException) -> LocalError:
        hint = f"Check the user in {self.kubeconfig} and its roles" if error.status in (401, 403) else ""
        reason = refusal(error)
        return LocalError(f"cluster {self.context} did not let you {what} ({error.status}): {reason}. {hint}".strip())

    def _unreachable(self, error: HTTPError) -> LocalError:
        cause = getattr(error, "reason", None) or error
        return LocalError(
            f"cluster {self.context} does not answer at {self.api.api_client.configuration.host}: {cause}. Start it, "
            "or name another in KUBECONFIG"
        )


def address_towards(node: str) -> str:
    """Return the address of this machine in a node's network, at which pods can reach the emulator.

    Args:
        node: IPv4 address of the node.

    Raises:
        LocalError: There is no route to the node, or the route uses loopback, which pods do not share.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((node, 1))  # UDP: looks up the route without sending anything
            address = str(probe.getsockname()[0])
        except OSError as error:
            raise LocalError(
                f"this machine has no route to the cluster's node at {node} ({error.strerror}), so pods cannot reach "
                "the emulator; use a cluster on this machine or in its network"
            ) from None
    if address.startswith("127."):
        raise LocalError(
            f"the cluster's node reports the address {node}, which is loopback: in a pod, that is the pod itself. "
            "Start the cluster with an address in this machine's network"
        )
    return address
