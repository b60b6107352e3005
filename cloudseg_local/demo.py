"""`make demo`: a complete run of cloudseg on a laptop, from photographs in a bucket to the report."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cloudseg_local.airflow_api import AirflowApi
from cloudseg_local.airflow_server import ADMIN, DAG_ID, VIEWER, chunks_at_once
from cloudseg_local.audits import local_layout
from cloudseg_local.cluster_image import DEFAULT_IMAGE
from cloudseg_local.photographs import SCENES, find_images, upload_photographs
from cloudseg_local.pod_runtime import DEFAULT_NAMESPACE, PodRuntime, delete_pods
from cloudseg_local.stack import Stack
from cloudseg_local.state import INPUT_BUCKET, LocalState
from cloudseg_local.summary import summary_table
from cloudseg_local.watch import follow_run, print_line
from cloudseg_ops.contracts.errors import LocalError, ObjectNotFoundError
from cloudseg_ops.links.addresses import emulator_buckets
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.storage import Store


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of the demo.

    Attributes:
        images: Folder of photographs; None uses generated scenes.
        count: Maximum number of photographs; None uses all of a folder, or the default number of scenes.
        revision: Model revision; None uses the pinned one.
        keep_running: Leave Airflow's UI and the emulator running.
        runtime: Where chunks run: `local` or `kubernetes`.
        image: The engine's image, for pods.
        namespace: Kubernetes namespace, for pods.
    """

    images: Path | None = None
    count: int | None = None
    revision: str | None = None
    keep_running: bool = False
    runtime: str = "local"
    image: str = DEFAULT_IMAGE
    namespace: str = DEFAULT_NAMESPACE


def run_demo(state: LocalState, options: DemoOptions) -> int:
    """Run the demo and return its exit code: 0 if the run succeeded, the audit holds and no pod is left.

    Services are stopped and pods deleted at the end, also on Ctrl-C.

    Raises:
        LocalError: The machine or the cluster lacks something that the demo needs.
    """
    if options.images:
        find_images(options.images)  # Fail on a wrong folder before starting anything.
    began = time.monotonic()
    with state.locked():
        pods = _connect(state, options)
        if pods:
            state = replace(state, gcs_host=pods.gcs_host)
        stack = Stack(state, _report, pods.identity if pods else None)
        try:
            attached = stack.running()
            if attached:
                print_line(f"• using the services that are running at {state.ui_url}")
                store, api = stack.store(), stack.api()
                _upload(store, options)
            else:
                stack.end_leftovers()
                delete_pods(state, _report)
                store, api = _start(stack, options, pods)
            code = _run_once(stack, store, api, options, pods)
            print_line(f"• {time.monotonic() - began:.0f} s in total")
            if options.keep_running or attached:
                if not attached:
                    stack.leave_running()
                print_line(_still_up(state))
            return code
        finally:
            if stack.stop():
                delete_pods(state, _report)


def _report(text: str) -> None:
    print_line(f"• {text}")


def _connect(state: LocalState, options: DemoOptions) -> PodRuntime | None:
    if options.runtime == "local":
        return None
    return PodRuntime.connect(state.setup, options.image, options.namespace)


def _start(stack: Stack, options: DemoOptions, pods: PodRuntime | None) -> tuple[Store, AirflowApi]:
    settings: dict[str, object] = {"chunk_objects": _chunk_objects(options)}
    stack.prepare({**settings, **(pods.settings(stack.state) if pods else {})}, pods.environment() if pods else None)
    if pods:
        pods.prepare(stack.state, _report)
    print_line("• starting the GCS emulator and Airflow: API server, scheduler, DAG processor, triggerer")
    store = stack.start_storage()
    return store, stack.start_airflow(lambda: _upload(store, options), pods.slots if pods else None)


def _upload(store: Store, options: DemoOptions) -> None:
    uploaded = upload_photographs(store, options.images, options.count)
    print_line(f"• {uploaded} photographs in gs://{INPUT_BUCKET}, two of them broken on purpose")


def _chunk_objects(options: DemoOptions) -> int:
    # A few chunks are enough to show task mapping; each further chunk would start PyTorch once more.
    found = len(find_images(options.images)) if options.images else SCENES
    uploaded = min(found, options.count or found) if options.images else options.count or SCENES
    return max(32, -(-uploaded // 4))


def _run_once(stack: Stack, store: Store, api: AirflowApi, options: DemoOptions, pods: PodRuntime | None) -> int:
    interrupted = api.unfinished_runs(DAG_ID)
    for run_id in interrupted:
        print_line(f"• run {run_id} of an earlier command was interrupted: marked as failed; this run takes its inputs")
        api.fail_run(DAG_ID, run_id)
    time.sleep(1)  # until the last upload is older than CLOUDSEG_SETTLE_SECONDS
    run_id = api.trigger(DAG_ID, {"model_revision": options.revision} if options.revision else {})
    print_line(f"• run {run_id}")
    state = follow_run(
        api,
        store,
        run_id,
        slots=pods.slots if pods else chunks_at_once(),
        check=stack.supervisor.check,
        on_stall=lambda: stack.supervisor.restart("scheduler", "tasks are queued and none runs"),
    )
    clear = _is_clear(pods, run_id) if pods else True
    audits = [_audit(store, run) for run in (*interrupted, run_id)]
    audit = audits[-1]
    if audit is None:
        print_line(f"• the run ended as {state} without a snapshot; task logs: {stack.state.airflow_home / 'logs'}")
        return 1
    head, report = _fetch_report(stack.state, store, run_id)
    print_line(summary_table(head, audit, report, state))
    if state != "success":
        print_line(
            f"• the run failed: `make up` shows it at {stack.state.ui_url}; logs: {stack.state.airflow_home / 'logs'}"
        )
    holds = all(found.holds for found in audits if found)
    print_line(
        "• audit: every input is accounted for" if holds else f"• AUDIT: INPUTS ARE LOST: {', '.join(audit.lost)}"
    )
    return 0 if holds and clear and state == "success" else 1


def _is_clear(pods: PodRuntime, run_id: str) -> bool:
    try:
        left = pods.pods_left(run_id)
    except LocalError as error:
        print_line(f"• could not check for remaining pods: {error}")
        return False
    print_line(f"• PODS ARE LEFT: {', '.join(left)}" if left else "• 0 pods of the run are left on the cluster")
    return not left


def _audit(store: Store, run_id: str) -> Audit | None:
    try:
        return audit_run(store, local_layout(run_id), INPUT_BUCKET)
    except ObjectNotFoundError:
        return None


def _fetch_report(state: LocalState, store: Store, run_id: str) -> tuple[dict[str, Any] | None, Path | None]:
    source = local_layout(run_id).report_folder
    target = state.reports / run_id.replace(":", "-")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name in ("report.json", "report.html"):
            (target / name).write_bytes(store.read(source / name))
    except ObjectNotFoundError:
        return None, None
    return json.loads((target / "report.json").read_text()), target / "report.html"


def _still_up(state: LocalState) -> str:
    return (
        f"• Airflow is at {state.ui_url} (user {ADMIN}, password {state.secret(f'{ADMIN}-password')}; "
        f"read-only: {VIEWER}, password {state.secret(f'{VIEWER}-password')})\n"
        f"• the GCS emulator is at {state.gcs_url}; `make down` stops both\n"
        f"• photographs, masks and reports: {emulator_buckets(state.gcs_url)}"
    )
