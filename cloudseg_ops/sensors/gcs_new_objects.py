"""Senses new photographs in the input bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from cloudseg_ops.objects import IMAGE_TYPES
from cloudseg_ops.operators._base import RunOperator, timed
from cloudseg_ops.operators._links import RunFolderLink, show_folder
from cloudseg_ops.operators._rendered import as_optional_int
from cloudseg_ops.snapshots import take_snapshot
from cloudseg_ops.uris import GcsUri

_LEFT_NAMED = 10


class GCSNewObjectsSensor(RunOperator, BaseSensorOperator):
    """Waits until new objects have settled under a prefix, and writes them down as the run's snapshot.

    New is every object with an image's extension that has not changed for `settle_seconds`. The snapshot is written
    once a run, with each object's generation: what is uploaded later, also under a name in it, is for the next run.
    With `soft_fail`, a run that finds nothing within `timeout` ends as skipped; errors fail it all the same.

    Args:
        prefix: Only names that begin with this; templated.
        image_types: Lower-case extensions of photographs.
        settle_seconds: Age, by `updated`, from which an object counts.
        max_objects: Take at most so many; templated, empty: all.
        task: Buckets and identity, as `RunOperator` takes them, and Airflow's own arguments.

    Returns by XCom:
        `{snapshot_uri, objects, bytes}`.
    """

    template_fields: Sequence[str] = ("prefix", "max_objects")
    ui_color = "#dbeafe"
    operator_extra_links = (RunFolderLink(),)

    def __init__(
        self,
        *,
        prefix: str = "",
        image_types: Sequence[str] = IMAGE_TYPES,
        settle_seconds: float = 60,
        max_objects: int | str | None = None,
        mode: str = "reschedule",
        **task: Any,
    ) -> None:
        super().__init__(mode=mode, **task)
        self.prefix = prefix
        self.image_types = tuple(image_types)
        self.settle_seconds = settle_seconds
        self.max_objects = max_objects

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once; done when there is something new."""
        folder = GcsUri(self.input_bucket, self.prefix)
        left: Counter[str] = Counter()

        def note(name: str, reason: str) -> None:
            left[reason] += 1
            if left[reason] <= _LEFT_NAMED:
                self.log.info("left: %s: %s", name, reason)

        store, layout = self.open_store(), self.layout(context)
        with timed(context):
            snapshot = take_snapshot(
                store,
                layout,
                folder,
                now=datetime.now(UTC),
                settle=timedelta(seconds=self.settle_seconds),
                image_types=self.image_types,
                max_objects=as_optional_int(self.max_objects),
                on_left=note,
            )
        for reason, count in left.items():
            self.log.info("%d left: %s", count, reason)
        if snapshot is None:
            self.log.info("nothing new and settled under %s", folder)
            return PokeReturnValue(is_done=False)
        show_folder(context, RunFolderLink, layout.folder, store.project)
        self.log.info("%d new objects, %d bytes: %s", snapshot.objects, snapshot.total_bytes, snapshot.uri)
        return PokeReturnValue(
            is_done=True,
            xcom_value={
                "snapshot_uri": str(snapshot.uri),
                "objects": snapshot.objects,
                "bytes": snapshot.total_bytes,
            },
        )
