"""The audit: counts where every input version of a snapshot is, to prove that nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Place, count_places, place_of
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.runs.snapshots import pages, read_inputs
from cloudseg_ops.storage import Store
from cloudseg_ops.storage.concurrency import in_order
from cloudseg_ops.storage.evidence import gather_evidence

_NAMED = 20
_PAGES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Audit:
    """The result of an audit.

    Attributes:
        objects: Number of input versions in the snapshot.
        places: Number of input versions by place.
        lost: `name#generation` of the first 20 lost input versions.
    """

    objects: int
    places: dict[str, int]
    lost: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every input version is in exactly one place."""
        return self.places[Place.LOST] == 0 and sum(self.places.values()) == self.objects


def audit_run(store: Store, layout: RunLayout, input_bucket: str) -> Audit:
    """Find the place of every input version of a run's snapshot, a page at a time.

    The audit only reads; it may be called for any run at any time, even while the run is in progress.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.

    Raises:
        ObjectNotFoundError: The run has no snapshot.
    """
    counts: Counter[Place] = Counter()
    lost: list[str] = []

    def find(page: list[InputObject]) -> list[tuple[InputObject, Place]]:
        found = gather_evidence(store, page, input_bucket=input_bucket, output_bucket=layout.output.bucket)
        return [
            (version, place_of(version, input_bucket, evidence)) for version, evidence in zip(page, found, strict=True)
        ]

    for places in in_order(find, pages(read_inputs(store, layout.snapshot)), at_once=_PAGES_AT_ONCE):
        for version, place in places:
            counts[place] += 1
            if place is Place.LOST and len(lost) < _NAMED:
                lost.append(f"{version.name}#{version.generation}")
    return Audit(counts.total(), count_places(counts), tuple(lost))
