from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudseg_ops.config.pod_grammar import AIRFLOW_LABELS
from cloudseg_ops.contracts.errors import PodTemplateError
from cloudseg_ops.pods import CONTAINER, overlay
from tests.support.pod_samples import manifest

POD = manifest(gpus=1, spot=True, pod_env="A=1,B=2", image_pull_secrets="one")


def _spec(**template: Any) -> Any:
    return overlay(POD, {"spec": template})["spec"]


def _engine(**template: Any) -> Any:
    containers = _spec(containers=[{"name": CONTAINER, **template}])["containers"]
    assert [container["name"] for container in containers] == [CONTAINER]
    return containers[0]


def test_an_empty_template_changes_nothing() -> None:
    empty: list[dict[str, Any]] = [
        {}, {"spec": {}}, {"metadata": {}, "spec": {"containers": [], "volumes": [], "tolerations": []}}
    ]  # fmt: skip
    for template in empty:
        assert overlay(POD, template) == POD


def test_fields_are_added_and_replaced_and_the_others_stay() -> None:
    spec = _spec(priorityClassName="low", activeDeadlineSeconds=60, nodeSelector={"pool": "a"})
    assert spec["priorityClassName"] == "low"
    assert spec["activeDeadlineSeconds"] == 60
    assert spec["nodeSelector"] == {**POD["spec"]["nodeSelector"], "pool": "a"}
    assert {key: spec[key] for key in POD["spec"] if key not in ("activeDeadlineSeconds", "nodeSelector")} == {
        key: POD["spec"][key] for key in POD["spec"] if key not in ("activeDeadlineSeconds", "nodeSelector")
    }


def test_null_removes_a_field() -> None:
    assert "nodeSelector" not in _spec(nodeSelector=None)
    assert "cloud.google.com/gke-spot" not in _spec(nodeSelector={"cloud.google.com/gke-spot": None})["nodeSelector"]
    assert "memory" not in _engine(resources={"limits": {"memory": None}})["resources"]["limits"]


def test_null_of_a_missing_field_is_ignored() -> None:
    assert "affinity" not in _spec(affinity=None)
    assert _spec(affinity={"nodeAffinity": None})["affinity"] == {}
    [added] = _spec(initContainers=[{"name": "first", "env": None, "securityContext": {"privileged": None}}])[
        "initContainers"
    ]
    assert added == {"name": "first", "securityContext": {}}


def test_engine_container_is_merged_by_name_and_stays_first() -> None:
    assert _engine(resources={"limits": {"cpu": "4"}})["resources"]["limits"]["cpu"] == "4"
    spec = _spec(containers=[{"name": "watcher", "image": "w"}, {"name": CONTAINER, "tty": True}])
    assert [container["name"] for container in spec["containers"]] == [CONTAINER, "watcher"]
    assert spec["containers"][0]["tty"] is True


def test_variables_are_merged_by_name_in_their_order() -> None:
    env = _engine(env=[{"name": "C", "value": "3"}, {"name": "A", "value": "9"}])["env"]
    assert env == [{"name": "A", "value": "9"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}]


def test_another_source_replaces_the_first() -> None:
    secret = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    assert _engine(env=[{"name": "A", **secret}])["env"][0] == {"name": "A", **secret}
    volumes = {volume["name"]: volume for volume in _spec(volumes=[{"name": "tmp", "ephemeral": {"x": {}}}])["volumes"]}
    assert volumes["tmp"] == {"name": "tmp", "ephemeral": {"x": {}}}
    assert volumes["shm"] == POD["spec"]["volumes"][1]


def test_the_same_source_is_merged() -> None:
    volumes = _spec(volumes=[{"name": "shm", "emptyDir": {"sizeLimit": "4Gi"}}, {"name": "tmp"}])["volumes"]
    assert volumes == [POD["spec"]["volumes"][0], {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}}]


def test_mounts_are_merged_by_their_path() -> None:
    mounts = _engine(volumeMounts=[{"mountPath": "/dev/shm", "name": "other"}, {"mountPath": "/data", "name": "d"}])
    assert [(mount["mountPath"], mount["name"]) for mount in mounts["volumeMounts"]] == [
        ("/tmp", "tmp"),
        ("/dev/shm", "other"),
        ("/data", "d"),
    ]


def test_tolerations_are_added_once() -> None:
    new = {"key": "team", "operator": "Exists"}
    old = POD["spec"]["tolerations"]
    assert _spec(tolerations=[new, deepcopy(old[0])])["tolerations"] == [*old, new]
    assert _engine(envFrom=[{"secretRef": {"name": "s"}}])["envFrom"] == [{"secretRef": {"name": "s"}}]


def test_lists_without_a_key_are_replaced() -> None:
    changed = _engine(securityContext={"capabilities": {"drop": ["NET_RAW"], "add": ["SYS_PTRACE"]}})
    assert changed["securityContext"]["capabilities"] == {"drop": ["NET_RAW"], "add": ["SYS_PTRACE"]}
    assert changed["securityContext"]["readOnlyRootFilesystem"] is True


def test_new_items_with_equal_keys_are_all_kept() -> None:
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]
    assert _engine(ports=ports)["ports"] == ports


def test_result_is_a_deep_copy() -> None:
    template = {"spec": {"affinity": {"a": [{"b": 1}]}, "tolerations": [{"key": "x"}]}}
    pod, before = deepcopy(POD), deepcopy(template)
    merged = overlay(pod, template)
    merged["spec"]["affinity"]["a"][0]["b"] = 2
    merged["spec"]["tolerations"].clear()
    merged["spec"]["containers"][0]["env"].clear()
    merged["metadata"]["labels"].clear()
    assert (pod, template) == (POD, before)


RESERVED: list[tuple[dict[str, Any], str]] = [
    ({"metadata": {"name": "x"}}, "metadata.name"),
    ({"metadata": {"generateName": "x-"}}, "metadata.generateName"),
    ({"metadata": {"namespace": "other"}}, "metadata.namespace"),
    ({"metadata": {"namespace": None}}, "metadata.namespace"),
    ({"metadata": None}, "metadata.name"),
    ({"metadata": {"labels": None}}, "metadata.labels.cloudseg-chunk"),
    ({"metadata": {"labels": {"cloudseg-chunk": "8"}}}, "metadata.labels.cloudseg-chunk"),
    ({"metadata": {"labels": {"app.kubernetes.io/name": None}}}, "metadata.labels.app.kubernetes.io/name"),
    ({"kind": "Job"}, "kind"),
    ({"apiVersion": None}, "apiVersion"),
    ({"spec": None}, "spec.restartPolicy"),
    ({"spec": {"restartPolicy": "Always"}}, "spec.restartPolicy"),
    ({"spec": {"restartPolicy": None}}, "spec.restartPolicy"),
    ({"spec": {"containers": None}}, f"spec.containers\\[{CONTAINER}\\].name"),
    ({"spec": {"containers": [{"name": CONTAINER, "command": ["sh"]}]}}, f"spec.containers\\[{CONTAINER}\\].command"),
    ({"spec": {"containers": [{"name": CONTAINER, "args": None}]}}, f"spec.containers\\[{CONTAINER}\\].args"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "place"), RESERVED)
def test_reserved_fields_cannot_be_changed(template: dict[str, Any], place: str) -> None:
    with pytest.raises(PodTemplateError, match=f"the pod template changes .*{place}.*CLOUDSEG_POD_TEMPLATE"):
        overlay(POD, template)


@pytest.mark.parametrize("label", sorted(AIRFLOW_LABELS))
def test_labels_of_airflow_cannot_be_set(label: str) -> None:
    with pytest.raises(PodTemplateError, match=f"metadata.labels.{label}"):
        overlay(POD, {"metadata": {"labels": {label: "1"}}})


def test_reserved_fields_with_the_same_value_are_accepted() -> None:
    assert overlay(POD, deepcopy(POD)) == POD


def test_image_of_the_template_must_be_pinned() -> None:
    mirror = "mirror.example.org:5000/cloudseg@sha256:" + "0" * 64
    assert _engine(image=mirror)["image"] == mirror
    assert _engine(image="cloudseg:dev", imagePullPolicy="Never")["image"] == "cloudseg:dev"
    with pytest.raises(PodTemplateError, match=r"image of engine to 'cloudseg:latest'.*another image tomorrow"):
        _engine(image="cloudseg:latest")
    with pytest.raises(PodTemplateError, match="image of engine to None"):
        _engine(image=None)


def test_pull_policy_always_is_rejected_for_a_tag() -> None:
    by_tag = manifest(image="cloudseg:dev", image_pull_policy="Never")
    with pytest.raises(PodTemplateError, match="'cloudseg:dev', with the pull policy Always"):
        overlay(by_tag, {"spec": {"containers": [{"name": CONTAINER, "imagePullPolicy": "Always"}]}})


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"metadata": "x"}, "a str .*at metadata, where the pod has a mapping"),
    ({"spec": []}, "a list at spec, where the pod has a mapping"),
    ({"spec": {"containers": {"engine": {}}}}, "a mapping at spec.containers, where the pod has a list"),
    ({"metadata": {"labels": "a=b"}}, "at metadata.labels, where the pod has a mapping"),
    ({"spec": {"restartPolicy": ["Never"]}}, "a list at spec.restartPolicy, where the pod has a str"),
    ({"spec": {"containers": [{"image": "x"}]}}, "without 'name' at spec.containers"),
    ({"spec": {"containers": ["engine"]}}, "without 'name' at spec.containers"),
    ({"spec": {"initContainers": [{"name": ["x"]}]}}, "without 'name' at spec.initContainers"),
    ({"spec": {"containers": [{"name": CONTAINER, "volumeMounts": [{"name": "tmp"}]}]}}, "without 'mountPath'"),
    ({"spec": {"containers": [{"name": CONTAINER, "$patch": "delete"}]}}, r"has '\$patch'"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "message"), INVALID)
def test_invalid_template_names_the_field(template: dict[str, Any], message: str) -> None:
    with pytest.raises(PodTemplateError, match=message):
        overlay(POD, template)


# Any JSON, but often with a pod's field names, so that it overlaps with the pod.
NAMES = st.sampled_from(
    ["metadata", "spec", "labels", "name", "namespace", "containers", "initContainers", "volumes", "env", "command",
     "volumeMounts", "mountPath", "tolerations", "emptyDir", "key", "resources", "limits", "image", "$patch"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([CONTAINER, "tmp", "/tmp", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from([CONTAINER, "x"]) | VALUES}, optional={"env": VALUES, "args": VALUES}
    )
)
SPECS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("volumes", "tolerations", "nodeSelector"), VALUES) | {"containers": CONTAINERS}
)
TEMPLATES = st.dictionaries(NAMES, VALUES, max_size=4) | st.fixed_dictionaries({"spec": SPECS})


@settings(max_examples=200, deadline=None)
@given(template=TEMPLATES)
def test_any_template_is_merged_or_rejected_and_never_modified(template: dict[str, Any]) -> None:
    before, pod = repr(template), deepcopy(POD)
    merged, message = _merge(pod, template)
    if merged is None:
        assert "pod template" in message
    else:
        assert merged["metadata"]["labels"].items() >= POD["metadata"]["labels"].items()
        assert merged["spec"]["containers"][0]["args"] == POD["spec"]["containers"][0]["args"]
        assert overlay(POD, template) == merged
    assert (repr(template), pod) == (before, POD)


def _merge(pod: dict[str, Any], template: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    try:
        return overlay(pod, template), ""
    except PodTemplateError as error:
        return None, str(error)
