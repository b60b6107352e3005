"""Limits the rate of writes and deletes in a bucket, following Cloud Storage's guidelines for ramping up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Cloud Storage initially supports about 1,000 writes per second to a bucket, including deletes, and scales with a rate
# that doubles no faster than every 20 minutes: cloud.google.com/storage/docs/request-rate
WRITES_PER_SECOND = 1000.0
DOUBLING_SECONDS = 20 * 60.0
# Time to double a rate below the initial one, so that a bucket that has just pushed back does not do so again.
_RECOVERY_SECONDS = 60.0
_MIN_SHARE = 1 / 16
# Calls in flight are pushed back together, and count as one push back.
_ONE_PUSH_SECONDS = 5.0


class Pace:
    """Computes when writes to a bucket may be sent; it has no clock, so each call takes the time.

    Writes are scheduled one after another, at a rate that begins at `first` and doubles with every `doubling` seconds
    of scheduled writes; idle time does not count. A push back halves the rate.

    Args:
        first: Initial rate, in writes per second.
        doubling: Seconds in which the rate may double.
    """

    def __init__(self, first: float = WRITES_PER_SECOND, doubling: float = DOUBLING_SECONDS) -> None:
        self.rate = first
        self._first = first
        self._doubling = doubling
        self._free = float("-inf")
        self._pushed = float("-inf")

    def turn(self, writes: int, now: float) -> float:
        """Schedule a group of writes.

        Args:
            writes: Number of writes.
            now: Current time, in seconds of a monotonic clock.

        Returns:
            The time at which they may be sent, `now` or later.
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
        """Halve the rate after a response 408, 429 or 5xx, down to a sixteenth of the initial rate."""
        if now - self._pushed < _ONE_PUSH_SECONDS:
            return
        self._pushed = now
        self.rate = max(self.rate / 2, self._first * _MIN_SHARE)


class Pacer:
    """Makes threads wait until their writes may be sent; safe to share between threads.

    Args:
        pace: Computes when writes may be sent.
        clock: Returns the time in seconds of a monotonic clock.
        sleep: Waits for a number of seconds.
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
        """Wait until this number of writes may be sent."""
        with self._lock:
            now = self._clock()
            begin = self._pace.turn(writes, now)
        if begin > now:
            self._sleep(begin - now)

    def push_back(self) -> None:
        """Halve the rate after Cloud Storage has pushed back."""
        with self._lock:
            self._pace.push_back(self._clock())
