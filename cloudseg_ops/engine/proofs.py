"""What OUTPUT already proves about an input version: read before any work, and whenever a write is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloudseg_ops.objects import InputObject
from cloudseg_ops.provenance import MaskProvenance, Source, mask_name, quarantine_name, quarantine_reason
from cloudseg_ops.results import Outcome, Result
from cloudseg_ops.storage import ObjectInfo, Store
from cloudseg_ops.uris import GcsUri

NEWER = "a newer version of this name was handled already"


@dataclass(frozen=True, slots=True)
class Seen:
    """The objects in OUTPUT that bear an input's names, as they were when last looked at.

    Attributes:
        mask: At the mask's name; None when there is none.
        quarantined: At the quarantine copy's name; likewise.
    """

    mask: ObjectInfo | None = None
    quarantined: ObjectInfo | None = None


class Proofs:
    """Reads proofs.

    Args:
        store: Cloud Storage.
        input_bucket: Bucket of the photographs.
        output_bucket: Bucket of masks and quarantine.
        model_digest: The run's model; a mask by another one proves nothing.
    """

    def __init__(self, store: Store, input_bucket: str, output_bucket: str, model_digest: str) -> None:
        self._store = store
        self._input = input_bucket
        self._output = output_bucket
        self._digest = model_digest

    def look(self, sources: Sequence[InputObject]) -> dict[InputObject, Seen]:
        """Look at the masks and quarantine copies of many inputs, with few requests."""
        masks = self._store.stat_many(self._output, [mask_name(source.name) for source in sources])
        copies = self._store.stat_many(self._output, [quarantine_name(source.name) for source in sources])
        return {
            source: Seen(masks.get(mask_name(source.name)), copies.get(quarantine_name(source.name)))
            for source in sources
        }

    def look_again(self, source: InputObject) -> Seen:
        """Look at those of one input."""
        return Seen(
            self._store.stat(GcsUri(self._output, mask_name(source.name))),
            self._store.stat(GcsUri(self._output, quarantine_name(source.name))),
        )

    def judge(self, source: InputObject, seen: Seen) -> Result | None:
        """Tell what is proven about an input version; None: nothing, so it is to be segmented."""
        return (
            self.judge_mask(source, seen.mask, Outcome.SKIPPED)
            or self.judge_copy(source, seen.quarantined)
            or self._judge_age(source, seen)
        )

    def judge_mask(self, source: InputObject, mask: ObjectInfo | None, outcome: Outcome) -> Result | None:
        """Give `outcome` when a mask is of this very version and by this very model."""
        provenance = MaskProvenance.from_metadata(mask.metadata) if mask else None
        if not mask or not provenance or not self._is_of(provenance.source, source):
            return None
        if provenance.source.generation != source.generation or provenance.model_digest != self._digest:
            return None
        return Result(source, outcome, mask=mask.name, cloud_fraction=provenance.cloud_fraction)

    def judge_copy(self, source: InputObject, copy: ObjectInfo | None) -> Result | None:
        """Give `quarantined` when a copy is of this very version."""
        origin = Source.from_metadata(copy.metadata) if copy else None
        if not copy or not origin or not self._is_of(origin, source) or origin.generation != source.generation:
            return None
        return Result(source, Outcome.QUARANTINED, reason=quarantine_reason(copy.metadata) or "no reason was given")

    def is_newer(self, source: InputObject, present: ObjectInfo | None) -> bool:
        """Tell whether an object in OUTPUT stands for a newer version of the input."""
        origin = Source.from_metadata(present.metadata) if present else None
        return origin is not None and self._is_of(origin, source) and origin.generation > source.generation

    def _judge_age(self, source: InputObject, seen: Seen) -> Result | None:
        if self.is_newer(source, seen.mask) or self.is_newer(source, seen.quarantined):
            return Result(source, Outcome.CHANGED, reason=NEWER)
        return None

    def _is_of(self, origin: Source, source: InputObject) -> bool:
        return origin.bucket == self._input and origin.name == source.name
