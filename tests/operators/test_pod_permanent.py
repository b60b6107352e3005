"""A pod whose engine says that no retry can help, over real HTTP: also for a task that was deferred."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from cloudseg_ops.contracts.errors import ChunkUnfinishedError
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator
from cloudseg_ops.pods import CONTAINER
from tests.support.pod_samples import ended, seen
from tests.support.segment_pods import CHUNK, MODEL, context, settings

LOG = "2026-11-24 INFO cloudseg\n2026-11-24 ERROR NonFiniteWeightsError: model v1: head.bias is NaN\n"


def resumed(pod_api: SimpleNamespace, code: int) -> tuple[KubernetesSegmentOperator, dict[str, Any]]:
    pod_api.log = LOG
    pod = seen("Failed", ended(code, "Error", LOG))
    pod_api.pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    pod_api.pod["metadata"].setdefault("namespace", "cloudseg")
    for status in pod_api.pod["status"]["containerStatuses"]:
        status |= {"imageID": "engine", "ready": False, "restartCount": 0}
    pod_api.pod["spec"].setdefault("containers", [{"name": CONTAINER}])
    operator = KubernetesSegmentOperator(
        task_id="segment", settings=settings(DEFERRABLE="true"), chunk=CHUNK, model=MODEL
    )
    name = pod_api.pod["metadata"]["name"]
    return operator, {"name": name, "namespace": "cloudseg", "status": "failed", "message": "it failed"}


def test_a_deferred_task_fails_at_once(pod_api: SimpleNamespace) -> None:
    operator, event = resumed(pod_api, 4)
    told = rf"^NonFiniteWeightsError: pod {event['name']}: model v1: head\.bias is NaN$"
    with pytest.raises(AirflowFailException, match=told):
        operator.trigger_reentry(context(), event)
    assert pod_api.deleted == [event["name"]]


def test_the_same_log_of_an_older_engine_is_retried(pod_api: SimpleNamespace) -> None:
    operator, event = resumed(pod_api, 1)
    with pytest.raises(ChunkUnfinishedError, match=r"exit code 1 .*a retry does the rest"):
        operator.trigger_reentry(context(), event)
