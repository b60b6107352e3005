"""What the tasks of a run know, and the report cannot find out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.proof import Place


class PlannedChunk(TypedDict):
    """A chunk as `plan_chunks` hands it on."""

    index: int
    uri: str
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the tasks of a run know.

    Attributes:
        run_id: The Airflow run.
        started: When the run began, ISO 8601.
        objects: Input versions of the snapshot.
        bytes: Sum of their sizes.
        model: The run's model; None when `pull_model` did not get that far.
        chunks: The chunks planned.
        places: Input versions by the name of the place where the audit found them.
        lost: `name#generation` of the first few input versions that the audit found in no place.
        after_success: What was done with proven inputs: `delete`, `archive` or `keep`.
        seconds: Duration of the phases `sense`, `pull`, `plan` and `clean`, as far as known. That of `segment` is
            read from the results.
        version: The cloudseg version.
    """

    run_id: str
    started: str
    objects: int
    bytes: int
    model: ModelRef | None
    chunks: Sequence[PlannedChunk]
    places: Mapping[str, int]
    lost: Sequence[str]
    after_success: str
    version: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def lost_count(self) -> int:
        """Input versions that the audit found in no place."""
        return max(self.places.get(Place.LOST, 0), len(self.lost))

    @property
    def uncounted(self) -> int:
        """Input versions that the audit did not count at all."""
        return max(0, self.objects - sum(self.places.values()))
