"""Senses new photographs in the input bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from cloudseg_ops.contracts.objects import IMAGE_TYPES, NOT_SETTLED
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.operator_links import RunFolderLink, show_folder
from cloudseg_ops.operators._base import RunOperator, as_optional_int, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.runs.snapshots import take_snapshot

_LEFT_NAMED = 10


class GCSNewObjectsSensor(RunOperator, BaseSensorOperator):
    """Waits until new objects have settled under a prefix, and writes them down as the run's snapshot.

    New is every object with an image's extension that has not changed for `settle_seconds`. The snapshot is written
    once a run, with each object's generation: what is uploaded later, also under a name in it, is for the next run.
    With `soft_fail`, a run that finds nothing within `timeout` ends as skipped; errors fail it all the same. A run that
    a notification of Pub/Sub started looks once, when all that it was notified of has settled.

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

    @translate_errors
    def execute(self, context: Any) -> Any:
        """Look, and give the task back until the next look."""
        # Decorated here and not at `poke`: Airflow takes a failure there for a skip.
        return super().execute(context)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once; done when there is something new."""
        folder = GcsUri(self.input_bucket, self.prefix)
        now, settle = datetime.now(UTC), timedelta(seconds=self.settle_seconds)
        dag_run = context["dag_run"]
        run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        if wait := time_to_settle(run_type, started=dag_run.start_date, now=now, settle=settle):
            self.log.info("what the run was notified of settles for another %.0f s", wait.total_seconds())
            return PokeReturnValue(is_done=False)
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
                now=now,
                settle=settle,
                image_types=self.image_types,
                max_objects=as_optional_int(self.max_objects),
                on_left=note,
            )
        for reason, count in left.items():
            self.log.info("%d left: %s", count, reason)
        if snapshot is None:
            self.log.info("nothing new and settled under %s", folder)
            if is_event_triggered(run_type) and not left[NOT_SETTLED]:
                _skip("what the run was notified of has been taken in already; the next photograph starts another run")
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


def time_to_settle(run_type: str, *, started: datetime, now: datetime, settle: timedelta) -> timedelta:
    """How long a run that an event started waits until it looks at the bucket; zero: no longer.

    Events that arrive before a run starts are all in that one run. Their objects have settled once the run is as
    old as photographs need to settle: a look before then would leave some to a next run that nothing starts.

    Args:
        run_type: Airflow's type of the run.
        started: When it did.
        now: The time now.
        settle: How long photographs need to settle.
    """
    return max(started + settle - now, timedelta()) if is_event_triggered(run_type) else timedelta()


def is_event_triggered(run_type: str) -> bool:
    """Whether an event started a run of this type, rather than the clock or a person."""
    return run_type == "asset_triggered"


def _skip(why: str) -> NoReturn:
    # The one home of this exception in all Airflow versions that are supported.
    from airflow.providers.common.compat.sdk import AirflowSkipException

    raise AirflowSkipException(why)
