"""Fields that a Kubernetes client would silently drop."""

from typing import Any

import pytest
from kubernetes.client import ApiClient

from cloudseg_ops.pods import PodSettings, PodWork, pod_manifest
from cloudseg_ops.pods.fields import unknown_fields


def understood(manifest: dict[str, Any]) -> Any:
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    return ApiClient().sanitize_for_serialization(PodGenerator.deserialize_model_dict(manifest))


@pytest.fixture
def manifest() -> dict[str, Any]:
    work = PodWork("run", 3, "0" * 40, ("--chunk", "x"), spot=True)
    return pod_manifest(PodSettings(image="i", image_pull_policy="Never", pod_env={"A": "b"}), work)


def test_the_client_understands_all_of_the_pod(manifest: dict[str, Any]) -> None:
    assert unknown_fields(manifest, understood(manifest)) == []


def test_a_field_that_is_misspelt_is_named_with_its_place(manifest: dict[str, Any]) -> None:
    manifest["spec"]["containers"][0]["resource"] = {"limits": {"memory": "1Gi"}}
    manifest["spec"]["nodeSelectors"] = {"a": "b"}
    assert unknown_fields(manifest, understood(manifest)) == ["spec.containers[0].resource", "spec.nodeSelectors"]


def test_what_is_empty_is_not_missed() -> None:
    assert unknown_fields({"a": {}, "b": [], "c": None}, {}) == []
