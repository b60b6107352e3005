"""A pod with other containers next to the engine: the engine's container decides, and the pod is deleted."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from cloudseg_ops.contracts.errors import ChunkUnfinishedError, PodError
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from cloudseg_ops.pods import CONTAINER
from tests.support.pod_samples import container, ended, held, seen
from tests.support.segment_pods import CHUNK, MODEL, context, settings

RUNNING = {"running": {"startedAt": "2026-08-26T03:00:00Z"}}
# As long as a container waits, Kubernetes reports the phase Pending.
NEVER_START = [held("ErrImagePull", "manifest unknown"), held("CreateContainerConfigError", 'secret "s" not found')]


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
    code = engine.get("terminated", {}).get("exitCode")
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


def task_context() -> dict[str, Any]:
    given = context()
    given["ti"].xcom_push = lambda **_: None
    return given


@pytest.mark.timeout(20)
@pytest.mark.parametrize("sidecar", NEVER_START, ids=["image", "secret"])
@pytest.mark.parametrize("engine", [RUNNING, ended(0), ended(2)], ids=["running", "finished", "failed"])
def test_engine_starts_next_to_a_sidecar_that_cannot(
    pod_api: SimpleNamespace, engine: dict[str, Any], sidecar: dict[str, Any]
) -> None:
    operator, _ = deferred(pod_api, "Pending", engine, "log-shipper", sidecar)
    pod = operator.client.read_namespaced_pod("any", "cloudseg")
    asyncio.run(operator.pod_manager.await_pod_start(pod, schedule_timeout=0, startup_timeout=0))


def test_airflow_does_not_see_that_a_sidecar_cannot_start(pod_api: SimpleNamespace) -> None:
    """Otherwise, it would not wait until the engine starts."""
    operator, _ = deferred(pod_api, "Pending", held("ContainerCreating"), "log-shipper", NEVER_START[0])
    status = operator.pod_manager.read_pod(operator.client.read_namespaced_pod("any", "cloudseg")).status
    assert (status.phase, [state.name for state in status.container_statuses]) == ("Pending", [CONTAINER])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("sidecar", NEVER_START, ids=["image", "secret"])
def test_result_counts_if_the_triggerer_waited_for_a_sidecar(pod_api: SimpleNamespace, sidecar: dict[str, Any]) -> None:
    operator, event = deferred(pod_api, "Pending", ended(0, "Completed"), "log-shipper", sidecar)
    operator.trigger_reentry(task_context(), {**event, "status": "timeout"})
    assert (pod_api.deleted, pod_api.grace) == ([event["name"]], ["10"])


def test_engine_that_never_started_still_times_out(pod_api: SimpleNamespace) -> None:
    operator, event = deferred(pod_api, "Pending", held("ContainerCreating"), "log-shipper", NEVER_START[0])
    with pytest.raises(PodError, match="did not start in time: ContainerCreating"):
        operator.trigger_reentry(task_context(), {**event, "status": "timeout"})
    assert (pod_api.deleted, pod_api.grace) == ([event["name"]], ["0"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("phase", "state"), [("Running", RUNNING), ("Pending", NEVER_START[0]), ("Failed", ended(1))])
def test_retry_uses_the_result_of_an_engine_that_has_ended(
    pod_api: SimpleNamespace, phase: str, state: dict[str, Any]
) -> None:
    deferred(pod_api, phase, ended(0, "Completed"), "log-shipper", state)
    operator = KubernetesSegmentOperator(task_id="segment", settings=settings(), chunk=CHUNK, model=MODEL)
    operator.execute(task_context())
    assert pod_api.deleted == [pod_api.pod["metadata"]["name"]]


def test_native_sidecar_does_not_hide_the_result(pod_api: SimpleNamespace) -> None:
    operator, event = deferred(pod_api, "Running", ended(0, "Completed"), "log-shipper", RUNNING)
    status = pod_api.pod["status"]
    status["initContainerStatuses"] = [status["containerStatuses"].pop()]
    operator.trigger_reentry(context(), event)
    assert pod_api.deleted == [event["name"]]
