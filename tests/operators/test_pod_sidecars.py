"""A pod with other containers next to the engine: the engine's container decides, and the pod is deleted."""

from types import SimpleNamespace
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, PodError
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from tests.support.pod_samples import container, ended, seen
from tests.support.segment_pods import CHUNK, MODEL, context, settings

RUNNING = {"running": {"startedAt": "2026-08-26T03:00:00Z"}}


def deferred(
    api: SimpleNamespace, phase: str, engine: dict[str, Any], sidecar: str, state: dict[str, Any]
) -> tuple[KubernetesSegmentOperator, dict[str, Any]]:
    """An operator whose pod has a sidecar, and the event with which the triggerer hands its task back."""
    pod = seen(phase, engine)
    pod["metadata"]["namespace"] = "cloudseg"
    pod["spec"]["containers"].append({"name": sidecar, "image": "sidecar"})
    pod["status"]["containerStatuses"].append(container(sidecar, state))
    for status in pod["status"]["containerStatuses"]:
        status |= {"imageID": "image", "ready": False, "restartCount": 0}
    api.pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    operator = KubernetesSegmentOperator(
        task_id="segment", settings=settings(DEFERRABLE="true"), chunk=CHUNK, model=MODEL
    )
    code = engine["terminated"]["exitCode"]
    event = {"name": pod["metadata"]["name"], "namespace": "cloudseg", "status": "failed" if code else "success"}
    return operator, {**event, "message": "Container state failed"}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("sidecar", ["istio-proxy", "linkerd-proxy", "log-shipper"])
def test_finished_engine_ends_the_task_while_a_sidecar_runs(pod_api: SimpleNamespace, sidecar: str) -> None:
    operator, event = deferred(pod_api, "Running", ended(0, "Completed"), sidecar, RUNNING)
    operator.trigger_reentry(context(), event)
    assert (pod_api.deleted, pod_api.grace) == ([event["name"]], ["10"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("sidecar", ["istio-proxy", "log-shipper"])
@pytest.mark.parametrize(("code", "error"), [(2, PodError), (1, ChunkUnfinishedError)])
def test_failed_engine_fails_the_task_while_a_sidecar_runs(
    pod_api: SimpleNamespace, sidecar: str, code: int, error: type[Exception]
) -> None:
    operator, event = deferred(pod_api, "Running", ended(code, "Error", "no such option"), sidecar, RUNNING)
    with pytest.raises(error, match="no such option"):
        operator.trigger_reentry(context(), event)
    assert pod_api.deleted == [event["name"]]


def test_failed_sidecar_does_not_fail_a_finished_engine(pod_api: SimpleNamespace) -> None:
    operator, event = deferred(pod_api, "Failed", ended(0, "Completed"), "log-shipper", ended(1))
    operator.trigger_reentry(context(), event)
    assert pod_api.deleted == [event["name"]]


def test_deadline_that_a_sidecar_waited_out_does_not_hide_the_result(pod_api: SimpleNamespace) -> None:
    operator, event = deferred(pod_api, "Failed", ended(2, "Error", "no such option"), "log-shipper", ended(137))
    pod_api.pod["status"]["reason"] = "DeadlineExceeded"
    with pytest.raises(PodError, match="rejects its command line: no such option"):
        operator.trigger_reentry(context(), event)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("code", "phase"), [(0, "Running"), (1, "Running"), (0, "Failed")])
def test_worker_stops_waiting_when_the_engine_has_ended(pod_api: SimpleNamespace, code: int, phase: str) -> None:
    operator, _ = deferred(pod_api, phase, ended(code), "log-shipper", RUNNING)
    found = operator.client.read_namespaced_pod("any", "cloudseg")
    assert operator.pod_manager.await_pod_completion(found).metadata.name == found.metadata.name
