"""Statistics of the cloud fraction for any number of images, in constant memory."""

from __future__ import annotations

from array import array
from typing import Any

BINS = 20
"""Number of bins of the histogram."""

_STEPS = 10_000


class CloudCover:
    """Mean, median and histogram of cloud fractions that are added one at a time.

    The mean is exact. The median is calculated from values rounded to 0.0001, so that its error is at most half of that
    for any number of images.
    """

    def __init__(self) -> None:
        self.count = 0
        self.bins = [0] * BINS
        self._sum = 0.0
        self._steps = array("Q", bytes(8 * (_STEPS + 1)))

    def add(self, fraction: float) -> None:
        """Add one image's cloud fraction, 0–1."""
        self.count += 1
        self._sum += fraction
        self.bins[min(int(fraction * BINS), BINS - 1)] += 1
        self._steps[round(fraction * _STEPS)] += 1

    @property
    def mean(self) -> float | None:
        """The mean, 0–1; None if there are no images."""
        return self._sum / self.count if self.count else None

    @property
    def median(self) -> float | None:
        """The median, 0–1, to 0.0001; None if there are no images."""
        if not self.count:
            return None
        return (self._ranked((self.count - 1) // 2) + self._ranked(self.count // 2)) / 2

    def _ranked(self, rank: int) -> float:
        passed = 0
        for step, values in enumerate(self._steps):
            passed += values
            if passed > rank:
                return step / _STEPS
        raise IndexError(rank)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "images": self.count,
            "mean": None if self.mean is None else round(self.mean, 6),
            "median": None if self.median is None else round(self.median, 6),
            "median_from": f"values rounded to {1 / _STEPS}",
            "histogram": {"edges": [round(edge / BINS, 2) for edge in range(BINS + 1)], "counts": list(self.bins)},
        }


def checked_fraction(value: object) -> float | None:
    """Return a cloud fraction as a float, or None if it is not a number within 0–1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
