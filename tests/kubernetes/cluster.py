"""The cluster of KUBECONFIG, and the faults that tests inject into it."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

ENGINE_PODS = "app.kubernetes.io/name=cloudseg"


class Cluster:
    """One namespace of a cluster."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self.api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))

    def create_namespace(self) -> None:
        try:
            self.api.create_namespace({"metadata": {"name": self.namespace}})
        except ApiException as error:
            if error.status != 409:
                raise

    def address_of_this_machine(self) -> str:
        """Return the address at which pods reach this machine: that of its route to a node."""
        node = self.api.list_node().items[0]
        internal = next(address.address for address in node.status.addresses if address.type == "InternalIP")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((internal, 1))
            return str(probe.getsockname()[0])

    def gpus(self) -> int:
        return sum(int((node.status.allocatable or {}).get("nvidia.com/gpu", 0)) for node in self.api.list_node().items)

    def pods(self) -> list[Any]:
        return list(self.api.list_namespaced_pod(self.namespace, label_selector=ENGINE_PODS).items)

    def running(self) -> list[Any]:
        return [pod for pod in self.pods() if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp]

    def wait_for_pod(self, wanted: Callable[[Any], bool], seconds: float = 60) -> Any:
        return self._wait(lambda: next((pod for pod in self.pods() if wanted(pod)), None), seconds)

    def preempt(self, name: str, grace_seconds: int = 25) -> None:
        """Delete a pod like the end of its Spot node."""
        self.api.delete_namespaced_pod(name, self.namespace, grace_period_seconds=grace_seconds)

    def kill_container(self, pod: Any) -> None:
        """Send SIGKILL without warning."""
        runtime, _, container = pod.status.container_statuses[0].container_id.partition("://")
        if runtime == "docker":
            command = ["docker", "kill", "--signal", "KILL", container]
        else:  # kind: the node is a container itself
            command = ["docker", "exec", pod.spec.node_name, "crictl", "stop", "--timeout", "0", container]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def await_empty(self, seconds: float = 60) -> None:
        """Wait until no pod of cloudseg is left; deletions take their grace period."""
        self._wait(lambda: True if not self.pods() else None, seconds)

    def clear(self) -> None:
        for pod in self.pods():
            self.preempt(pod.metadata.name, 0)
        self.await_empty()

    def log(self, name: str) -> str:
        return str(self.api.read_namespaced_pod_log(name, self.namespace))

    def _wait(self, found: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (value := found()) is not None:
                return value
            time.sleep(0.2)
        left = [(pod.metadata.name, pod.status.phase) for pod in self.pods()]
        raise AssertionError(f"timed out after {seconds} s; pods: {left}")


def kubeconfig_path() -> Path | None:
    """Return the file that KUBECONFIG names, if it is set."""
    named = os.environ.get("KUBECONFIG")
    return Path(named) if named else None
