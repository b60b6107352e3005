"""The phases of the benchmark of a million objects, as functions of a store."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.audit import audit_run
from cloudseg_ops.runs.chunk_plan import write_plan
from cloudseg_ops.runs.cleanup import clean_inputs, decide
from cloudseg_ops.runs.cleanup_result import Cleaned
from cloudseg_ops.runs.snapshots import Snapshot, count_snapshot, pages, read_inputs, take_snapshot
from cloudseg_ops.storage import BATCH_SIZE, Pace, Store
from cloudseg_ops.storage.evidence import gather_evidence
from tests.support.samples import DIGEST
from tests.support.seeding import INPUT, OUTPUT, STAGING

PACED_RUN = "paced"


def _layout(run_id: str = "million") -> RunLayout:
    return RunLayout(GcsUri(STAGING), GcsUri(OUTPUT), run_id)


def _nothing(_: Store) -> None:
    return None


def _sense(store: Store, _: None, run_id: str = "million") -> str:
    snapshot = take_snapshot(
        store,
        _layout(run_id),
        GcsUri(INPUT, f"{run_id}/"),
        now=datetime.now(UTC) + timedelta(hours=1),
        settle=timedelta(minutes=1),
        image_types=("jpg",),
    )
    return f"{snapshot.objects} new" if snapshot else "nothing new"


def _snapshot_of_run(store: Store) -> Snapshot:
    """The snapshot that the DAG passes by XCom."""
    return count_snapshot(store, _layout())


def _plan(store: Store, snapshot: Snapshot) -> str:
    return f"{len(write_plan(store, _layout(), snapshot, chunk_objects=500, max_chunks=200))} chunks"


def _prove(store: Store, _: None) -> str:
    proven = 0
    for page in pages(read_inputs(store, _layout().snapshot)):
        found = gather_evidence(store, page, input_bucket=INPUT, output_bucket=OUTPUT)
        for version, evidence in zip(page, found, strict=True):
            fate = decide(version, INPUT, evidence, model_digest=DIGEST, after_success="delete")
            proven += fate is Cleaned.DELETED
    return f"{proven} proven"


def _delete(store: Store, _: None, run_id: str = "million") -> str:
    counts = clean_inputs(
        store,
        read_inputs(store, _layout(run_id).snapshot),
        input_bucket=INPUT,
        output_bucket=OUTPUT,
        model_digest=DIGEST,
        after_success="delete",
    ).counts
    return ", ".join(f"{number} {fate}" for fate, number in counts.items() if number)


def _sense_few(store: Store) -> None:
    _sense(store, None, PACED_RUN)


def _paced(_: Store, __: None) -> str:
    summary = _delete(Store.open(), None, PACED_RUN)
    return f"{summary}; by the pacing rule, the last batch begins after {paced_seconds(int(summary.split()[0])):.1f} s"


def paced_seconds(objects: int) -> float:
    """Return the seconds after which the last batch of this many deletions may be sent."""
    pace, begin = Pace(), 0.0
    for _ in range(0, objects, BATCH_SIZE):
        begin = pace.turn(BATCH_SIZE, begin)
    return begin


def _audit(store: Store, _: None) -> str:
    audit = audit_run(store, _layout(), INPUT)
    places = ", ".join(f"{number} {place}" for place, number in audit.places.items() if number)
    return f"{places}; conservation {'holds' if audit.holds else 'is BROKEN'}"


# By name: the function that prepares a phase, and the phase.
PHASES: dict[str, tuple[Callable[[Store], Any], Callable[[Store, Any], str]]] = {
    "sense": (_nothing, _sense),
    "plan": (_snapshot_of_run, _plan),
    "prove": (_nothing, _prove),
    "delete": (_nothing, _delete),
    "audit": (_nothing, _audit),
    PACED_RUN: (_sense_few, _paced),
}
