"""The audit: counts where every input version of a snapshot is, to prove that nothing is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Place, Proof, count_places, place_of, proof_of
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
        proven: Number of input versions that are in INPUT although OUTPUT has a proof for them.
    """

    objects: int
    places: dict[str, int]
    lost: tuple[str, ...]
    proven: int = 0

    @property
    def holds(self) -> bool:
        """Whether every input version is in exactly one place."""
        return self.places[Place.LOST] == 0 and sum(self.places.values()) == self.objects


def audit_run(store: Store, layout: RunLayout, input_bucket: str, model_digest: str | None = None) -> Audit:
    """Find the place of every input version of a run's snapshot, a page at a time.

    The audit only reads; it may be called for any run at any time, even while the run is in progress.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        model_digest: Digest of the run's model, whose masks count as proof; None: masks by any model.

    Raises:
        ObjectNotFoundError: The run has no snapshot.
    """
    counts: Counter[Place] = Counter()
    lost: list[str] = []
    proven = 0

    def find(page: list[InputObject]) -> list[tuple[InputObject, Place, bool]]:
        found = gather_evidence(store, page, input_bucket=input_bucket, output_bucket=layout.output.bucket)
        return [
            (
                version,
                place_of(version, input_bucket, evidence),
                proof_of(version, input_bucket, evidence, model_digest) is not Proof.NONE,
            )
            for version, evidence in zip(page, found, strict=True)
        ]

    for places in in_order(find, pages(read_inputs(store, layout.snapshot)), at_once=_PAGES_AT_ONCE):
        for version, place, has_proof in places:
            counts[place] += 1
            proven += place is Place.INPUT and has_proof
            if place is Place.LOST and len(lost) < _NAMED:
                lost.append(f"{version.name}#{version.generation}")
    return Audit(counts.total(), count_places(counts), tuple(lost), proven)
