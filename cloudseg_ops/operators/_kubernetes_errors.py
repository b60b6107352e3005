"""Translates what the Kubernetes client raises into one-sentence errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kubernetes.client.exceptions import ApiException

from cloudseg_ops.contracts.errors import CloudsegError, ClusterError
from cloudseg_ops.operators._retry import is_outage
from cloudseg_ops.operators.clusters import refusal


@contextlib.contextmanager
def translate_kubernetes_errors() -> Iterator[None]:
    """Let no error of the client's through, and no trace before ours: the last line of a task's log is read.

    Raises:
        ClusterError: The Kubernetes API did not answer, or refused.
    """
    try:
        yield
    except CloudsegError as error:
        raise error from None
    except ApiException as error:
        raise ClusterError(
            f"the Kubernetes API refused ({error.status}): {refusal(error)}. See the namespace (CLOUDSEG_NAMESPACE), "
            "its quota, and the role of the workers' identity there; docs/gke.md lists what it needs"
        ) from None
    except Exception as error:
        if not is_outage(error):
            raise
        raise ClusterError(f"the Kubernetes API does not answer: {error}; the next try takes the pod up") from None
