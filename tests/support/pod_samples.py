"""The engine's pod, and statuses that Kubernetes may give it."""

from typing import Any

from cloudseg_ops.pods import CONTAINER, PodSettings, PodWork, pod_manifest

IMAGE = "europe-west1-docker.pkg.dev/clouds/cloudseg/inference@sha256:" + "5e" * 32
SETTINGS = PodSettings(image=IMAGE)
WORK = PodWork(
    run_id="manual__2026-08-26T03:00:00+00:00",
    chunk_index=7,
    model_commit="0123456789abcdef0123456789abcdef01234567",
    arguments=("--chunk", "gs://staging/chunks/00007.jsonl"),
)


def manifest(**settings: Any) -> dict[str, Any]:
    spot = settings.get("spot", False)
    work = PodWork(WORK.run_id, WORK.chunk_index, WORK.model_commit, WORK.arguments, spot=spot)
    return pod_manifest(PodSettings(**{"image": IMAGE, **settings}), work)


def seen(
    phase: str | None = None, state: dict[str, Any] | None = None, *, node: str | None = "node-1", **status: Any
) -> dict[str, Any]:
    """Return a pod as the API server does: the manifest, on a node, with a status.

    Args:
        phase: The pod's phase.
        state: State of the engine's container, such as `{"terminated": {"exitCode": 1}}`; None: it is not reported.
        node: Where it was scheduled to.
        status: Further fields of the status.
    """
    pod = manifest()
    pod["metadata"]["name"] = "cloudseg-00007-x1"
    if node:
        pod["spec"]["nodeName"] = node
    if phase:
        status["phase"] = phase
    if state is not None:
        status["containerStatuses"] = [{"name": CONTAINER, "image": IMAGE, "state": state}]
    return {**pod, "status": status}


def deleted(pod: dict[str, Any]) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2026-08-26T03:10:00Z"}}


def ended(code: int, reason: str = "Error", message: str | None = None) -> dict[str, Any]:
    state = {"exitCode": code, "reason": reason} | ({"message": message} if message else {})
    return {"terminated": state}


def held(reason: str, message: str | None = None) -> dict[str, Any]:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def disrupted(reason: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]}


def unscheduled(reason: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": reason, "message": message}]}


def container(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "image": "watcher:1", "state": state}
