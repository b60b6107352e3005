"""Runs the engine on a chunk in a pod: the base of the runtimes `kubernetes` and `gke`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client.exceptions import ApiException

from cloudseg_ops.config.settings import Settings
from cloudseg_ops.contracts.engine_command import engine_arguments
from cloudseg_ops.contracts.errors import CloudsegError, PodTemplateError
from cloudseg_ops.links.addresses import LoggedContainer, log_address
from cloudseg_ops.links.operator_links import PodLogLink, RunFolderLink, show, show_folder
from cloudseg_ops.operators._base import began
from cloudseg_ops.operators._errors import log_remedy_last, translate_errors
from cloudseg_ops.operators._label import LabelledChunk
from cloudseg_ops.operators._pod_manager import RetryingPodManager
from cloudseg_ops.operators.clusters import translate_kubernetes_errors
from cloudseg_ops.pods import (
    CONTAINER,
    PodWork,
    engine_phase,
    explain_pod,
    final_error,
    load_template,
    overlay,
    pod_manifest,
    unknown_fields,
)
from cloudseg_ops.pods.reattach import classify_pods

_LOG_SECONDS = 30
_POLL_SECONDS = 5.0
_START_POLL_SECONDS = 2
_AFTER_GRACE_SECONDS = 60
# The kubelet may keep a pod's GPU for the whole grace period. A pod that never started has nothing to finish, and where
# the engine has ended, only sidecars do.
_GRACE_SECONDS = {"Pending": 0, "Succeeded": 10, "Failed": 10}


class _LogCallback:
    """Pod manager callback that passes on each line of a pod's log."""

    def __init__(self, on_log_line: Callable[[str], None]) -> None:
        self._on_log_line = on_log_line

    def progress_callback(self, *, line: str, **_: Any) -> None:
        self._on_log_line(line)


class PodSegmentOperator(LabelledChunk, KubernetesPodOperator):
    """Segments one chunk in a pod and logs the engine's lines; a retry resumes a pod that is still running.

    Args:
        settings: `settings.pods` describes the pod; the other fields describe its work.
        chunk: `{index, uri, objects, bytes}`; templated; map over it.
        model: The run's `ModelRef` as a mapping; templated.
        task: Arguments of `BaseOperator`, and of the operator that talks to the cluster.

    Raises:
        ChunkUnfinishedError: The engine left images unaccounted for; a retry resumes where it stopped.
        PodError: The pod could not be started, or did not finish; the message says why.
    """

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "chunk", "model")
    ui_color = "#fee2e2"
    operator_extra_links: tuple[Any, ...] = (PodLogLink(), RunFolderLink())

    def __init__(self, *, settings: Settings, chunk: Any, model: Any, **task: Any) -> None:
        pods = settings.pods
        super().__init__(
            namespace=pods.namespace,
            base_container_name=CONTAINER,
            schedule_timeout_seconds=pods.schedule_timeout_seconds,
            startup_timeout_seconds=pods.startup_timeout_seconds,
            startup_check_interval_seconds=_START_POLL_SECONDS,
            termination_grace_period=pods.pod_grace_seconds,
            termination_message_policy="FallbackToLogsOnError",
            deferrable=pods.deferrable,
            poll_interval=_POLL_SECONDS,
            logging_interval=_LOG_SECONDS,
            # No XCom sidecar: when nodes come and go, it hangs or is lost with its pod.
            do_xcom_push=False,
            get_logs=True,
            container_name_log_prefix_enabled=False,
            log_pod_spec_on_failure=False,
            reattach_on_restart=True,
            on_finish_action="delete_pod",
            **task,
        )
        log_remedy_last(self)
        self.settings = settings
        self.chunk = chunk
        self.model = model

    @translate_errors
    def execute(self, context: Any) -> Any:
        """Start the pod, or resume the one of an earlier try, and wait for its end."""
        self._context = context
        with translate_kubernetes_errors():
            return super().execute(context)

    @translate_errors
    def trigger_reentry(self, context: Any, event: dict[str, Any]) -> Any:
        """Continue when the triggerer has stopped watching the pod."""
        self._context = context
        with translate_kubernetes_errors():
            if self._takes_over(event):
                self.log.warning("the triggerer gave up on the pod; this worker takes over: %s", event["message"])
                return self.execute_sync(context)
            return super().trigger_reentry(context, event)

    def build_pod_request_obj(self, context: Any = None) -> Any:
        """Build the engine's pod, with the platform team's template laid over it and Airflow's labels added."""
        manifest = self._manifest(context)
        pod = PodGenerator.deserialize_model_dict(manifest)
        if dropped := unknown_fields(manifest, self.client.api_client.sanitize_for_serialization(pod)):
            raise PodTemplateError(
                f"a pod has no field {', '.join(dropped)}; correct the spelling or the place in CLOUDSEG_POD_TEMPLATE"
            )
        self.full_pod_spec = pod
        return super().build_pod_request_obj(context)

    def get_or_create_pod(self, pod_request_obj: Any, context: Any) -> Any:
        """Resume the pod of an earlier try, or start a new one once the earlier ones are gone."""
        pod = self._resume_pod(context) or super().get_or_create_pod(pod_request_obj, context)
        self._show_links(context, pod)
        return pod

    def _resume_pod(self, context: Any) -> Any:
        found = {pod.metadata.name: pod for pod in self._pods_of_this_task(context)}
        plan = classify_pods([self._as_json(pod) for pod in found.values()])
        for name in plan.delete:
            self.log.info("deleting pod %s of an earlier try", name)
            self.pod_manager.delete_if_present(found[name])
        self.pod_manager.await_end(
            [found[name] for name in plan.await_end], self.settings.pods.pod_grace_seconds + _AFTER_GRACE_SECONDS
        )
        if plan.reuse is not None:
            pod = found[plan.reuse]
            self.log.info("resuming pod %s of an earlier try: %s", plan.reuse, explain_pod(self._as_json(pod)))
            return pod
        return None

    def find_pod(self, namespace: str, context: Any, *, exclude_checked: bool = True) -> Any:
        """Read this try's own pod; pods of earlier tries are handled before it is created."""
        return None if self.pod is None else self.pod_manager.find_pod(self.pod)

    def cleanup(self, pod: Any, remote_pod: Any, xcom_result: Any = None, context: Any = None) -> None:
        """Delete a pod whose engine has ended and raise its error, if any; leave a running pod to the next try."""
        if self._killed or self.pod is None:
            return
        found = self.pod_manager.find_pod(self.pod)
        seen = None if found is None else self._as_json(found)
        name = self.pod.metadata.name
        phase = engine_phase(seen) if seen else None
        if seen is None and remote_pod is not None and engine_phase(self._as_json(remote_pod)) == "Succeeded":
            return
        if phase == "Running" and not (seen or {})["metadata"].get("deletionTimestamp"):
            self.log.warning("pod %s is still running; the next try resumes it", name)
            return
        error = None if phase == "Succeeded" else self._final_error(seen, name)
        if seen is not None:
            self.log.info("deleting pod %s", name)
            self.pod_manager.delete_if_present(self.pod, grace_seconds=_GRACE_SECONDS.get(str(phase)))
        if error is not None:
            raise error

    @cached_property
    def pod_manager(self) -> RetryingPodManager:
        """Airflow's pod manager, which waits out longer outages and passes on the engine's log lines."""
        return RetryingPodManager(
            kube_client=self.client,
            callbacks=[*self.callbacks, _LogCallback(self._on_log_line)],
            outage_seconds=self.settings.pods.outage_seconds,
        )

    def _on_log_line(self, line: str) -> None:
        self.on_log_line(line, self._context)

    def _manifest(self, context: Any) -> dict[str, Any]:
        pods, ti = self.settings.pods, context["ti"]
        layout = self.settings.layout(str(context["run_id"]))
        # The last try has no retry if its Spot node is taken back.
        leaves_spot = pods.last_try_on_demand and ti.try_number > ti.max_tries
        work = PodWork(
            run_id=layout.run_id,
            chunk_index=int(self.chunk["index"]),
            model_commit=str(self.model["commit"]),
            arguments=engine_arguments(
                layout,
                self.chunk,
                input_bucket=self.settings.input_bucket,
                asked=began(context),
                device=self.settings.engine_device,
                options=self.settings.engine_options,
                previews=self.settings.previews,
            ),
            spot=pods.spot and not leaves_spot,
        )
        manifest = pod_manifest(pods, work)
        return overlay(manifest, load_template(pods.pod_template)) if pods.pod_template else manifest

    def log_project(self) -> str | None:
        """Return the project whose Cloud Logging has the pods' logs; None if it is unknown."""
        return self.settings.pods.gke_project

    def _show_links(self, context: Any, pod: Any) -> None:
        pods, project = self.settings.pods, self.log_project()
        show_folder(context, RunFolderLink, self.settings.layout(str(context["run_id"])).folder, project)
        if project and pods.gke_location and pods.gke_cluster:
            name, namespace = pod.metadata.name, pod.metadata.namespace
            # A new pod has no timestamp yet, and clocks may differ.
            since = (pod.metadata.creation_timestamp or datetime.now(UTC)) - timedelta(minutes=1)
            logged = LoggedContainer(
                project, pods.gke_location, pods.gke_cluster, namespace, name, CONTAINER, since.isoformat()
            )
            show(context, PodLogLink, log_address(logged))

    def _pods_of_this_task(self, context: Any) -> list[Any]:
        selector = self._build_find_pod_label_selector(context, exclude_checked=False)
        found: list[Any] = self.pod_manager.list_pods(self.settings.pods.namespace, selector)
        return found

    def _takes_over(self, event: dict[str, Any]) -> bool:
        name = event["name"]
        try:
            found = self.pod_manager.retry_through_outage(
                lambda: self.client.read_namespaced_pod(name, event["namespace"])
            )
        except ApiException as error:
            if error.status != 404:
                raise
            raise final_error(None, name) from None
        pod = self._as_json(found)
        # The trigger's wait for the start also waits for other containers, which may never start.
        given_up = event["status"] == "error" or (event["status"] == "timeout" and engine_phase(pod) != "Pending")
        return given_up and classify_pods([pod]).reuse is not None

    def _final_error(self, seen: dict[str, Any] | None, name: str) -> CloudsegError:
        return final_error(seen, name, self.pod_manager.read_warnings(self.pod) if seen else ())

    def _as_json(self, pod: Any) -> dict[str, Any]:
        document: dict[str, Any] = self.client.api_client.sanitize_for_serialization(pod)
        return document
