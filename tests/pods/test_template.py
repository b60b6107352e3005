import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes.client import ApiClient
from kubernetes_validate import validate  # type: ignore[import-untyped]

from cloudseg_ops.contracts.errors import PodTemplateError
from cloudseg_ops.pods import PodSettings, PodWork, load_template, overlay, pod_manifest, unknown_fields
from cloudseg_ops.pods.template import check_template
from tests.support.pod_samples import IMAGE, manifest


def test_template_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("# the platform team's\nspec:\n  priorityClassName: low\n")
    assert load_template(str(file)) == {"spec": {"priorityClassName": "low"}}


@pytest.mark.parametrize(
    "text",
    ["spec:\n  priorityClassName: low", "spec: {priorityClassName: low}", '{"spec": {"priorityClassName": "low"}}'],
)
def test_template_is_read_from_inline_yaml(text: str) -> None:
    assert load_template(text) == {"spec": {"priorityClassName": "low"}}


def test_missing_file_names_the_variable(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.yaml")
    with pytest.raises(PodTemplateError, match=rf"{re.escape(missing)}: No such file.*set CLOUDSEG_POD_TEMPLATE to a"):
        load_template(missing)
    with pytest.raises(PodTemplateError, match="Is a directory"):
        load_template(str(tmp_path))


INVALID = [
    ("spec: [", "not YAML"),
    ("spec: {}\n--- \nspec: {}", "not YAML"),
    ("a: !!python/object:os.system {}", "not YAML"),
    ("a: !!bool perhaps", "not YAML"),
    ("a: !!timestamp soon", "not YAML"),
    ("a: 2026-13-45", "not YAML"),
    ("{" * 500, "not YAML"),
    ("\n", "holds nothing"),
    ("- a\n- b", "holds a list"),
    ("just\nwords", "holds a str"),
    ("spec:\n  1: x", "spec has the key 1, which YAML does not read as text"),
    ("metadata: {annotations: {on: x}}", "metadata.annotations has the key True"),
    ("spec:\n  when: 2026-08-26", r"spec.when is a date \('2026-08-26'\)"),
    ("spec:\n  much: .inf", "spec.much is not a finite number"),
    ("spec:\n  some: !!set {a, b}", "spec.some is a set"),
    ("spec:\n  raw: !!binary aGk=", "spec.raw is a bytes"),
    ("spec:\n  $patch: replace", r"spec has '\$patch': kubectl.s directives"),
    ("spec:\n  containers:\n  - name: a\n  -", "spec.containers has a null in a list"),
    ("spec: &all\n  again: *all", "too many levels or values"),
    ("a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: " + "[" * 30 + "*b" + "]" * 30 + "\n$x: 1", r"has '\$x'"),
    ("\n".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9 if n else 'x'}]" for n in range(9)), "too many levels or values"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), INVALID, ids=range(len(INVALID)))
def test_invalid_template_names_the_problem(text: str, message: str) -> None:
    with pytest.raises(PodTemplateError, match=message):
        load_template(text)


def test_error_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_bytes(b"\xff\xfe\x00 not text")
    with pytest.raises(PodTemplateError, match=re.escape(str(file))):
        load_template(str(file))
    file.write_text("- x")
    with pytest.raises(PodTemplateError, match=re.escape(str(file))):
        load_template(str(file))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab:- \n{}[],&*!\"'#|>1.?", max_size=40))
def test_any_text_is_accepted_or_raises_a_template_error(text: str) -> None:
    # Any other exception would be a traceback in a task's log.
    with contextlib.suppress(PodTemplateError):
        check_template(load_template("\n" + text))


@pytest.mark.parametrize("template", [{}, {"a": {"b": [1, 2.5, True, "x", {"c": None}]}}])
def test_json_values_are_accepted(template: dict[str, Any]) -> None:
    check_template(template)


def test_documented_example_works() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    before, after = manifest(), overlay(manifest(), load_template(example))
    validate(after, "1.30", strict=True)
    assert after["spec"]["priorityClassName"] == "batch"
    assert after["spec"]["tolerations"][:-1] == before["spec"]["tolerations"]
    assert [volume["name"] for volume in after["spec"]["volumes"]] == ["tmp", "shm", "certificates"]
    [engine] = after["spec"]["containers"]
    assert [mount["mountPath"] for mount in engine["volumeMounts"]] == ["/tmp", "/dev/shm", "/etc/certificates"]
    assert engine["image"] == IMAGE


def deserialized(pod: dict[str, Any]) -> Any:
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    return ApiClient().sanitize_for_serialization(PodGenerator.deserialize_model_dict(pod))


@pytest.fixture
def engine_pod() -> dict[str, Any]:
    work = PodWork("run", 3, "0" * 40, ("--chunk", "x"), spot=True)
    return pod_manifest(PodSettings(image="i", image_pull_policy="Never", pod_env={"A": "b"}), work)


def test_client_knows_every_field_of_the_pod(engine_pod: dict[str, Any]) -> None:
    assert unknown_fields(engine_pod, deserialized(engine_pod)) == []


def test_unknown_fields_are_named_with_their_path(engine_pod: dict[str, Any]) -> None:
    engine_pod["spec"]["containers"][0]["resource"] = {"limits": {"memory": "1Gi"}}
    engine_pod["spec"]["nodeSelectors"] = {"a": "b"}
    assert unknown_fields(engine_pod, deserialized(engine_pod)) == ["spec.containers[0].resource", "spec.nodeSelectors"]


def test_empty_fields_are_not_unknown() -> None:
    assert unknown_fields({"a": {}, "b": [], "c": None}, {}) == []
