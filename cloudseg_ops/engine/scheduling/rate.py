"""Images per second of a chunk: recent, and overall. The caller passes the time."""

from __future__ import annotations

from collections import deque

_LATELY = 30.0
"""Seconds: several batches of a slow model, and yet soon over what starting took."""


class RateMeter:
    """Rates from a count that is sampled now and then.

    Args:
        now: Seconds on any clock that only goes forward, here and in `see`.
        count: What has been done by then, which counts toward no rate.
    """

    def __init__(self, now: float, count: int) -> None:
        self._seen = deque([(now, count)])
        self._first = self._last = (now, count)

    def see(self, now: float, count: int) -> None:
        """Sample the count."""
        self._last = (now, count)
        self._seen.append(self._last)
        # One look from before the window stays: what lies between two looks belongs to the later one.
        while len(self._seen) > 2 and self._seen[1][0] <= now - _LATELY:
            self._seen.popleft()

    @property
    def lately(self) -> float:
        """Per second, over the last half a minute or a little more."""
        return _rate(self._seen[0], self._last)

    @property
    def overall(self) -> float:
        """Per second, from the beginning to the last look."""
        return _rate(self._first, self._last)


def _rate(before: tuple[float, int], after: tuple[float, int]) -> float:
    seconds = after[0] - before[0]
    return (after[1] - before[1]) / seconds if seconds > 0 else 0.0
