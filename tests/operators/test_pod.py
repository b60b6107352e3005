"""The pod that the operators request from Kubernetes; no cluster is needed."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from kubernetes.client import ApiClient, V1ObjectMeta, V1Pod

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.errors import PodTemplateError
from cloudseg_ops.operators._label import chunk_label
from cloudseg_ops.operators.segment_gke import GKESegmentOperator
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from cloudseg_ops.pods import PodWork, pod_manifest

RUN_ID = "manual__2026-01-01T00:00:00+00:00"
CHUNK = {"index": 3, "uri": f"gs://staging/runs/{RUN_ID}/chunks/00003.jsonl", "objects": 2, "bytes": 10}
MODEL = {"commit": "a" * 40, "revision": "v1"}
IMAGE = "registry.example/cloudseg@sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that nobody calls."""
    path = tmp_path / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(document))
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(path)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_DEFAULT", json.dumps(connection))


def settings(**variables: str) -> Settings:
    required = {
        "CLOUDSEG_INPUT_BUCKET": "photos",
        "CLOUDSEG_OUTPUT_BUCKET": "masks",
        "CLOUDSEG_STAGING_BUCKET": "staging",
        "CLOUDSEG_MODEL_REPOSITORY": "https://git.example/models.git",
        "CLOUDSEG_RUNTIME": "kubernetes",
        "CLOUDSEG_IMAGE": IMAGE,
        "CLOUDSEG_GKE_CLUSTER": "gpus",
        "CLOUDSEG_GKE_LOCATION": "europe-west4",
    }
    return Settings.from_environment({**required, **{f"CLOUDSEG_{key}": value for key, value in variables.items()}})


def context(try_number: int = 1, max_tries: int = 4) -> dict[str, Any]:
    ti = SimpleNamespace(
        dag_id="cloud_segmentation",
        task_id="segment",
        run_id=RUN_ID,
        map_index=3,
        try_number=try_number,
        max_tries=max_tries,
    )
    return {"ti": ti, "run_id": RUN_ID, "dag": None}


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


class _Pushed:
    """The part of a task instance that pushes XComs."""

    def __init__(self) -> None:
        self.xcoms: dict[str, str] = {}

    def xcom_push(self, key: str, value: str) -> None:
        self.xcoms[key] = value


def _links(operator: Any, pod: Any) -> dict[str, str]:
    """Return the links that are shown once a pod is created or resumed."""
    pushed = _Pushed()
    operator._show_links({"ti": pushed, "run_id": RUN_ID}, pod)
    names = {link.xcom_key: link.name for link in operator.operator_extra_links}
    return {names[key]: address for key, address in pushed.xcoms.items()}


def _pod(created: datetime | None = None) -> V1Pod:
    return V1Pod(metadata=V1ObjectMeta(name="cloudseg-00003-x1", namespace="cloudseg", creation_timestamp=created))


def _log_query(address: str) -> dict[str, str]:
    words = [line.split('"') for line in unquote(urlsplit(address).path.partition(";query=")[2]).splitlines()]
    return {name: value for name, value, _ in words}


def test_pod_log_link_is_shown_while_the_pod_runs() -> None:
    given = settings(RUNTIME="gke", GKE_PROJECT="sky-1")
    operator = GKESegmentOperator(task_id="segment", settings=given, chunk=CHUNK, model=MODEL)
    links = _links(operator, _pod(datetime(2026, 11, 24, 10, 1, tzinfo=UTC)))
    assert set(links) == {"Pod log", "Run folder"}
    assert _log_query(links["Pod log"]) == {
        "resource.type=": "k8s_container",
        "resource.labels.project_id=": "sky-1",
        "resource.labels.location=": "europe-west4",
        "resource.labels.cluster_name=": "gpus",
        "resource.labels.namespace_name=": "cloudseg",
        "resource.labels.pod_name=": "cloudseg-00003-x1",
        "resource.labels.container_name=": "engine",
        "timestamp>=": "2026-11-24T10:00:00+00:00",
    }
    assert links["Run folder"].startswith("https://console.cloud.google.com/storage/browser/staging/runs/manual__")


def test_log_of_a_new_pod_starts_now() -> None:
    operator = GKESegmentOperator(
        task_id="segment", settings=settings(RUNTIME="gke", GKE_PROJECT="p"), chunk=CHUNK, model=MODEL
    )
    since = datetime.fromisoformat(_log_query(_links(operator, _pod())["Pod log"])["timestamp>="])
    assert timedelta(seconds=59) < datetime.now(UTC) - since < timedelta(seconds=120)


def test_project_of_the_log_defaults_to_that_of_the_worker_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": "sky-2"}}
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
    operator = GKESegmentOperator(task_id="segment", settings=settings(RUNTIME="gke"), chunk=CHUNK, model=MODEL)
    # Google's control plane would have set this.
    operator.cluster_info = ("https://127.0.0.1:1", "")
    assert "project=sky-2" in _links(operator, _pod())["Pod log"]


@pytest.mark.parametrize(
    ("more", "shown"), [({}, False), ({"GKE_PROJECT": "sky-1"}, True), ({"GKE_PROJECT": "p", "GKE_CLUSTER": ""}, False)]
)
def test_log_link_on_other_clusters_needs_gke_settings(more: dict[str, str], shown: bool) -> None:
    operator = KubernetesSegmentOperator(task_id="segment", settings=settings(**more), chunk=CHUNK, model=MODEL)
    assert ("Pod log" in _links(operator, _pod())) is shown


def test_both_operators_have_the_same_links() -> None:
    for operator in (GKESegmentOperator, KubernetesSegmentOperator):
        assert [link.name for link in operator.operator_extra_links] == ["Pod log", "Run folder"]
