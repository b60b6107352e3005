"""Groups images of the same size into batches, and holds incomplete batches back for a short time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Size: TypeAlias = tuple[int, int]

PATIENCE_SECONDS = 0.005
"""Longest wait of an incomplete batch: short compared with a forward pass on a device that benefits from batching."""


class BatchQueue(Generic[Item]):
    """A queue of items to compute, grouped by size; safe to share between threads.

    Args:
        limit: Returns the current maximum batch size for a size (height and width in pixels).
        expecting: Returns whether more items may arrive soon; if not, incomplete batches are released immediately.
        patience: Longest wait of an incomplete batch, in seconds.
    """

    def __init__(
        self,
        limit: Callable[[Size], int],
        expecting: Callable[[], bool],
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._limit = limit
        self._expecting = expecting
        self._patience = patience
        self._changed = threading.Condition()
        self._waiting: dict[Size, list[tuple[float, Item]]] = {}
        self._closed = False

    def put(self, item: Item, size: Size) -> None:
        """Add an item, to be batched with others of the same size."""
        with self._changed:
            self._waiting.setdefault(size, []).append((time.monotonic(), item))
            self._changed.notify_all()

    def close(self) -> None:
        """Close the queue and wake all waiting threads; `take` returns empty batches from then on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, seconds: float) -> list[Item]:
        """Take a full batch, or the oldest incomplete one once it has waited long enough.

        Args:
            seconds: Timeout.

        Returns:
            Items of the same size; empty after the timeout.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                size = self._full() or self._expired(now)
                if size is not None:
                    return self._pop(size)
                if now >= deadline:
                    break
                self._changed.wait(min(deadline - now, self._patience) if self._waiting else deadline - now)
            return []

    def peek(self, seconds: float) -> list[Item]:
        """Return the queued items without removing them; if there are none, wait up to `seconds` for the first."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(seconds)
            return [item for entries in self._waiting.values() for _, item in entries]

    def drain(self) -> list[Item]:
        """Remove and return all queued items, of any size."""
        with self._changed:
            items = [item for entries in self._waiting.values() for _, item in entries]
            self._waiting.clear()
            return items

    def _full(self) -> Size | None:
        return next((size for size, items in self._waiting.items() if len(items) >= self._limit(size)), None)

    def _expired(self, now: float) -> Size | None:
        if not self._waiting:
            return None
        size = min(self._waiting, key=lambda size: self._waiting[size][0][0])
        since = self._waiting[size][0][0]
        return size if now - since >= self._patience or not self._expecting() else None

    def _pop(self, size: Size) -> list[Item]:
        limit = max(1, self._limit(size))
        items = self._waiting.pop(size)
        if rest := items[limit:]:
            self._waiting[size] = rest
        return [item for _, item in items[:limit]]
