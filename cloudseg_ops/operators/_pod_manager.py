"""A pod manager that waits out an outage of the Kubernetes API, since the pod keeps running meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client.exceptions import ApiException
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from cloudseg_ops.contracts.errors import ClusterError
from cloudseg_ops.operators.clusters import is_outage
from cloudseg_ops.pods import CONTAINER, engine_phase

T = TypeVar("T")

_PAUSE_SECONDS = 5.0
_NOT_FOUND = 404


class RetryingPodManager(PodManager):
    """Airflow's pod manager, with calls retried for up to `outage_seconds` (Airflow's own retries: about 15 s).

    Raises:
        ClusterError: The outage lasted longer.
    """

    def __init__(self, *args: Any, outage_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outage_seconds = outage_seconds

    def create_pod(self, pod: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).create_pod(pod))

    def read_pod(self, pod: Any) -> Any:
        """Read a pod as if the engine's container were its only one, so that Airflow's waits end when the engine does.

        Airflow waits for all containers to start, and to end, unless one of them is called `istio-proxy`.
        """
        found = self._read(pod)
        if found.status is not None:
            found.status.phase = engine_phase(self._client.api_client.sanitize_for_serialization(found))
            states = found.status.container_statuses or ()
            found.status.container_statuses = [state for state in states if state.name == CONTAINER] or None
        return found

    def _read(self, pod: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).read_pod(pod))

    def read_pod_events(self, pod: Any, *args: Any, **kwargs: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).read_pod_events(pod, *args, **kwargs))

    def find_pod(self, pod: Any) -> Any:
        """Read a pod as it is; None if it is gone."""
        try:
            return self._read(pod)
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    def list_pods(self, namespace: str, selector: str) -> list[Any]:
        """List the pods of a namespace that match a label selector."""
        found = self.retry_through_outage(
            lambda: self._client.list_namespaced_pod(namespace, label_selector=selector),
        )
        return list(found.items)

    def read_warnings(self, pod: Any) -> list[str]:
        """Read a pod's warning events, as `reason: message`."""
        events = self.read_pod_events(pod).items
        return [f"{event.reason}: {event.message}" for event in events if event.type == "Warning"]

    def delete_if_present(self, pod: Any, grace_seconds: int | None = None) -> None:
        """Delete a pod; do nothing if it is gone.

        Args:
            pod: The pod.
            grace_seconds: Its grace period; None: the one in its manifest.
        """
        grace = {} if grace_seconds is None else {"grace_period_seconds": grace_seconds}
        where = (pod.metadata.name, pod.metadata.namespace)
        try:
            self.retry_through_outage(lambda: self._client.delete_namespaced_pod(*where, **grace))
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise

    def await_end(self, pods: Sequence[Any], seconds: float) -> None:
        """Wait until pods that are being deleted are gone.

        Args:
            pods: The pods.
            seconds: Time for all of them together. A pod that takes longer is deleted without a grace period, since a
                pod whose node is gone would never end.
        """
        deadline = time.monotonic() + seconds
        for pod in pods:
            self.log.info("waiting until pod %s of an earlier try has ended", pod.metadata.name)
            while (found := self.find_pod(pod)) is not None and found.metadata.uid == pod.metadata.uid:
                if time.monotonic() > deadline:
                    self.log.warning(
                        "pod %s has not ended in time, its node may be gone; deleting it without a grace period",
                        pod.metadata.name,
                    )
                    self.delete_if_present(pod, grace_seconds=0)
                    break
                time.sleep(1)

    def retry_through_outage(self, call: Callable[[], T]) -> T:
        """Retry a call to the Kubernetes API until its outage is over."""
        return Retrying(
            retry=retry_if_exception(is_outage),
            wait=wait_fixed(_PAUSE_SECONDS),
            stop=stop_after_delay(self._outage_seconds),
            before_sleep=self._log_outage,
            retry_error_callback=_give_up,
        )(call)

    def _log_outage(self, state: RetryCallState) -> None:
        self.log.warning(
            "the Kubernetes API does not answer (%s); the pod keeps running. No answer for %.0f s, retrying for up "
            "to %.0f s",
            _short(state),
            state.seconds_since_start,
            self._outage_seconds,
        )


def _give_up(state: RetryCallState) -> Any:
    raise ClusterError(
        f"the Kubernetes API did not answer for {state.seconds_since_start:.0f} s ({_short(state)}). The pod keeps "
        "running, and the next try resumes it; raise CLOUDSEG_OUTAGE_SECONDS to let tasks wait longer"
    )


def _short(state: RetryCallState) -> str:
    error = state.outcome.exception() if state.outcome else None
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
