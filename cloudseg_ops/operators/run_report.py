"""Audits a run, writes its report, and fails the run if inputs are lost or chunks did not finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.config.results_formats import find_results_format
from cloudseg_ops.contracts.errors import InputsLostError, RunIncompleteError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.provenance import quarantine_name
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.addresses import folder_of
from cloudseg_ops.links.operator_links import (
    OutputFolderLink,
    QuarantineLink,
    RunFolderLink,
    RunReportLink,
    show_folder,
    show_object,
)
from cloudseg_ops.operators._base import SECONDS_KEY, RunOperator
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.operators._failed_tasks import failed_upstream
from cloudseg_ops.operators.assets import masks_extra
from cloudseg_ops.operators.clean_inputs import CLEANUP_KEY
from cloudseg_ops.report import Report, RunFacts, write_report
from cloudseg_ops.report.summary import figures_line
from cloudseg_ops.runs.audit import Audit, audit_run
from cloudseg_ops.runs.cleanup_result import CleanUp
from cloudseg_ops.runs.failed_tasks import name_tasks
from cloudseg_ops.runs.not_taken import NotTaken


class RunReportOperator(RunOperator):
    """Counts where every input of the run is, writes report.json and report.html, and checks the run.

    The run fails if an input is lost, a chunk did not finish, or any task upstream of this one failed. Run this task
    whether or not the tasks before it succeeded. A successful run adds an event to each asset in `outlets`, with the
    run's figures in `extra`.

    Args:
        snapshot: What the sensor returned; templated.
        model: What `DVCPullModelOperator` returned; templated; None when it failed.
        chunks: What `PlanChunksOperator` returned; templated; None when it failed.
        after_success: `delete`, `archive` or `keep`; templated.
        prefix: The run's input prefix, and so that of its masks; templated.
        results_formats: Further formats of the results, by their names in `RESULTS_FORMATS`.
        phases: Task id by phase (`sense`, `pull`, `plan`, `clean`), for the times.
        task: Arguments of `RunOperator`: buckets, identity, and those of `BaseOperator`.

    Returns by XCom:
        The head of report.json: counts, model, durations, and the report's addresses.

    Raises:
        InputsLostError: Input versions are in none of the places where they may be.
        RunIncompleteError: Nothing is lost, but the snapshot, the plan or a chunk was not finished, or a task failed.
    """

    template_fields: Sequence[str] = ("snapshot", "model", "chunks", "after_success", "prefix")
    ui_color = "#e0f2fe"
    operator_extra_links = (RunReportLink(), OutputFolderLink(), QuarantineLink(), RunFolderLink())

    def __init__(
        self,
        *,
        snapshot: Any,
        model: Any,
        chunks: Any,
        after_success: str,
        phases: Mapping[str, str],
        prefix: str = "",
        results_formats: Sequence[str] = (),
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.snapshot = snapshot
        self.model = model
        self.chunks = chunks
        self.after_success = after_success
        self.phases = dict(phases)
        self.prefix = prefix
        self.results_formats = tuple(results_formats)
        for name in self.results_formats:  # One that does not exist breaks the DAG's import, not its last task.
            find_results_format(name)

    @translate_errors
    def execute(self, context: Any) -> dict[str, Any]:
        """Audit the run, write its report, and raise an error if the run failed."""
        if not self.snapshot:
            raise RunIncompleteError("this run has no snapshot: see the log of the sensor; no input was touched")
        store = self.open_store()
        layout = self.layout(context)
        model = ModelRef.from_json(self.model) if self.model else None
        failed = failed_upstream(self, context)
        audit = audit_run(store, layout, self.input_bucket, model.digest if model else None)
        report = write_report(
            store,
            layout,
            RunFacts(
                run_id=layout.run_id,
                started=context["dag_run"].start_date.isoformat(),
                objects=audit.objects,
                bytes=int(self.snapshot["bytes"]),
                model=model,
                chunks=self.chunks or [],
                places=audit.places,
                lost=audit.lost,
                after_success=self.after_success,
                version=__version__,
                seconds=self._seconds(context["ti"]),
                proven=audit.proven,
                cleanup=self._cleanup(context["ti"]),
                failed_tasks=failed,
                not_taken=NotTaken.from_json(self.snapshot.get("not_taken")),
            ),
            formats=self.results_formats,
        )
        self.log.info("%s: %s", report.verdict.headline, report.html_uri)
        self.log.info("%s", figures_line(report))
        head = report.to_json()
        # Pushed before the check, so that a failed run has it as well.
        context["ti"].xcom_push(key="report", value=head)
        self._show_links(context, report, audit, store.project)
        check_report(report, planned=bool(self.chunks))
        for asset in self.outlets:
            context["outlet_events"][asset].extra = masks_extra(head, GcsUri(self.output_bucket, self.prefix))
        return head

    def _show_links(self, context: Any, report: Report, audit: Audit, project: str | None) -> None:
        show_object(context, RunReportLink, report.html_uri)
        show_folder(context, RunFolderLink, self.layout(context).folder, project)
        if audit.places[Place.MASKED]:
            show_folder(context, OutputFolderLink, folder_of(self.output_bucket, self.prefix), project)
        if audit.places[Place.QUARANTINED]:
            quarantine = folder_of(self.output_bucket, quarantine_name(self.prefix))
            show_folder(context, QuarantineLink, quarantine, project)

    def _cleanup(self, task_instance: Any) -> CleanUp | None:
        found = task_instance.xcom_pull(task_ids=self.phases["clean"], key=CLEANUP_KEY)
        return CleanUp.from_json(found) if found else None

    def _seconds(self, task_instance: Any) -> dict[str, float]:
        pulled = {
            phase: task_instance.xcom_pull(task_ids=task_id, key=SECONDS_KEY) for phase, task_id in self.phases.items()
        }
        return {phase: float(seconds) for phase, seconds in pulled.items() if seconds is not None}


def check_report(report: Report, *, planned: bool) -> None:
    """Raise an error if a run lost inputs or did not finish.

    Args:
        report: The run's report.
        planned: Whether any chunk was planned.

    Raises:
        InputsLostError: Input versions are in none of the places where they may be.
        RunIncompleteError: Nothing is lost, but the plan or a chunk was not finished, or a task failed.
    """
    if report.lost:
        raise InputsLostError(
            f"{report.lost} input versions are neither in INPUT nor masked nor quarantined, "
            f"starting with: {', '.join(report.head['lost']['first'])}. Unless they were deleted on purpose during the "
            "run, restore them from the input bucket's soft delete. To list them all, run "
            f"`cloudseg audit --run {report.head['run_id']}`"
        )
    if not planned:
        raise RunIncompleteError(
            "no chunk was planned: see the first failed task; every input is still in place for the next run"
        )
    if report.unfinished_chunks:
        raise RunIncompleteError(
            f"{len(report.unfinished_chunks)} chunks did not finish: {list(report.unfinished_chunks[:20])}; the logs "
            "of these `segment` tasks say why. Their inputs without a proof are left for the next run. "
            f"Report: {report.html_uri}"
        )
    if report.failed_tasks:
        first = report.failed_tasks[0]
        raise RunIncompleteError(
            f"{name_tasks(report.failed_tasks)} failed, although no input is lost and every chunk is finished. "
            f"{first.name}: {first.message or 'its log says why'}. Clear it, with downstream, once the cause is fixed. "
            f"Report: {report.html_uri}"
        )
