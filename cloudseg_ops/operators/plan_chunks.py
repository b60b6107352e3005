"""Plans the chunks that inference is mapped over."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cloudseg_ops.errors import StorageError
from cloudseg_ops.layout import RunLayout
from cloudseg_ops.operators._base import RunOperator, timed
from cloudseg_ops.operators._links import PlanLink, RunFolderLink, show_folder, show_object
from cloudseg_ops.operators._rendered import as_bool
from cloudseg_ops.planning import estimate
from cloudseg_ops.plans import write_plan
from cloudseg_ops.snapshots import Snapshot
from cloudseg_ops.storage import Store
from cloudseg_ops.uris import GcsUri


class PlanChunksOperator(RunOperator):
    """Cuts the snapshot into chunks of about equal weight; a dry run ends here, with the estimate in the log.

    Args:
        snapshot: What the sensor returned; templated.
        chunk_objects: Images that a chunk should have.
        max_chunks: Most chunks.
        plan_only: Dry run: plan, estimate, and map nothing; templated.
        images_per_second: Rate of one chunk, for the estimate.
        gpu_hour_price: Dollars, likewise; None: time alone is estimated.
        task: Buckets and identity, as `RunOperator` takes them, and Airflow's own arguments.

    Returns by XCom:
        A list of `{index, uri, objects, bytes}`; empty in a dry run.
    """

    template_fields: Sequence[str] = ("snapshot", "plan_only")
    ui_color = "#fef3c7"
    operator_extra_links = (PlanLink(), RunFolderLink())

    def __init__(
        self,
        *,
        snapshot: Any,
        chunk_objects: int = 500,
        max_chunks: int = 200,
        plan_only: bool | str = False,
        images_per_second: float = 10,
        gpu_hour_price: float | None = None,
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.snapshot = snapshot
        self.chunk_objects = chunk_objects
        self.max_chunks = max_chunks
        self.plan_only = plan_only
        self.images_per_second = images_per_second
        self.gpu_hour_price = gpu_hour_price

    def execute(self, context: Any) -> list[dict[str, Any]]:
        """Write the plan."""
        layout = self.layout(context)
        snapshot = Snapshot(
            GcsUri.parse(self.snapshot["snapshot_uri"]), int(self.snapshot["objects"]), int(self.snapshot["bytes"])
        )
        store = self.open_store()
        with timed(context):
            chunks = write_plan(
                store,
                layout,
                snapshot,
                chunk_objects=self.chunk_objects,
                max_chunks=self.max_chunks,
            )
        sizes = [chunk.objects for chunk in chunks]
        self.log.info("%d chunks of %d to %d images: %s", len(chunks), min(sizes), max(sizes), layout.plan)
        expected = estimate(
            snapshot.objects, images_per_second=self.images_per_second, gpu_hour_price=self.gpu_hour_price
        )
        cost = "" if expected.dollars is None else f" and ${expected.dollars:.2f}"
        self.log.info("about %.2f GPU hours%s at %g images/s a chunk", expected.gpu_hours, cost, self.images_per_second)
        self._show_links(context, store, layout)
        if as_bool(self.plan_only):
            self.log.info("dry run: nothing is segmented, nothing is deleted")
            return []
        return [asdict(chunk) for chunk in chunks]

    def _show_links(self, context: Any, store: Store, layout: RunLayout) -> None:
        show_folder(context, RunFolderLink, layout.folder, store.project)
        page = layout.report_folder / "plan.html"
        with contextlib.suppress(StorageError):  # no link, then
            if store.stat(page) is not None:
                show_object(context, PlanLink, page)
