"""All that the buckets say of one image: where it is, and what its mask says of its origin."""

from __future__ import annotations

from dataclasses import dataclass

from cloudseg_ops.contracts.proof import Place, mask_provenance, place_of, quarantine_source
from cloudseg_ops.contracts.provenance import MaskProvenance, Source, quarantine_reason
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.gallery.locating import Shown, locate
from cloudseg_ops.storage import ObjectInfo, Store
from cloudseg_ops.storage.evidence import gather_evidence


@dataclass(frozen=True, slots=True)
class Details:
    """What the buckets say of an image.

    Attributes:
        shown: What can be shown of it.
        place: Where its version is, by the rules of the audit.
        mask: The object at its mask's name; None: there is none.
        provenance: What that object says of its origin; None: nothing, or there is no mask.
        fits: Whether it is a mask of exactly this version.
        reason: Why its copy in quarantine says that it is there; None: no copy of this version is.
    """

    shown: Shown
    place: Place
    mask: ObjectInfo | None
    provenance: MaskProvenance | None
    fits: bool
    reason: str | None


def read_details(store: Store, layout: RunLayout, input_bucket: str, chunk: int, result: Result) -> Details:
    """Look at an image in all three buckets.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        chunk: The image's chunk.
        result: What became of it.
    """
    version = result.source
    (evidence,) = gather_evidence(store, [version], input_bucket=input_bucket, output_bucket=layout.output.bucket)
    provenance = mask_provenance(evidence.mask)
    source = Source(input_bucket, version.name, version.generation, version.crc32c)
    copy = evidence.quarantined
    return Details(
        shown=locate(store, layout, input_bucket, chunk, result),
        place=place_of(version, input_bucket, evidence),
        mask=evidence.mask,
        provenance=provenance,
        fits=provenance is not None and provenance.source == source,
        reason=quarantine_reason(copy.metadata) if copy and quarantine_source(copy) == source else None,
    )
