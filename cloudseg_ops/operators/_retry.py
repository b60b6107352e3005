"""A pod manager that waits out an outage of the Kubernetes API: the pod goes on without it, so its task should."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import KubernetesApiException
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cloudseg_ops.contracts.errors import ClusterError

T = TypeVar("T")

_PAUSE_SECONDS = 5.0
_PASSING = frozenset({429, 500, 502, 503, 504})


def is_outage(error: BaseException) -> bool:
    """Whether the API is away for a while, rather than of another opinion."""
    if isinstance(error, ApiException):
        return error.status in _PASSING
    return isinstance(error, HTTPError | KubernetesApiException)


class RetryingPodManager(PodManager):
    """Airflow's pod manager; its calls outlast an outage of `outage_seconds` (its own retries: about 15 s).

    Raises:
        ClusterError: The outage lasted longer.
    """

    def __init__(self, *args: Any, outage_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outage_seconds = outage_seconds

    def create_pod(self, pod: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).create_pod(pod))

    def read_pod(self, pod: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).read_pod(pod))

    def read_pod_events(self, pod: Any, *args: Any, **kwargs: Any) -> Any:
        return self.retry_through_outage(lambda: super(RetryingPodManager, self).read_pod_events(pod, *args, **kwargs))

    def retry_through_outage(self, call: Callable[[], T]) -> T:
        """Repeat a call of the API until its outage is over."""
        began = time.monotonic()
        while True:
            try:
                return call()
            except Exception as error:
                if not is_outage(error):
                    raise
                away = time.monotonic() - began
                if away >= self._outage_seconds:
                    raise ClusterError(
                        f"the Kubernetes API did not answer for {away:.0f} s ({_short(error)}): the pod goes on "
                        "without it, and the next try takes it up. CLOUDSEG_OUTAGE_SECONDS is how long a task waits"
                    ) from None
                self.log.warning(
                    "the Kubernetes API does not answer (%s); the pod goes on without it. Away for %.0f s, waiting up "
                    "to %.0f s",
                    _short(error),
                    away,
                    self._outage_seconds,
                )
                time.sleep(_PAUSE_SECONDS)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
