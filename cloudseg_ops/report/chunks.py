"""The totals of a run's results files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cloudseg_ops.contracts.results import ChunkSummary, Outcome
from cloudseg_ops.report.cover import CloudCover
from cloudseg_ops.report.facts import PlannedChunk

_REASONS = 10


class ChunkState(StrEnum):
    """The state of a planned chunk according to its results file."""

    COMPLETE = "complete"
    """The file says that every image is accounted for, and lists as many as were planned."""
    PARTIAL = "partial"
    """The engine was stopped, or the file does not list all images."""
    MISSING = "missing"
    """There is no results file."""
    UNREADABLE = "unreadable"
    """The file is not in the expected format."""


@dataclass(slots=True)
class ChunkReading:
    """The contents of a chunk's results file.

    Attributes:
        plan: The chunk as planned.
        state: State of the chunk.
        outcomes: Number of images by outcome; each version counts once.
        summary: Summary of the chunk from the file's metadata; None: there is none.
        problem: What is wrong with the file, for people; None: nothing.
    """

    plan: PlannedChunk
    state: ChunkState = ChunkState.MISSING
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    summary: ChunkSummary | None = None
    problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every image is accounted for."""
        return self.state is ChunkState.COMPLETE

    @property
    def masks(self) -> int:
        """Number of images that have a mask."""
        return self.outcomes[Outcome.DONE] + self.outcomes[Outcome.SKIPPED]

    @property
    def quarantined(self) -> int:
        """Number of images in quarantine."""
        return self.outcomes[Outcome.QUARANTINED]

    @property
    def gone(self) -> int:
        """Number of images that vanished or changed before they could be read."""
        return self.outcomes[Outcome.VANISHED] + self.outcomes[Outcome.CHANGED]

    @property
    def seconds(self) -> float | None:
        """Duration of the engine's last try; None: unknown."""
        return max(0.0, self.summary.finished - self.summary.started) if self.summary else None

    @property
    def start_seconds(self) -> float | None:
        """Time that the task waited for the engine to start, in the last try; None: unknown."""
        return self.summary.start_seconds if self.summary else None

    def judge(self, named: int) -> None:
        """Set the state once the file has been read.

        Args:
            named: Number of image versions that the file lists.
        """
        planned = self.plan["objects"]
        if self.problem:
            self.state = ChunkState.UNREADABLE
        elif self.summary is None:
            self.state = ChunkState.UNREADABLE
            self.problem = "the file's metadata does not say when the engine started and finished"
        elif not self.summary.complete:
            self.state = ChunkState.PARTIAL
            self.problem = f"the engine stopped after {named} of {planned} images"
        elif named < planned:
            self.state = ChunkState.PARTIAL
            self.problem = f"the file lists {named} of {planned} images"
        else:
            self.state = ChunkState.COMPLETE

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "index": self.plan["index"],
            "uri": self.plan["uri"],
            "objects": self.plan["objects"],
            "bytes": self.plan["bytes"],
            "state": self.state.value,
            "outcomes": outcome_counts(self.outcomes),
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "start_seconds": None if self.start_seconds is None else round(self.start_seconds, 3),
            "problem": self.problem,
        }


@dataclass(slots=True)
class Reading:
    """The contents of all results files of a run.

    Attributes:
        chunks: One entry per planned chunk, by index.
        cover: Cloud fractions of the images that have a mask.
        low_range: Number of photographs of more than eight bits that use less than an eighth of their range.
        unreadable: Number of images that Cloud Storage refused to return, by reason; the first 10 reasons.
    """

    chunks: list[ChunkReading] = field(default_factory=list)
    cover: CloudCover = field(default_factory=CloudCover)
    low_range: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    def count_unreadable(self, reason: str) -> None:
        """Count an image that could not be read; further reasons than the first 10 are counted as one."""
        if reason not in self.unreadable and len(self.unreadable) >= _REASONS:
            reason = "other reasons, which report.json lists for each image"
        self.unreadable[reason] = self.unreadable.get(reason, 0) + 1

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Number of images by outcome."""
        total: Counter[Outcome] = Counter()
        for chunk in self.chunks:
            total.update(chunk.outcomes)
        return total

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Indexes of the planned chunks without a complete results file."""
        return tuple(chunk.plan["index"] for chunk in self.chunks if not chunk.complete)

    @property
    def seconds(self) -> float | None:
        """Time from the first chunk's start to the last chunk's end; None: unknown."""
        summaries = [chunk.summary for chunk in self.chunks if chunk.summary]
        if not summaries:
            return None
        return max(0.0, max(one.finished for one in summaries) - min(one.started for one in summaries))

    @property
    def images_per_second(self) -> float | None:
        """Images segmented in this run divided by the duration of the phase; None: nothing was segmented."""
        done = self.outcomes[Outcome.DONE]
        return done / self.seconds if done and self.seconds else None


def outcome_counts(outcomes: Counter[Outcome]) -> dict[str, int]:
    """Return the number of images by outcome, including zeros, for JSON."""
    return {outcome.value: outcomes[outcome] for outcome in Outcome}
