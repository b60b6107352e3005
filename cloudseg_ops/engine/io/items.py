"""One image of a chunk, as the parts of the engine hand it on."""

from __future__ import annotations

from dataclasses import dataclass

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.proof import Evidence
from cloudseg_ops.engine.images.masks import Prediction


@dataclass(frozen=True, slots=True)
class Item:
    """An image to be segmented.

    Attributes:
        index: Its number in the chunk, from 0.
        source: The input version.
        seen: What OUTPUT held of it when the engine looked.
    """

    index: int
    source: InputObject
    seen: Evidence


@dataclass(frozen=True, slots=True)
class Computed:
    """An image whose mask is to be written.

    Attributes:
        item: The image.
        prediction: What the network gave.
        mask_size: Height and width of its mask.
        began: When its download began, in monotonic seconds.
    """

    item: Item
    prediction: Prediction
    mask_size: tuple[int, int]
    began: float
