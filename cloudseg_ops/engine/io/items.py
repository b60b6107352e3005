"""The images of a chunk, as they are passed between the parts of the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.engine.images.masks import Prediction


@dataclass(frozen=True, slots=True)
class Item:
    """An image to segment.

    Attributes:
        index: Index in the chunk, from 0.
        source: The input version.
        seen: The objects in OUTPUT that belong to the image, as found when the chunk began.
    """

    index: int
    source: InputObject
    seen: Evidence

    def with_crc32c(self, crc32c: str) -> Item:
        """Return the image with the checksum of its download, if there is one and its listing had none."""
        return replace(self, source=replace(self.source, crc32c=crc32c)) if crc32c and not self.source.crc32c else self


@dataclass(frozen=True, slots=True)
class Computed:
    """An image whose mask is ready to be written.

    Attributes:
        item: The image.
        prediction: The network's prediction.
        mask_size: Height and width of the mask.
        began: When the download began, in monotonic seconds.
        range_used: The photograph's, see `DecodedImage`.
    """

    item: Item
    prediction: Prediction
    mask_size: tuple[int, int]
    began: float
    range_used: float | None = None
