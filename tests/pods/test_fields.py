from copy import deepcopy
from typing import Any

import pytest
from kubernetes.client import ApiClient

from cloudseg_ops.pods import CONTAINER, overlay
from cloudseg_ops.pods.fields import unknown_fields
from tests.pods.samples import manifest


def _understood(pod: dict[str, Any]) -> Any:
    """What a Kubernetes client makes of a manifest."""
    api = ApiClient()
    return api.sanitize_for_serialization(api._ApiClient__deserialize(pod, "V1Pod"))


def test_the_client_knows_all_of_ours() -> None:
    pod = manifest(gpus=1, spot=True, service_account="s", pod_env="A=1", image_pull_secrets="p")
    assert unknown_fields(pod, _understood(pod)) == []


def _of_engine(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": CONTAINER, **fields}]}}


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ({"spec": {"priorityClass": "low"}}, "spec.priorityClass"),
        (_of_engine(resource={"limits": {"cpu": "1"}}), "spec.containers[0].resource"),
        (_of_engine(env=[{"name": "A", "vlaue": "1"}]), "spec.containers[0].env[0].vlaue"),
        ({"specs": {"a": 1}}, "specs"),
    ],
)
def test_a_misspelt_field_is_named_with_its_place(template: dict[str, Any], place: str) -> None:
    pod = overlay(manifest(), template)
    assert unknown_fields(pod, _understood(deepcopy(pod))) == [place]


def test_what_is_empty_is_missed_by_nobody() -> None:
    assert unknown_fields({"a": {}, "b": [], "c": None, "d": {"e": {}}}, {"d": {}}) == []


def test_labels_and_annotations_keep_any_key() -> None:
    pod = overlay(manifest(), {"metadata": {"annotations": {"a.b/c": "x"}}, "spec": {"nodeSelector": {"x/y": "z"}}})
    assert unknown_fields(pod, _understood(pod)) == []
