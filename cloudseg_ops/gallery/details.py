"""The details of one image from the buckets: where it is now, and the provenance of its mask."""

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
    """The details of an image.

    Attributes:
        shown: The objects that can be shown.
        place: Where the input version is, by the rules of the audit.
        mask: The object with the mask's name; None: there is none.
        provenance: Provenance of that object; None: it has none, or there is no object.
        fits: Whether that object is a mask of exactly this version.
        reason: Reason in the metadata of the quarantine copy; None: there is no copy of this version.
    """

    shown: Shown
    place: Place
    mask: ObjectInfo | None
    provenance: MaskProvenance | None
    fits: bool
    reason: str | None


def read_details(store: Store, layout: RunLayout, input_bucket: str, chunk: int, result: Result) -> Details:
    """Read the details of an image from all three buckets.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        input_bucket: The input bucket.
        chunk: Index of the image's chunk.
        result: The image's result.
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
