"""Metrics of a segmentation, excluding undefined pixels."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from data import CLEAR, CLOUD


@dataclass(frozen=True)
class Counts:
    """The confusion matrix in pixels; `a + b` pools two pictures.

    Attributes:
        hits: Cloud predicted as cloud.
        false_alarms: Clear sky predicted as cloud.
        misses: Cloud predicted as clear sky.
        rejections: Clear sky predicted as clear sky.
    """

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    rejections: int = 0

    @classmethod
    def of(cls, predicted: npt.NDArray[np.bool_], label: npt.NDArray[np.uint8]) -> Self:
        """Count one picture.

        Args:
            predicted: True where cloud is predicted, shape (H, W).
            label: `CLEAR`, `CLOUD` or `UNDEFINED`, shape (H, W).
        """
        cloud, clear = label == CLOUD, label == CLEAR
        return cls(
            int((predicted & cloud).sum()),
            int((predicted & clear).sum()),
            int((~predicted & cloud).sum()),
            int((~predicted & clear).sum()),
        )

    def __add__(self, other: "Counts") -> "Counts":
        """Pool two counts."""
        return Counts(
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
            self.misses + other.misses,
            self.rejections + other.rejections,
        )

    @property
    def iou(self) -> float:
        """Intersection over union of cloud, 0–1; NaN if there is none and none is predicted."""
        union = self.hits + self.false_alarms + self.misses
        return self.hits / union if union else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of defined pixels that are correct, 0–1; NaN if none is defined."""
        total = self.hits + self.false_alarms + self.misses + self.rejections
        return (self.hits + self.rejections) / total if total else float("nan")


@dataclass(frozen=True)
class Figures:
    """The metrics of a method on some pictures, each 0–1.

    Attributes:
        pooled_iou: IoU of cloud over all pixels together.
        mean_iou: Mean IoU of cloud over the pictures, excluding those without cloud.
        accuracy: Share of all defined pixels that are correct.
    """

    pooled_iou: float
    mean_iou: float
    accuracy: float

    @classmethod
    def of(cls, counts: list[Counts]) -> Self:
        """Compute the metrics from the counts of one or more pictures."""
        pooled = sum(counts, Counts())
        each = [count.iou for count in counts]
        mean = float(np.nanmean(each)) if not np.all(np.isnan(each)) else float("nan")
        return cls(pooled.iou, mean, pooled.accuracy)
