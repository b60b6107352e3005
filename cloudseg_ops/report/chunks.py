"""What the results files of a run add up to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cloudseg_ops.contracts.results import ChunkSummary, Outcome
from cloudseg_ops.report.cover import CloudCover
from cloudseg_ops.report.facts import PlannedChunk


class ChunkState(StrEnum):
    """How far a planned chunk got, by its results file."""

    COMPLETE = "complete"
    """The file says that each image is accounted for, and names as many as were planned."""
    PARTIAL = "partial"
    """The engine was stopped, or the file does not name all images."""
    MISSING = "missing"
    """There is no results file."""
    UNREADABLE = "unreadable"
    """Something in the file is not what its contract says."""


@dataclass(slots=True)
class ChunkReading:
    """What a chunk's results file said.

    Attributes:
        plan: The chunk as planned.
        state: How far it got.
        outcomes: Images by outcome, each version once.
        summary: What the file says of the chunk as a whole; None when it says nothing.
        problem: What is wrong with the file, for people.
    """

    plan: PlannedChunk
    state: ChunkState = ChunkState.MISSING
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    summary: ChunkSummary | None = None
    problem: str | None = None

    @property
    def complete(self) -> bool:
        """Whether each image is accounted for."""
        return self.state is ChunkState.COMPLETE

    @property
    def masks(self) -> int:
        """Images that have a mask."""
        return self.outcomes[Outcome.DONE] + self.outcomes[Outcome.SKIPPED]

    @property
    def quarantined(self) -> int:
        """Images in quarantine."""
        return self.outcomes[Outcome.QUARANTINED]

    @property
    def gone(self) -> int:
        """Images that vanished or changed before they could be read."""
        return self.outcomes[Outcome.VANISHED] + self.outcomes[Outcome.CHANGED]

    @property
    def seconds(self) -> float | None:
        """How long the engine worked on it, the last time."""
        return max(0.0, self.summary.finished - self.summary.started) if self.summary else None

    @property
    def start_seconds(self) -> float | None:
        """How long its task waited for the engine to begin, the last time; None when nobody knows."""
        return self.summary.start_seconds if self.summary else None

    def judge(self, named: int) -> None:
        """Settle the state, once the file is read.

        Args:
            named: How many image versions the file names.
        """
        planned = self.plan["objects"]
        if self.problem:
            self.state = ChunkState.UNREADABLE
        elif self.summary is None:
            self.state = ChunkState.UNREADABLE
            self.problem = "its metadata does not say when the engine began and finished"
        elif not self.summary.complete:
            self.state = ChunkState.PARTIAL
            self.problem = f"the engine stopped after {named} of {planned} images"
        elif named < planned:
            self.state = ChunkState.PARTIAL
            self.problem = f"the file names {named} of {planned} images"
        else:
            self.state = ChunkState.COMPLETE

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
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
    """What all results files of a run said.

    Attributes:
        chunks: One entry a planned chunk, by index.
        cover: Cloud fractions of the images that have a mask.
    """

    chunks: list[ChunkReading] = field(default_factory=list)
    cover: CloudCover = field(default_factory=CloudCover)

    @property
    def outcomes(self) -> Counter[Outcome]:
        """Images by outcome."""
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
        """From the first chunk's start to the last one's end; None when no chunk said."""
        summaries = [chunk.summary for chunk in self.chunks if chunk.summary]
        if not summaries:
            return None
        return max(0.0, max(one.finished for one in summaries) - min(one.started for one in summaries))

    @property
    def images_per_second(self) -> float | None:
        """Images segmented in this run by the phase's seconds; None when either is nothing."""
        done = self.outcomes[Outcome.DONE]
        return done / self.seconds if done and self.seconds else None


def outcome_counts(outcomes: Counter[Outcome]) -> dict[str, int]:
    """Counts by outcome, every outcome named, for JSON."""
    return {outcome.value: outcomes[outcome] for outcome in Outcome}
