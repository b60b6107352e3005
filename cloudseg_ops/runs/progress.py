"""How far a run is: what its engines say of their chunks, put together.

One listing gives the marks and the results files of all chunks, of any number of images.
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
"""An engine that has said nothing for so long is taken for dead, or for one that hangs."""


class ChunkPhase(StrEnum):
    """What a chunk is at."""

    WAITING = "waiting"
    """No engine has begun with it."""
    RUNNING = "running"
    """An engine works on it."""
    STALLED = "stalled"
    """An engine worked on it, and has said nothing for a minute."""
    DONE = "done"
    """Its results file accounts for every image."""
    STOPPED = "stopped"
    """An engine has ended before every image was accounted for; a retry goes on."""


@dataclass(frozen=True, slots=True)
class ChunkProgress:
    """How far a chunk is.

    Attributes:
        index: The chunk.
        done: Images accounted for.
        total: Images of the chunk.
        images_per_second: Lately while it runs; over its whole try once that has ended; else 0.
        updated: When its engine last said something; timezone-aware. None: never.
        state: What it is at: one of `waiting`, `running`, `stalled`, `done`, `stopped`.
    """

    index: int
    done: int
    total: int
    images_per_second: float
    updated: datetime | None
    state: ChunkPhase

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; the time as ISO 8601."""
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
    """How far a run is.

    Attributes:
        done: Images accounted for.
        total: Images of its chunks; 0 when nothing is planned (yet), as in a dry run.
        images_per_second: Of the chunks that run, together.
        seconds_left: Until the last chunk ends; None when nobody can tell yet.
        updated: When an engine last said something; timezone-aware. None: never.
        finished: Whether every chunk is done.
        chunks: By index.
    """

    done: int
    total: int
    images_per_second: float
    seconds_left: float | None
    updated: datetime | None
    finished: bool
    chunks: list[ChunkProgress]

    def count(self, state: ChunkPhase) -> int:
        """How many chunks are at that."""
        return sum(chunk.state is state for chunk in self.chunks)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; times as ISO 8601."""
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
    """Read how far a run is, in two requests.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        at_once: Most chunks at once; None: nobody knows, and as many as run now are taken.
        now: The time to judge ages by; timezone-aware. None: this moment.

    Returns:
        What is known; without a plan, 0 of 0 images and no chunk.

    Raises:
        ManifestError: The plan is not of its form.
        StorageError: Cloud Storage failed.
    """
    planned = read_plan(store, layout)
    # Names of both folders lie next to each other, so that one listing gives both.
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
    index: int, objects: int, mark: ObjectInfo | None, results: ObjectInfo | None, *, now: datetime
) -> ChunkProgress:
    """Say how far a chunk is.

    Args:
        index: The chunk.
        objects: Its images as planned.
        mark: What its engine said last.
        results: Its results file.
        now: The time to judge ages by; timezone-aware.
    """
    said = ChunkStatus.from_metadata(mark.metadata) if mark else None
    summary = ChunkSummary.from_metadata(results.metadata) if results else None
    updated = max((info.updated for info in (mark, results) if info), default=None)
    if summary and summary.complete:
        return ChunkProgress(index, objects, objects, _whole_rate(said, summary), updated, ChunkPhase.DONE)
    if mark is None or said is None:
        state = ChunkPhase.STOPPED if summary else ChunkPhase.WAITING
        return ChunkProgress(index, 0, objects, 0.0, updated, state)
    silent = now - mark.updated > STALLED_AFTER
    if said.ended and (silent or said.done < said.total):  # else its results file is on its way
        state = ChunkPhase.STOPPED
    else:
        state = ChunkPhase.STALLED if silent else ChunkPhase.RUNNING
    rate = 0.0 if state is ChunkPhase.STALLED else said.images_per_second
    return ChunkProgress(index, min(said.done, objects), objects, rate, updated, state)


def combine(chunks: Iterable[ChunkProgress], *, at_once: int | None) -> RunProgress:
    """Put chunks together to a run.

    Args:
        chunks: All of the run.
        at_once: Most chunks at once; None: as many as run now.
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
    """Estimate when the last chunk ends: those that run go on, and the others take the places that become free.

    A chunk that runs keeps its own rate; one that does not is given the usual one: the median of the chunks that are
    done, whose start counts, or else of those that run.

    Args:
        chunks: All of the run.
        at_once: Most chunks at once; None: as many as run now.

    Returns:
        Seconds; None when no chunk has a rate yet.
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


def _whole_rate(said: ChunkStatus | None, summary: ChunkSummary) -> float:
    """Of an engine's last try: what it said at its end, or images by time where that did not arrive."""
    if said and said.ended:
        return said.images_per_second
    seconds = summary.finished - summary.started
    return summary.images / seconds if seconds > 0 else 0.0


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
