"""The progress of a run, combined from the statuses that its engines publish.

A single listing returns the statuses and results files of all chunks, whatever the number of images.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.results import ChunkSummary
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.runs.chunk_plan import read_plan
from cloudseg_ops.runs.chunking import last_end
from cloudseg_ops.storage import ObjectInfo, Store

STALLED_AFTER = timedelta(seconds=60)
"""An engine that has not updated its status for this long is considered dead or hanging."""


class ChunkPhase(StrEnum):
    """The phase of a chunk."""

    WAITING = "waiting"
    """No engine has started on it."""
    RUNNING = "running"
    """An engine is working on it."""
    STALLED = "stalled"
    """An engine started on it, but has not updated its status for a minute."""
    DONE = "done"
    """Its results file accounts for every image."""
    STOPPED = "stopped"
    """An engine ended before every image was accounted for; a retry continues."""


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """The progress of a chunk.

    Attributes:
        index: Index of the chunk.
        done: Images accounted for.
        total: Images in the chunk.
        images_per_second: Recent rate while it runs; the rate of the whole try once that has ended; otherwise 0.
        updated: When the engine last updated its status; timezone-aware. None: never.
        state: Phase: `waiting`, `running`, `stalled`, `done` or `stopped`.
    """

    index: int
    done: int
    total: int
    images_per_second: float
    updated: datetime | None
    state: ChunkPhase

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the time in ISO 8601."""
        return {
            "index": self.index,
            "done": self.done,
            "total": self.total,
            "images_per_second": round(self.images_per_second, 3),
            "updated": _iso(self.updated),
            "state": self.state.value,
        }


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of a run.

    Attributes:
        done: Images accounted for.
        total: Images in all chunks; 0 before the run is planned, and in a dry run.
        images_per_second: Total rate of the running chunks.
        seconds_left: Estimated time until the last chunk ends; None: not known yet.
        updated: When an engine last updated its status; timezone-aware. None: never.
        finished: Whether every chunk is done.
        chunks: The chunks, by index.
    """

    done: int
    total: int
    images_per_second: float
    seconds_left: float | None
    updated: datetime | None
    finished: bool
    chunks: list[ChunkProgress]

    def count(self, state: ChunkPhase) -> int:
        """Return the number of chunks in a phase."""
        return sum(chunk.state is state for chunk in self.chunks)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with times in ISO 8601."""
        return {
            "done": self.done,
            "total": self.total,
            "images_per_second": round(self.images_per_second, 3),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "updated": _iso(self.updated),
            "finished": self.finished,
            "chunks": [chunk.to_json() for chunk in self.chunks],
        }


def read_run_progress(
    store: Store, layout: RunLayout, *, at_once: int | None = None, now: datetime | None = None
) -> RunProgress:
    """Read the progress of a run, in two requests.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        at_once: Maximum number of concurrent chunks; None: unknown, assume as many as are running now.
        now: The time from which ages are measured; timezone-aware. None: the current time.

    Returns:
        The progress; without a plan, 0 of 0 images and no chunks.

    Raises:
        ManifestError: The plan is not in the expected format.
        StorageError: Cloud Storage failed.
    """
    planned = read_plan(store, layout)
    # The two folders are adjacent in the order of names, so that one listing returns both.
    first, behind = f"{layout.progress_folder.name}/", f"{layout.results_folder.name}0"
    folder = GcsUri(layout.staging.bucket, f"{layout.folder.name}/")
    found = {info.name: info for info in store.list_objects(folder, start=first, end=behind)} if planned else {}
    moment = datetime.now(UTC) if now is None else now
    chunks = (
        judge_chunk(
            plan.index,
            plan.objects,
            found.get(layout.progress(plan.index).name),
            found.get(layout.results(plan.index).name),
            now=moment,
        )
        for plan in planned
    )
    return combine(chunks, at_once=at_once)


def judge_chunk(
    index: int, objects: int, status_object: ObjectInfo | None, results: ObjectInfo | None, *, now: datetime
) -> ChunkProgress:
    """Return the progress of a chunk.

    Args:
        index: Index of the chunk.
        objects: Number of images planned.
        status_object: The engine's last status; None: there is none.
        results: The results file; None: there is none.
        now: The time from which ages are measured; timezone-aware.
    """
    status = ChunkStatus.from_metadata(status_object.metadata) if status_object else None
    summary = ChunkSummary.from_metadata(results.metadata) if results else None
    updated = max((info.updated for info in (status_object, results) if info), default=None)
    if summary and summary.complete:
        return ChunkProgress(index, objects, objects, _last_try_rate(status, summary), updated, ChunkPhase.DONE)
    if status_object is None or status is None:
        state = ChunkPhase.STOPPED if summary else ChunkPhase.WAITING
        return ChunkProgress(index, 0, objects, 0.0, updated, state)
    silent = now - status_object.updated > STALLED_AFTER
    if status.ended and (silent or status.done < status.total):  # otherwise its results file is about to arrive
        state = ChunkPhase.STOPPED
    else:
        state = ChunkPhase.STALLED if silent else ChunkPhase.RUNNING
    rate = 0.0 if state is ChunkPhase.STALLED else status.images_per_second
    return ChunkProgress(index, min(status.done, objects), objects, rate, updated, state)


def combine(chunks: Iterable[ChunkProgress], *, at_once: int | None) -> RunProgress:
    """Combine the progress of chunks into the progress of the run.

    Args:
        chunks: All chunks of the run.
        at_once: Maximum number of concurrent chunks; None: as many as are running now.
    """
    by_index = sorted(chunks, key=lambda chunk: chunk.index)
    finished = bool(by_index) and all(chunk.state is ChunkPhase.DONE for chunk in by_index)
    return RunProgress(
        done=sum(chunk.done for chunk in by_index),
        total=sum(chunk.total for chunk in by_index),
        images_per_second=sum(c.images_per_second for c in by_index if c.state is ChunkPhase.RUNNING),
        seconds_left=0.0 if finished else seconds_left(by_index, at_once=at_once),
        updated=max((chunk.updated for chunk in by_index if chunk.updated), default=None),
        finished=finished,
        chunks=by_index,
    )


def seconds_left(chunks: Sequence[ChunkProgress], *, at_once: int | None) -> float | None:
    """Estimate the time until the last chunk ends if waiting chunks take the slots that become free.

    A running chunk keeps its rate. The others get the median rate of the chunks that are done, which includes their
    start, or else of those that are running.

    Args:
        chunks: All chunks of the run.
        at_once: Maximum number of concurrent chunks; None: as many as are running now.

    Returns:
        Seconds; None if no chunk has a rate yet.
    """
    usual = _usual_rate(chunks, ChunkPhase.DONE) or _usual_rate(chunks, ChunkPhase.RUNNING)
    if usual is None:
        return None
    running = [chunk for chunk in chunks if chunk.state is ChunkPhase.RUNNING]
    others = [chunk for chunk in chunks if chunk.state not in (ChunkPhase.RUNNING, ChunkPhase.DONE)]
    ends = [(chunk.total - chunk.done) / (chunk.images_per_second or usual) for chunk in running]
    places = max(1, len(running), at_once or 0)
    ends += [0.0] * (places - len(ends))
    return last_end(((chunk.total - chunk.done) / usual for chunk in others), ends)


def _usual_rate(chunks: Iterable[ChunkProgress], state: ChunkPhase) -> float | None:
    rates = [chunk.images_per_second for chunk in chunks if chunk.state is state and chunk.images_per_second > 0]
    return statistics.median(rates) if rates else None


def _last_try_rate(status: ChunkStatus | None, summary: ChunkSummary) -> float:
    """Return the rate of an engine's last try: from its final status, or else images divided by time."""
    if status and status.ended:
        return status.images_per_second
    seconds = summary.finished - summary.started
    return summary.images / seconds if seconds > 0 else 0.0


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
