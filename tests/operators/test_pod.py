"""The pod that the operators request from Kubernetes; no cluster is needed."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.errors import PodTemplateError
from cloudseg_ops.operators._label import chunk_label
from cloudseg_ops.operators.segment_gke import GKESegmentOperator
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from cloudseg_ops.pods import PodWork, pod_manifest
from tests.support.segment_pods import CHUNK, IMAGE, MODEL, RUN_ID, context, settings

pytestmark = pytest.mark.usefixtures("kubeconfig")


def built(given: Settings, **where: int) -> dict[str, Any]:
    operator = KubernetesSegmentOperator(task_id="segment", settings=given, chunk=CHUNK, model=MODEL)
    pod: dict[str, Any] = ApiClient().sanitize_for_serialization(operator.build_pod_request_obj(context(**where)))
    return pod


def test_pod_is_the_manifest_with_airflows_labels() -> None:
    given = settings(SPOT="true", POD_ENV="A=b", SERVICE_ACCOUNT="engine", POD_LABELS="team=sky")
    pod = built(given)
    work = PodWork(RUN_ID, 3, "a" * 40, pod["spec"]["containers"][0]["args"], spot=True)
    expected = pod_manifest(given.pods, work)
    assert pod["metadata"]["name"].startswith(expected["metadata"].pop("name"))
    labels = expected["metadata"].pop("labels")
    assert {name: pod["metadata"]["labels"][name] for name in labels} == labels
    assert pod["metadata"]["labels"]["dag_id"] == "cloud_segmentation"
    assert pod["metadata"]["labels"]["map_index"] == "3"
    assert pod["metadata"]["labels"]["run_id"].startswith("manual__2026-01-01")
    assert {key: pod["metadata"][key] for key in expected["metadata"]} == expected["metadata"]
    # Airflow adds only an explicit default to the pod's spec, and removes nothing.
    assert pod["spec"].pop("hostNetwork") is False
    assert without_empty(pod["spec"]) == without_empty(expected["spec"])


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_empty(item) for key, item in value.items() if item not in ({}, [], None)}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def test_engine_gets_its_chunk_and_its_options() -> None:
    arguments = built(settings(ENGINE_OPTIONS="--batch 8"))["spec"]["containers"][0]["args"]
    assert arguments[:2] == ["--chunk", CHUNK["uri"]]
    assert arguments[-2:] == ["--batch", "8"]
    assert f"gs://staging/runs/{RUN_ID}/model.json" in arguments


@pytest.mark.parametrize(
    ("given", "device"),
    [({}, "cuda"), ({"DEVICE": "cpu"}, "cpu"), ({"DEVICE": "auto"}, None), ({"GPUS": "0"}, None)],
    ids=["a pod with a GPU uses it", "the CPU on purpose", "what is visible", "no GPU"],
)
def test_device_option_follows_the_settings(given: dict[str, str], device: str | None) -> None:
    arguments = built(settings(**given))["spec"]["containers"][0]["args"]
    assert (arguments[arguments.index("--device") + 1] if "--device" in arguments else None) == device


@pytest.mark.parametrize(("try_number", "spot"), [(1, True), (4, True), (5, False)])
def test_last_try_avoids_spot_nodes(try_number: int, spot: bool) -> None:
    spec = built(settings(SPOT="true"), try_number=try_number, max_tries=4)["spec"]
    assert ("cloud.google.com/gke-spot" in spec["nodeSelector"]) is spot
    assert ("cloud.google.com/gke-spot" in [toleration["key"] for toleration in spec["tolerations"]]) is spot


def test_last_try_stays_on_spot_nodes_if_configured() -> None:
    spec = built(settings(SPOT="true", LAST_TRY_ON_DEMAND="false"), try_number=5, max_tries=4)["spec"]
    assert spec["nodeSelector"]["cloud.google.com/gke-spot"] == "true"


def test_template_is_merged_into_the_pod(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("spec: {priorityClassName: batch, containers: [{name: engine, env: [{name: A, value: b}]}]}")
    spec = built(settings(POD_TEMPLATE=str(template)))["spec"]
    assert spec["priorityClassName"] == "batch"
    assert spec["containers"][0]["env"] == [{"name": "A", "value": "b"}]
    assert spec["containers"][0]["image"] == IMAGE


def test_unknown_field_of_a_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(PodTemplateError, match=r"no field spec\.priorityClas;"):
        built(settings(POD_TEMPLATE="spec: {priorityClas: batch}\n"))


def test_gke_and_kubernetes_create_the_same_pod() -> None:
    given = settings(RUNTIME="gke", SPOT="true")
    operator = GKESegmentOperator(task_id="segment", settings=given, chunk=CHUNK, model=MODEL)
    assert (
        operator._manifest(context())["spec"]
        == KubernetesSegmentOperator(task_id="segment", settings=given, chunk=CHUNK, model=MODEL)._manifest(context())[
            "spec"
        ]
    )
    assert (operator.cluster_name, operator.location, operator.use_dns_endpoint) == ("gpus", "europe-west4", True)
    assert operator.gcp_conn_id == "google_cloud_default"


@pytest.mark.parametrize(
    "more",
    [{"mode": "sync"}, {"mode": "sync", "container_name": "engine", "timestamp": None, "pod": None}],
    ids=["cncf-kubernetes 10.11.1", "cncf-kubernetes 10.14.0"],
)
def test_progress_lines_of_the_pod_update_the_label(more: dict[str, Any]) -> None:
    operator = KubernetesSegmentOperator(task_id="segment", settings=settings(), chunk=CHUNK, model=MODEL)
    operator._context = context()
    before = operator.label
    for callback in operator.pod_manager._callbacks:
        callback.progress_callback(
            line="2026-08-26T03:00:00Z progress: 1 of 3 images, 10.0 images/s, 0:00:00 left (1 done)",
            client=None,
            **more,
        )
    assert (before, operator.label) == (
        chunk_label(CHUNK, None),
        chunk_label(CHUNK, ChunkStatus(1, 3, 10.0, ended=False)),
    )
    assert before != operator.label
