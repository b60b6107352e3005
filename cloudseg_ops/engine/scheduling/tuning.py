"""Finds the batch size by timing the batches of the chunk itself, without a separate benchmark."""

from __future__ import annotations

import statistics
import threading
from collections import defaultdict

from cloudseg_ops.engine.scheduling.batching import Size

MAX_IMAGES = 256
"""Upper bound of the batch size: larger batches are not faster on any device, and delay each image."""

_SAMPLES = 3
"""Batches timed per batch size; the median discards an outlier."""
_GAIN = 1.04
"""Speed-up that a doubled batch must reach to be worth its memory and latency."""


class BatchTuner:
    """Chooses the number of images per batch; safe to share between threads.

    For images of similar size, the batch size doubles for as long as that reduces the time per pixel, and then stays
    at the best value. When memory runs out, batches are limited to half the pixels that did not fit.

    Args:
        start: Initial batch size, in images.
        max_pixels: Maximum number of pixels in a batch of several images: what fits into memory.
        fixed: Batch size set by the user, in images; `max_pixels` still limits it. None: found by measuring.
    """

    def __init__(self, start: int, max_pixels: int, fixed: int | None = None) -> None:
        self._lock = threading.Lock()
        self._start = start
        self._fixed = fixed
        self._searches: dict[int, _BatchSizeSearch] = {}
        self.max_pixels = max_pixels

    def limit(self, size: Size) -> int:
        """Return the current maximum batch size for images of a size (height, width); at least 1."""
        images = self._fixed or self._search(size).images
        return max(1, min(images, self.max_pixels // (size[0] * size[1])))

    def record(self, size: Size, images: int, seconds: float) -> None:
        """Record the duration of a batch.

        Args:
            size: Height and width of its images, in pixels.
            images: Number of images.
            seconds: Time that the batch took.
        """
        area = size[0] * size[1]
        with self._lock:
            self._search(size).record(size, images, seconds / (area * images), self.max_pixels // area)

    def shrink(self, pixels: int) -> None:
        """Lower the limit after a batch with this number of pixels did not fit into memory."""
        with self._lock:
            self.max_pixels = max(1, min(self.max_pixels, pixels // 2))

    def _search(self, size: Size) -> _BatchSizeSearch:
        # Sizes are grouped by powers of two of the area: each search needs several batches, and sizes vary freely.
        return self._searches.setdefault((size[0] * size[1]).bit_length(), _BatchSizeSearch(self._start))


class _BatchSizeSearch:
    def __init__(self, images: int) -> None:
        self.images = images
        self._settled = False
        self._seen: set[tuple[Size, int]] = set()
        self._costs: dict[int, list[float]] = defaultdict(list)

    def record(self, size: Size, images: int, cost: float, max_images: int) -> None:
        if self._settled or images != self.images:
            return
        if (size, images) not in self._seen:
            # The first batch of a shape includes the time to choose algorithms.
            self._seen.add((size, images))
            return
        self._costs[images].append(cost)
        if len(self._costs[images]) >= _SAMPLES:
            self._judge(max_images)

    def _judge(self, max_images: int) -> None:
        here = statistics.median(self._costs[self.images])
        below = self._costs.get(self.images // 2)
        if below and statistics.median(below) < here * _GAIN:
            self.images //= 2
            self._settled = True
        elif 2 * self.images > min(max_images, MAX_IMAGES):
            self._settled = True
        else:
            self.images *= 2
        if self._settled:
            self._seen.clear()
            self._costs.clear()
