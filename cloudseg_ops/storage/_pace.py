"""How fast objects of a bucket may be written or deleted: a rule, and what holds threads to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Cloud Storage takes about 1,000 writes a second to a bucket at first, deletes included, and follows a rate that
# doubles within 20 minutes at the fastest: cloud.google.com/storage/docs/request-rate
WRITES_PER_SECOND = 1000.0
DOUBLING_SECONDS = 20 * 60.0
# Below the first rate there is nothing to ramp; this only keeps a bucket that has just pushed back from the next push.
_RECOVERY_SECONDS = 60.0
_LEAST = 1 / 16
# Calls in flight are pushed back together: they report the same moment.
_ONE_PUSH_SECONDS = 5.0


class Pace:
    """When writes to one bucket may go out. It has no clock: every call is told the time.

    Writes get their turns one after another, at a rate that begins at `first` and doubles with each
    `doubling` seconds of turns given; idle time gives none. A push back halves the rate.

    Args:
        first: Writes a second at the beginning.
        doubling: Seconds within which the rate may double.
    """

    def __init__(self, first: float = WRITES_PER_SECOND, doubling: float = DOUBLING_SECONDS) -> None:
        self.rate = first
        self._first = first
        self._doubling = doubling
        self._free = float("-inf")
        self._pushed = float("-inf")

    def turn(self, writes: int, now: float) -> float:
        """Give the next turn to so many writes at once.

        Args:
            writes: Their number.
            now: The time, in seconds of any clock that never goes back.

        Returns:
            The time at which they may go out, `now` or later.
        """
        begin = max(now, self._free)
        seconds = writes / self.rate
        self._free = begin + seconds
        if self.rate < self._first:
            self.rate = min(self._first, self.rate * 2 ** (seconds / _RECOVERY_SECONDS))
        else:
            self.rate *= 2 ** (seconds / self._doubling)
        return begin

    def push_back(self, now: float) -> None:
        """Cloud Storage has answered 408, 429 or 5xx: go on at half the rate, down to a sixteenth of the first."""
        if now - self._pushed < _ONE_PUSH_SECONDS:
            return
        self._pushed = now
        self.rate = max(self.rate / 2, self._first * _LEAST)


class Pacer:
    """Holds threads to a pace.

    Args:
        pace: The rule.
        clock: Seconds; never goes back.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        pace: Pace | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pace = pace or Pace()
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait(self, writes: int) -> None:
        """Wait until so many writes may go out."""
        with self._lock:
            now = self._clock()
            begin = self._pace.turn(writes, now)
        if begin > now:
            self._sleep(begin - now)

    def push_back(self) -> None:
        """Cloud Storage asks for patience."""
        with self._lock:
            self._pace.push_back(self._clock())
