"""Errors of the Kubernetes and Google clients are translated to one sentence."""

import json
import traceback
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.auth.exceptions import DefaultCredentialsError
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError
from urllib3.util import parse_url

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.errors import ClusterError, PodLostError
from cloudseg_ops.operators.clusters import translate_gke_errors, translate_kubernetes_errors


def test_refusal_names_the_resource_and_the_setting() -> None:
    refused = ApiException(status=403, reason="Forbidden")
    refused.body = json.dumps({"message": 'pods is forbidden: User "w" cannot create resource "pods"'})
    with (
        pytest.raises(ClusterError, match=r'refused \(403\): pods is forbidden.*"w".*CLOUDSEG_NAMESPACE'),
        translate_kubernetes_errors(),
    ):
        raise refused


@pytest.mark.parametrize("body", [None, "", "not JSON", "[]"])
def test_refusal_without_a_message_has_its_reason(body: str | None) -> None:
    refused = ApiException(status=401, reason="Unauthorized")
    refused.body = body
    with pytest.raises(ClusterError, match=r"\(401\): Unauthorized"), translate_kubernetes_errors():
        raise refused


def test_outage_message_says_that_the_pod_is_resumed() -> None:
    with (
        pytest.raises(ClusterError, match=r"does not answer.*the next try resumes the pod"),
        translate_kubernetes_errors(),
    ):
        raise MaxRetryError(None, parse_url("https://cluster").url, None)  # type: ignore[arg-type]


def test_our_errors_lose_their_context_and_others_pass_through() -> None:
    with pytest.raises(PodLostError) as raised, translate_kubernetes_errors():
        _fail_in_handling_another()
    assert "inner" not in "".join(traceback.format_exception(raised.value))
    with pytest.raises(ZeroDivisionError), translate_kubernetes_errors():
        raise ZeroDivisionError


def _fail_in_handling_another() -> None:
    try:
        int("inner")
    except ValueError:
        raise PodLostError("gone")  # noqa: B904


@pytest.mark.parametrize(("kind", "message"), [(NotFound, "no cluster gpus"), (DefaultCredentialsError, "no identity")])
def test_unknown_gke_cluster_names_its_settings(kind: Any, message: str) -> None:
    settings = Settings.from_environment(
        {
            "CLOUDSEG_INPUT_BUCKET": "photos",
            "CLOUDSEG_OUTPUT_BUCKET": "masks",
            "CLOUDSEG_STAGING_BUCKET": "staging",
            "CLOUDSEG_MODEL_REPOSITORY": "https://git.example/models.git",
            "CLOUDSEG_GKE_CLUSTER": "gpus",
            "CLOUDSEG_GKE_LOCATION": "europe-west4",
        }
    )
    with (
        pytest.raises(ClusterError, match=r"'gpus' in 'europe-west4'.*CLOUDSEG_GKE_CLUSTER"),
        translate_gke_errors(settings),
    ):
        raise kind(message)
