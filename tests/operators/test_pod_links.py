"""The links of the operators that segment in pods."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from kubernetes.client import V1ObjectMeta, V1Pod

from cloudseg_ops.operators.segment_gke import GKESegmentOperator
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from tests.support.segment_pods import CHUNK, MODEL, RUN_ID, settings

pytestmark = pytest.mark.usefixtures("kubeconfig")


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
