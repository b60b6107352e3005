"""A limit on bytes in memory that threads and processes share, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Share:
    """Bytes that an image holds or waits for.

    Attributes:
        amount: Number of bytes.
        granted: Whether the image holds them.
    """

    amount: int
    granted: bool = False
    _on_granted: Callable[[], None] = field(default=lambda: None, repr=False)


class MemoryBudget:
    """Grants shares of a budget in the order of the requests.

    A request above the capacity is granted once no other share is held; the caller must make sure that it fits into
    memory. There is no deadlock as long as each image holds at most one share.

    Args:
        capacity: Size of the budget in bytes.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._held = 0
        self._waiting: deque[Share] = deque()

    @property
    def held(self) -> int:
        """Bytes held at present."""
        return self._held

    def request(self, amount: int, granted: Callable[[], None]) -> Share:
        """Request bytes without blocking.

        Args:
            amount: Number of bytes.
            granted: Called once when they are granted, in this thread or in the one that releases another share.

        Returns:
            The share, to be passed to `release`.
        """
        share = Share(amount, _on_granted=granted)
        with self._lock:
            self._waiting.append(share)
        self._serve()
        return share

    def shrink(self, share: Share, amount: int) -> None:
        """Release all but `amount` bytes of a share."""
        with self._lock:
            if share.granted and amount < share.amount:
                self._held -= share.amount - amount
                share.amount = amount
        self._serve()

    def release(self, share: Share) -> None:
        """Release a share, or cancel its request; releasing it again has no effect."""
        with self._lock:
            if share.granted:
                self._held -= share.amount
                share.amount = 0
            elif share in self._waiting:
                self._waiting.remove(share)
        self._serve()

    def close(self) -> None:
        """Notify all waiting requests, so that their threads see that the run has ended."""
        with self._lock:
            served = list(self._waiting)
            self._waiting.clear()
        for share in served:
            share._on_granted()

    def _serve(self) -> None:
        served: list[Share] = []
        with self._lock:
            while self._waiting:
                first = self._waiting[0]
                if self._held and self._held + first.amount > self.capacity:
                    break
                self._waiting.popleft()
                self._held += first.amount
                first.granted = True
                served.append(first)
        for share in served:
            share._on_granted()
