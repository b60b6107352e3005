"""The pod is valid against Kubernetes' OpenAPI schema: of many releases, and of the current cluster if there is one."""

import contextlib
import copy
import importlib.resources
import itertools
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes_validate import ValidationError, validate  # type: ignore[import-untyped]
from kubernetes_validate.utils import all_versions  # type: ignore[import-untyped]
from packaging.version import Version

from cloudseg_ops.pods import CONTAINER, overlay, unknown_fields
from cloudseg_ops.pods.overlay import MERGE_KEYS
from tests.support.pod_samples import manifest

TEMPLATE: dict[str, Any] = {
    "metadata": {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
    "spec": {
        "priorityClassName": "segmentation",
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "tolerations": [{"key": "team", "operator": "Equal", "value": "clouds", "effect": "NoExecute"}],
        "volumes": [{"name": "certificates", "configMap": {"name": "certificates"}}],
        "initContainers": [{"name": "first", "image": "first:1", "resources": {"limits": {"memory": "64Mi"}}}],
        "containers": [
            {
                "name": CONTAINER,
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "a"}}}],
                "volumeMounts": [{"name": "certificates", "mountPath": "/etc/certificates", "readOnly": True}],
                "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
            }
        ],
    },
}


def _combinations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pods of all combinations of settings."""
    choices: list[list[tuple[str, dict[str, Any]]]] = [
        [("cpu", {"gpus": 0}), ("gpu", {"gpus": 1}), ("any-gpu", {"gpus": 1, "gpu_type": "none"})],
        [("on-demand", {}), ("spot", {"spot": True})],
        [("default-account", {}), ("account", {"service_account": "segmenter", "service_account_token": True})],
        [
            ("plain", {}),
            ("all", {"image_pull_secrets": "one,two", "pod_env": "A=1,B=2", "pod_labels": "t=c",
                     "pod_annotations": "a=b c", "node_selector": "pool=a"}),
        ],
    ]  # fmt: skip
    for combination in itertools.product(*choices):
        name = "-".join(name for name, _ in combination)
        pod = manifest(**{key: value for _, settings in combination for key, value in settings.items()})
        yield name, pod
        yield f"{name}-template", overlay(pod, TEMPLATE)


PODS = dict(_combinations())
VERSIONS = sorted({version.rpartition(".")[0] for version in all_versions()}, key=Version)
# GKE's oldest in use, with a release to spare, and the newest known
CORNERS = (VERSIONS[0], "1.30", VERSIONS[-1])


def test_every_combination_of_settings_is_generated() -> None:
    assert len(PODS) == 3 * 2 * 2 * 2 * 2


@pytest.mark.parametrize("version", CORNERS)
def test_every_pod_is_valid(version: str) -> None:
    for name, pod in PODS.items():
        assert validate(pod, version, strict=True) == version, name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_fullest_pod_is_valid_in_every_release(version: str) -> None:
    validate(PODS["gpu-spot-account-all-template"], version, strict=True)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"spec": {"activeDeadlineSecond": 1}}, "activeDeadlineSecond"),
    ({"spec": {"containers": [{"name": CONTAINER, "securityContext": {"readonly": True}}]}}, "readonly"),
    ({"spec": {"activeDeadlineSeconds": "soon"}}, "integer"),
    ({"metadata": {"annotations": {"a": 1}}}, "string"),
]


@pytest.mark.parametrize(("template", "message"), BROKEN)
def test_schema_rejects_invalid_templates(template: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        validate(overlay(PODS["gpu-spot-account-all"], template), VERSIONS[-1], strict=True)


def test_merge_keys_match_the_schema() -> None:
    folder = importlib.resources.files("kubernetes_validate") / "kubernetes-json-schema"
    text = (folder / f"v{VERSIONS[-1]}.0-local-strict" / "_definitions.json").read_text()
    definitions = json.loads(text)["$defs"]
    found = dict(_merge_keys(definitions, "io.k8s.api.core.v1.PodSpec", set()))
    found |= dict(_merge_keys(definitions, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", set()))
    assert found == MERGE_KEYS


def _merge_keys(definitions: Mapping[str, Any], name: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    if name in seen:
        return
    seen.add(name)
    for field, schema in definitions[name].get("properties", {}).items():
        if key := schema.get("x-kubernetes-patch-merge-key"):
            yield field, key
        for reference in re.findall(r"#/\$defs/([\w.-]+)", json.dumps(schema)):
            yield from _merge_keys(definitions, reference, seen)


@pytest.fixture(scope="module")
def api() -> client.CoreV1Api:
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("no cluster: KUBECONFIG is not set")
    return client.CoreV1Api(config.new_client_from_config(kubeconfig))


@contextlib.contextmanager
def _namespace(api: client.CoreV1Api, labels: dict[str, str]) -> Iterator[str]:
    name = f"cloudseg-schema-{secrets.token_hex(4)}"
    api.create_namespace({"metadata": {"name": name, "labels": labels}})
    try:
        # Admission requires the service account of a pod, or the default one of the namespace.
        api.create_namespaced_service_account(name, {"metadata": {"name": "segmenter"}})
        deadline = time.monotonic() + 30
        while not any(account.metadata.name == "default" for account in _accounts(api, name)):
            assert time.monotonic() < deadline, "the namespace has no default service account"
            time.sleep(0.2)
        yield name
    finally:
        api.delete_namespace(name)


def _accounts(api: client.CoreV1Api, namespace: str) -> list[Any]:
    return list(api.list_namespaced_service_account(namespace).items)


def _dry_run(api: client.CoreV1Api, namespace: str, pod: dict[str, Any]) -> Any:
    """Let the API server validate a pod without creating it, and return what it would store."""
    pod = copy.deepcopy(pod)
    pod["metadata"]["namespace"] = namespace
    pod["spec"].pop("priorityClassName", None)  # a cluster has its own
    stored = api.create_namespaced_pod(namespace, pod, dry_run="All", field_validation="Strict")
    # Older servers drop unknown fields.
    assert unknown_fields(pod, api.api_client.sanitize_for_serialization(stored)) == []
    return stored


def test_cluster_admits_every_pod_with_every_field(api: client.CoreV1Api) -> None:
    with _namespace(api, {}) as namespace:
        for name, pod in PODS.items():
            assert _dry_run(api, namespace, pod).metadata.name == pod["metadata"]["name"], name
        with pytest.raises((AssertionError, ApiException)):
            _dry_run(api, namespace, overlay(manifest(), {"spec": {"activeDeadlineSecond": 1}}))


def test_cluster_admits_every_pod_under_the_restricted_standard(api: client.CoreV1Api) -> None:
    with _namespace(api, {"pod-security.kubernetes.io/enforce": "restricted"}) as namespace:
        if not _is_refused(api, namespace, overlay(manifest(), {"spec": {"hostNetwork": True}})):
            pytest.skip("this cluster does not enforce Pod Security Standards (Kubernetes does from 1.25 on)")
        for name, pod in PODS.items():
            if not name.endswith("-template"):
                _dry_run(api, namespace, pod)


def _is_refused(api: client.CoreV1Api, namespace: str, pod: dict[str, Any]) -> bool:
    try:
        _dry_run(api, namespace, pod)
    except ApiException as error:
        return bool(error.status == 403)
    return False
