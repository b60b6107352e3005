"""Groups images of one size into batches, and lets those that are not full wait a little."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

Item = TypeVar("Item")
Size: TypeAlias = tuple[int, int]

PATIENCE_SECONDS = 0.005
"""A batch that is not full waits this long for others of its size: little compared with the time of a batch on a device
for which batches matter."""


class BatchQueue(Generic[Item]):
    """Items waiting to be computed, by size; safe to share between threads.

    Args:
        limit: Most items of a batch of that size (height and width in pixels) now.
        expecting: Whether more items may come soon: if not, nothing waits.
        patience: Longest wait of a batch that is not full, in seconds.
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
        """Let an item wait for others of its size."""
        with self._changed:
            self._waiting.setdefault(size, []).append((time.monotonic(), item))
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all waiting threads: there is nothing more to take."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, seconds: float) -> list[Item]:
        """Take a full batch, or else the one that has waited longest and long enough.

        Args:
            seconds: Wait at most so long.

        Returns:
            Items of one size; empty when none came in time.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                size = self._full() or self._ripe(now)
                if size is not None:
                    return self._pop(size)
                if now >= deadline:
                    break
                self._changed.wait(min(deadline - now, self._patience) if self._waiting else deadline - now)
            return []

    def peek(self, seconds: float) -> list[Item]:
        """Return the waiting items without taking them; wait for a first item for at most this long."""
        with self._changed:
            if not self._waiting and not self._closed:
                self._changed.wait(seconds)
            return [item for entries in self._waiting.values() for _, item in entries]

    def drain(self) -> list[Item]:
        """Take all that waits, of whatever size."""
        with self._changed:
            items = [item for entries in self._waiting.values() for _, item in entries]
            self._waiting.clear()
            return items

    def _full(self) -> Size | None:
        return next((size for size, items in self._waiting.items() if len(items) >= self._limit(size)), None)

    def _ripe(self, now: float) -> Size | None:
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
