"""Waits for new photographs in the input bucket."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from cloudseg_ops.contracts.errors import SettingsError
from cloudseg_ops.contracts.objects import IMAGE_TYPES, NOT_AN_IMAGE, prefix_problem
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.links.operator_links import RunFolderLink, show_folder
from cloudseg_ops.operators._base import RunOperator, as_optional_int, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.runs.not_taken import NotTaken
from cloudseg_ops.runs.run_params import check_conf, likely_prefix
from cloudseg_ops.runs.snapshots import take_snapshot
from cloudseg_ops.storage import Store

_LEFT_NAMED = 10


class GCSNewObjectsSensor(RunOperator, BaseSensorOperator):
    """Waits until new objects under a prefix have settled, and records them as the run's snapshot.

    An object is new if it has an image's extension and has not changed for `settle_seconds`. The snapshot is written
    once per run, with each object's generation: later uploads, even under the same names, are left for the next run.
    With `soft_fail`, a run that finds nothing within `timeout` is skipped, while errors still fail it. A run that a
    Pub/Sub notification started looks once, when the objects that it was notified of have settled.

    Before it looks, it fails the run, without retries, if the run's conf has a key that is not a param of the DAG: a
    misspelled `dry_run` must not run for real.

    Args:
        prefix: Take only objects whose names begin with this; templated.
        image_types: Lower-case extensions of photographs.
        settle_seconds: Seconds since an object's last update (`updated`) before it is taken.
        max_objects: Maximum number of objects; templated; empty: all.
        refuse_unknown_conf: Fail if the run's conf has other keys than params; False: the DAG reads its conf itself.
        task: Arguments of `RunOperator` (buckets, identity) and of `BaseSensorOperator`.

    Returns by XCom:
        `{snapshot_uri, objects, bytes, not_taken}`. `not_taken` counts the objects under the prefix that were left out
        (`NotTaken.to_json`); null if an earlier try wrote the snapshot.

    Raises:
        SettingsError: The run's conf or params are invalid, or the prefix is a mistake.
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
        refuse_unknown_conf: bool = True,
        mode: str = "reschedule",
        **task: Any,
    ) -> None:
        super().__init__(mode=mode, **task)
        self.prefix = prefix
        self.image_types = tuple(image_types)
        self.settle_seconds = settle_seconds
        self.max_objects = max_objects
        self.refuse_unknown_conf = refuse_unknown_conf

    @translate_errors
    def execute(self, context: Any) -> Any:
        """Poke; between pokes, free the worker's slot."""
        # Decorated here and not on `poke`, where Airflow turns a failure into a skip.
        self._check_params(context)
        return super().execute(context)

    def _check_params(self, context: Any) -> None:
        conf = getattr(context["dag_run"], "conf", None)
        if conf and self.refuse_unknown_conf:
            check_conf(conf, context["params"], declared={*context["dag"].params, *self.params})
        if problem := prefix_problem(self.prefix):
            raise SettingsError(f"input_prefix = {self.prefix[:100]!r}: {problem}; correct the DAG param")
        as_optional_int(self.max_objects)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look at the bucket once; done if there are new objects."""
        folder = GcsUri(self.input_bucket, self.prefix)
        now, settle = datetime.now(UTC), timedelta(seconds=self.settle_seconds)
        dag_run = context["dag_run"]
        run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
        if wait := time_to_settle(run_type, started=dag_run.start_date, now=now, settle=settle):
            self.log.info(
                "waiting another %.0f s for the objects that started this run to settle", wait.total_seconds()
            )
            return PokeReturnValue(is_done=False)
        not_taken = NotTaken()

        def note(name: str, reason: str) -> None:
            not_taken.add(name, reason)
            if reason != NOT_AN_IMAGE and not_taken.images <= _LEFT_NAMED:
                self.log.info("not taken: %s: %s", name, reason)

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
        self._log_not_taken(not_taken)
        if snapshot is None:
            self.log.info("no new, settled objects under %s", folder)
            self._check_prefix(store, folder)
            if is_event_triggered(run_type) and not not_taken.not_settled:
                why = (
                    not_taken if not_taken.objects else "an earlier run already took the objects that started this run"
                )
                _skip(f"{why}; the next photograph starts another")
            return PokeReturnValue(is_done=False)
        show_folder(context, RunFolderLink, layout.folder, store.project)
        self.log.info("%d new objects, %d bytes: %s", snapshot.objects, snapshot.total_bytes, snapshot.uri)
        return PokeReturnValue(
            is_done=True,
            xcom_value={
                "snapshot_uri": str(snapshot.uri),
                "objects": snapshot.objects,
                "bytes": snapshot.total_bytes,
                "not_taken": None if snapshot.reused else not_taken.to_json(),
            },
        )

    def _log_not_taken(self, not_taken: NotTaken) -> None:
        if not_taken.objects:
            self.log.info("%s", not_taken)
        if not_taken.types:
            self.log.info("only files of these types are taken (CLOUDSEG_IMAGE_TYPES): %s", ", ".join(self.image_types))

    def _check_prefix(self, store: Store, folder: GcsUri) -> None:
        """Fail if nothing has an unusual prefix, but objects have the prefix that was probably meant."""
        meant = likely_prefix(folder.name, folder.bucket)
        if meant is None or _has_objects(store, folder):
            return
        wanted = f"{meant!r}" if meant else "empty, which takes all objects"
        if _has_objects(store, GcsUri(folder.bucket, meant)):
            raise SettingsError(
                f"no object's name in gs://{folder.bucket} begins with {folder.name!r}. A prefix is the start of "
                f"names, without bucket, leading slash or wildcards: run again with input_prefix {wanted}"
            )
        self.log.warning("no object's name begins with %r; input_prefix should probably be %s", folder.name, wanted)


def _has_objects(store: Store, folder: GcsUri) -> bool:
    return next(iter(store.list_objects(folder)), None) is not None


def time_to_settle(run_type: str, *, started: datetime, now: datetime, settle: timedelta) -> timedelta:
    """Return how much longer an event-triggered run waits before it looks at the bucket; zero for other runs.

    All events that arrive before a run starts belong to that run. Their objects have settled once the run is as old
    as `settle`; an earlier look would leave some of them to a later run that no event starts.

    Args:
        run_type: Airflow's type of the run.
        started: When the run started.
        now: The current time.
        settle: How long an object needs to settle.
    """
    return max(started + settle - now, timedelta()) if is_event_triggered(run_type) else timedelta()


def is_event_triggered(run_type: str) -> bool:
    """Return whether an event started a run of this type, rather than the schedule or a person."""
    return run_type == "asset_triggered"


def _skip(why: str) -> NoReturn:
    # The only import path of this exception in all supported Airflow versions.
    from airflow.providers.common.compat.sdk import AirflowSkipException

    raise AirflowSkipException(why)
