"""A limit on bytes in memory that threads and processes share, first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Share:
    """Bytes that one image holds, or waits for.

    Attributes:
        amount: How many.
        granted: Whether it holds them.
    """

    amount: int
    granted: bool = False
    _tell: Callable[[], None] = field(default=lambda: None, repr=False)


class MemoryBudget:
    """Grants shares of a budget in the order of the requests.

    A share above the whole budget is granted when nothing else is held: it has the memory to itself then, and
    the caller has to know that it fits. No thread waits while holding memory, if each image asks once.

    Args:
        capacity: Bytes to be had.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._lock = threading.Lock()
        self._held = 0
        self._waiting: deque[Share] = deque()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    def request(self, amount: int, granted: Callable[[], None]) -> Share:
        """Ask for bytes.

        Args:
            amount: How many.
            granted: Called once when they are granted, by this thread or by the one that gave others back.
        """
        share = Share(amount, _tell=granted)
        with self._lock:
            self._waiting.append(share)
        self._serve()
        return share

    def shrink(self, share: Share, amount: int) -> None:
        """Give back all but `amount` of a share."""
        with self._lock:
            if share.granted and amount < share.amount:
                self._held -= share.amount - amount
                share.amount = amount
        self._serve()

    def release(self, share: Share) -> None:
        """Give a share back, or stop waiting for it; safe to call twice."""
        with self._lock:
            if share.granted:
                self._held -= share.amount
                share.amount = 0
            elif share in self._waiting:
                self._waiting.remove(share)
        self._serve()

    def close(self) -> None:
        """Grant all waiting requests: the run is over, and the waiting threads must notice."""
        with self._lock:
            served = list(self._waiting)
            self._waiting.clear()
        for share in served:
            share._tell()

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
            share._tell()
