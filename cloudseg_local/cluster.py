"""The Kubernetes cluster of KUBECONFIG, on which the local setup can run its chunks."""

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

_NEEDED = (
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
    """What KUBECONFIG names, with absolute paths: Airflow's tasks run in other folders.

    Raises:
        LocalError: No such file is there.
    """
    given = environment.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(word).expanduser().absolute() for word in given.split(os.pathsep) if word]
    if not any(path.is_file() for path in paths):
        raise LocalError(
            f"no cluster is known: there is no file {given}; name one: `make demo RUNTIME=kubernetes KUBECONFIG=…`"
        )
    return os.pathsep.join(map(str, paths))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A namespace of a cluster, as one kubeconfig leads to it.

    Attributes:
        kubeconfig: As `kubeconfig_path` gives it.
        context: Name of the kubeconfig's context.
        namespace: Where the pods are.
        api: A `kubernetes.client.CoreV1Api`.
    """

    kubeconfig: str
    context: str
    namespace: str
    api: Any

    @classmethod
    def connect(cls, kubeconfig: str, namespace: str, context: str | None = None) -> Cluster:
        """Read a kubeconfig; nothing is sent yet.

        Args:
            kubeconfig: One or more absolute paths, as `kubeconfig_path` gives them.
            namespace: Where the pods are to be.
            context: Which of the kubeconfig's contexts; None: its current one.

        Raises:
            LocalError: It is not a kubeconfig, or lacks the context.
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
                f"{kubeconfig} is not a kubeconfig for a cluster ({type(error).__name__}: {error}); correct it, "
                "or name another in KUBECONFIG"
            ) from error
        return cls(kubeconfig, name, namespace, client.CoreV1Api(connection))

    def offer(self) -> Offer:
        """The resources of its nodes.

        Raises:
            LocalError: It does not answer, refuses, or has no ready node.
        """
        nodes = self._call("list its nodes", self.api.list_node)
        return read_nodes(self.api.api_client.sanitize_for_serialization(nodes)["items"])

    def require_rights(self) -> None:
        """Check for permission to run pods.

        Raises:
            LocalError: Some of it is missing in the namespace; the message names it.
        """
        reviews = client.AuthorizationV1Api(self.api.api_client)
        missing = []
        for verb, resource in _NEEDED:
            kind, _, part = resource.partition("/")
            asked = {"namespace": self.namespace, "verb": verb, "resource": kind, "subresource": part}
            body = {"spec": {"resourceAttributes": asked}}
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
        """Create the namespace if it is missing, and return whether it was.

        Raises:
            LocalError: It is missing, and may not be made.
        """
        try:
            self.api.read_namespace(self.namespace, _request_timeout=_TIMEOUT)
        except ApiException as error:
            if error.status == 404:
                body = {"metadata": {"name": self.namespace}}
                self._call("make the namespace", lambda **more: self.api.create_namespace(body, **more))
                return True
            if error.status != 403:
                raise self._refused("look for the namespace", error) from None
        except HTTPError as error:
            raise self._silent(error) from None
        return False

    def pods(self, setup: str, **labels: str) -> list[str]:
        """Names of a setup's pods that exist, whatever their state.

        Raises:
            LocalError: The cluster does not answer, or refuses.
        """
        wanted = {**APP_LABELS, SETUP_LABEL: setup, **labels}
        selector = ",".join(f"{key}={value}" for key, value in wanted.items())
        found = self._call(
            "list its pods",
            lambda **more: self.api.list_namespaced_pod(self.namespace, label_selector=selector, **more),
        )
        return [pod.metadata.name for pod in found.items]

    def await_no_pods(self, setup: str, seconds: float, **labels: str) -> list[str]:
        """Wait until a setup's pods are gone, and name those that are not."""
        deadline = time.monotonic() + seconds
        while (left := self.pods(setup, **labels)) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def delete_pods(self, setup: str) -> list[str]:
        """Delete a setup's pods, wait until they are gone, and name them.

        Raises:
            LocalError: The cluster does not answer, or refuses, or they do not go.
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
                raise self._silent(error) from None
        if left := self.await_no_pods(setup, _DELETE_GRACE_SECONDS + 30):
            raise LocalError(
                f"{len(left)} pods do not end: {', '.join(left)}; see `kubectl -n {self.namespace} get pods`"
            )
        return names

    def _call(self, what: str, call: Callable[..., Any]) -> Any:
        try:
            return call(_request_timeout=_TIMEOUT)
        except ApiException as error:
            raise self._refused(what, error) from None
        except HTTPError as error:
            raise self._silent(error) from None

    def _refused(self, what: str, error: ApiException) -> LocalError:
        hint = f"See the identity that {self.kubeconfig} gives, and its roles" if error.status in (401, 403) else ""
        said = refusal(error)
        return LocalError(f"cluster {self.context} did not let you {what} ({error.status}): {said}. {hint}".strip())

    def _silent(self, error: HTTPError) -> LocalError:
        cause = getattr(error, "reason", None) or error
        return LocalError(
            f"cluster {self.context} does not answer at {self.api.api_client.configuration.host}: {cause}. Start it, "
            "or name another in KUBECONFIG"
        )


def address_towards(node: str) -> str:
    """This machine's address in a node's network; pods reach back to it.

    Args:
        node: IPv4 address of the node.

    Raises:
        LocalError: There is no way there, or it is loopback, which pods do not share.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((node, 1))  # UDP: this sends nothing, it asks for the route
            address = str(probe.getsockname()[0])
        except OSError as error:
            raise LocalError(
                f"this machine has no way to the cluster's node at {node} ({error.strerror}), so pods have none to the "
                "emulator; the demo needs a cluster on this machine or in its network"
            ) from None
    if address.startswith("127."):
        raise LocalError(
            f"the cluster's node gives its address as {node}, which is loopback: a pod there would reach only itself. "
            "Start the cluster with an address of this machine's network"
        )
    return address
