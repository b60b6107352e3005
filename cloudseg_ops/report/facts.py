"""Facts about a run that the report gets from the run's tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from cloudseg_ops.contracts.model_ref import ModelRef
from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.runs.cleanup_result import CleanUp
from cloudseg_ops.runs.failed_tasks import FailedTask
from cloudseg_ops.runs.not_taken import NotTaken


class PlannedChunk(TypedDict):
    """A chunk as returned by `plan_chunks`."""

    index: int
    uri: str
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about a run, collected from its tasks.

    Attributes:
        run_id: The Airflow run.
        started: When the run began, ISO 8601.
        objects: Number of input versions in the snapshot.
        bytes: Sum of their sizes.
        model: The run's model; None: `pull_model` did not finish.
        chunks: The planned chunks.
        places: Number of input versions by place, from the audit.
        lost: `name#generation` of the first few lost input versions.
        after_success: What was done with proven inputs: `delete`, `archive` or `keep`.
        version: The cloudseg version.
        seconds: Durations of the phases `sense`, `pull`, `plan` and `clean`, as far as known. The duration of
            `segment` is read from the results.
        proven: Number of input versions that are in INPUT although OUTPUT has a proof for them.
        cleanup: The result of `clean_inputs`; None: it did not get so far.
        failed_tasks: The tasks of the run that failed, in the order in which they run.
        not_taken: What the snapshot left out; None: not known.
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
    proven: int = 0
    cleanup: CleanUp | None = None
    failed_tasks: Sequence[FailedTask] = ()
    not_taken: NotTaken | None = None

    @property
    def lost_count(self) -> int:
        """Number of input versions that the audit could not find."""
        return max(self.places.get(Place.LOST, 0), len(self.lost))

    @property
    def uncounted(self) -> int:
        """Number of input versions that the audit did not count."""
        return max(0, self.objects - sum(self.places.values()))
