"""Finds the batch size from the measured cost of real batches, without a rehearsal."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict

from cloudseg_ops.engine.scheduling.batching import Size

MOST_IMAGES = 256
"""Beyond this no device gets faster, and each image waits for all others of its batch."""

_SAMPLES = 3
"""Batches by which a number of images is judged: one may have been disturbed."""
_GAIN = 1.04
"""A larger batch must be so much faster to be worth its memory and its wait."""


class BatchTuner:
    """How many images go into a batch; safe to share between threads.

    For images of about one size, batches grow to twice the images for as long as that makes a pixel cheaper, and then
    stay at the best number. Running out of memory ends the growth at half of what was too much.

    Args:
        start: Images of a batch to begin with.
        most_pixels: Most pixels of a batch of more than one image: what memory allows.
        fixed: Images of a batch, if the user sets it; memory still limits it.
    """

    def __init__(self, start: int, most_pixels: int, fixed: int | None = None) -> None:
        self._lock = threading.Lock()
        self._start = start
        self._fixed = fixed
        self._searches: dict[int, _BatchSizeSearch] = {}
        self.most_pixels = most_pixels

    def limit(self, size: Size) -> int:
        """Most images of that size (height, width) in a batch now, at least 1."""
        images = self._fixed or self._search(size).images
        return max(1, min(images, self.most_pixels // (size[0] * size[1])))

    def record(self, size: Size, images: int, seconds: float) -> None:
        """Learn from a batch that was computed.

        Args:
            size: Height and width of its images.
            images: How many.
            seconds: What it took.
        """
        area = size[0] * size[1]
        with self._lock:
            self._search(size).record(size, images, seconds / (area * images), self.most_pixels // area)

    def shrink(self, pixels: int) -> None:
        """Learn that a batch of this many pixels did not fit into memory."""
        with self._lock:
            self.most_pixels = max(1, min(self.most_pixels, pixels // 2))

    def _search(self, size: Size) -> _BatchSizeSearch:
        # By powers of two of the area: photographs come in any size, and a climb must see several batches.
        return self._searches.setdefault((size[0] * size[1]).bit_length(), _BatchSizeSearch(self._start))


class _BatchSizeSearch:
    def __init__(self, images: int) -> None:
        self.images = images
        self._settled = False
        self._seen: set[tuple[Size, int]] = set()
        self._costs: dict[int, list[float]] = defaultdict(list)

    def record(self, size: Size, images: int, cost: float, most: int) -> None:
        if self._settled or images != self.images:
            return
        if (size, images) not in self._seen:
            # The first of its shape pays for choosing algorithms.
            self._seen.add((size, images))
            return
        self._costs[images].append(cost)
        if len(self._costs[images]) >= _SAMPLES:
            self._judge(most)

    def _judge(self, most: int) -> None:
        here = statistics.median(self._costs[self.images])
        below = self._costs.get(self.images // 2)
        if below and statistics.median(below) < here * _GAIN:
            self.images //= 2
            self._settled = True
        elif 2 * self.images > min(most, MOST_IMAGES):
            self._settled = True
        else:
            self.images *= 2
        if self._settled:
            self._seen.clear()
            self._costs.clear()
