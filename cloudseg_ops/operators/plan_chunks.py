"""Plans the chunks that `segment` is mapped over, and forecasts the run's time and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from cloudseg_ops import __version__
from cloudseg_ops.contracts.errors import StorageError
from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.contracts.versions import RELEASE
from cloudseg_ops.links.operator_links import PlanLink, RunFolderLink, show_folder, show_object
from cloudseg_ops.operators._base import RunOperator, as_bool, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.report.plan_page import write_plan_pages
from cloudseg_ops.report.plan_text import aligned, plan_rows
from cloudseg_ops.runs.chunk_plan import Chunk, write_plan
from cloudseg_ops.runs.forecast import Rate, choose_rate
from cloudseg_ops.runs.measured_rates import read_measured_runs
from cloudseg_ops.runs.run_plan import RunPlan, count_already_processed
from cloudseg_ops.runs.snapshots import Snapshot
from cloudseg_ops.storage import Store


class PlanChunksOperator(RunOperator):
    """Divides the snapshot into chunks of about equal weight; a dry run ends here, with the plan in the log.

    The plan and its forecast are also written as a page next to the report, and pushed as XCom `plan`. The XCom
    `release` is the release of the code that made the plan.

    Args:
        snapshot: What the sensor returned; templated.
        model: What `DVCPullModelOperator` returned; templated; None if it is unknown.
        chunk_objects: Target images per chunk.
        max_chunks: Maximum number of chunks.
        plan_only: Dry run: plan and forecast, but map no chunk; templated.
        after_success: `delete`, `archive` or `keep`, for the forecast; templated.
        at_once: Slots of the pool, for the forecast; None: unknown.
        images_per_second: Rate of one chunk, if no report has a measured one.
        gpu_hour_price: Price of a GPU hour in US dollars; None: forecast the time only.
        task: Arguments of `RunOperator`: buckets, identity, and those of `BaseOperator`.

    Returns by XCom:
        A list of `{index, uri, objects, bytes}`; empty in a dry run.
    """

    template_fields: Sequence[str] = ("snapshot", "model", "plan_only", "after_success")
    ui_color = "#fef3c7"
    operator_extra_links = (PlanLink(), RunFolderLink())

    def __init__(
        self,
        *,
        snapshot: Any,
        model: Any = None,
        chunk_objects: int = 500,
        max_chunks: int = 200,
        plan_only: bool | str = False,
        after_success: str = "delete",
        at_once: int | None = None,
        images_per_second: float = 10,
        gpu_hour_price: float | None = None,
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.snapshot = snapshot
        self.model = model
        self.chunk_objects = chunk_objects
        self.max_chunks = max_chunks
        self.plan_only = plan_only
        self.after_success = after_success
        self.at_once = at_once
        self.images_per_second = images_per_second
        self.gpu_hour_price = gpu_hour_price

    @translate_errors
    def execute(self, context: Any) -> list[dict[str, Any]]:
        """Write the plan and return its chunks."""
        dry_run = as_bool(self.plan_only)
        store, layout = self.open_store(), self.layout(context)
        snapshot = Snapshot(
            GcsUri.parse(self.snapshot["snapshot_uri"]), int(self.snapshot["objects"]), int(self.snapshot["bytes"])
        )
        with timed(context):
            chunks = write_plan(
                store,
                layout,
                snapshot,
                chunk_objects=self.chunk_objects,
                max_chunks=self.max_chunks,
                dry_run=dry_run,
            )
        show_folder(context, RunFolderLink, layout.folder, store.project)
        # A delivery reads which code this worker runs, since workers receive new files at different times.
        context["ti"].xcom_push(key="release", value=RELEASE)
        try:
            self._publish_plan(context, store, layout, chunks, dry_run=dry_run)
        except StorageError as error:
            if dry_run:  # the forecast is its only result
                raise
            self.log.warning("the run continues without a forecast: %s", error)
        return [] if dry_run else [asdict(chunk) for chunk in chunks]

    def _publish_plan(
        self, context: Any, store: Store, layout: RunLayout, chunks: Sequence[Chunk], *, dry_run: bool
    ) -> None:
        model = ModelRef.from_json(self.model) if self.model else None
        objects = sum(chunk.objects for chunk in chunks)
        plan = RunPlan(
            layout=layout,
            version=__version__,
            written=datetime.now(UTC).isoformat(timespec="seconds"),
            dry_run=dry_run,
            after_success=self.after_success,
            input_bucket=self.input_bucket,
            chunks=chunks,
            # A real run finds out while it segments, and should not wait for the count.
            already_processed=count_already_processed(
                store, layout, objects=objects, input_bucket=self.input_bucket, model_digest=model.digest
            )
            if dry_run and model
            else None,
            at_once=self.at_once,
            rate=self._rate(store, layout, model),
            gpu_hour_price=self.gpu_hour_price,
            model=model,
        )
        write_plan_pages(store, plan)
        show_object(context, PlanLink, layout.plan_html)
        context["ti"].xcom_push(key="plan", value=plan.to_json())
        for line in [f"plan of run {layout.run_id}:", *aligned(plan_rows(plan))]:
            self.log.info(line)
        if dry_run:
            self.log.info("dry run: nothing is segmented, nothing is deleted")

    def _rate(self, store: Store, layout: RunLayout, model: ModelRef | None) -> Rate:
        return choose_rate(
            read_measured_runs(store, layout.output),
            model_digest=model.digest if model else None,
            setting=self.images_per_second,
        )
