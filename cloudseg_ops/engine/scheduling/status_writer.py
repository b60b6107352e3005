"""Writes the status of a running chunk to STAGING, from which the progress of the run is computed."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.storage import Store

_FIRST_SECONDS = 2.0
"""Delay before the first status, so that a shorter chunk writes only the final one."""
_MIN_SECONDS, _MAX_SECONDS = 1.0, 5.0
"""Bounds of the interval: Cloud Storage accepts about one write per second to an object name
(cloud.google.com/storage/quotas)."""
_SETTLE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class StatusWriter:
    """Writes the chunk status every few seconds while its `with` block runs, and once more when it exits.

    Writes happen in a separate thread, so that a slow or unavailable Cloud Storage does not delay the chunk.

    Args:
        store: Cloud Storage.
        uri: The status object; None disables writing.
        result_log: The chunk's result log. Images that are in it when the block is entered do not count toward the
            rate.
        seconds: Seconds between two writes, clamped to 1–5.
    """

    def __init__(self, store: Store, uri: GcsUri | None, result_log: ResultLog, seconds: float) -> None:
        self._store = store
        self._uri = uri
        self._result_log = result_log
        self._seconds = min(max(seconds, _MIN_SECONDS), _MAX_SECONDS)
        self._over = threading.Event()
        self._warned = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._uri is not None:
            meter = RateMeter(time.monotonic(), self._result_log.worked)
            self._thread = threading.Thread(target=self._run, args=(self._uri, meter), name="marks", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def settle(self) -> None:
        """Wait up to one second for the final write; call after the results file is written."""
        if self._thread is not None:
            self._thread.join(_SETTLE_SECONDS)

    def _run(self, uri: GcsUri, meter: RateMeter) -> None:
        pause = _FIRST_SECONDS
        while not self._over.wait(pause):
            self._write(uri, meter, ended=False)
            pause = self._seconds
        self._write(uri, meter, ended=True)

    def _write(self, uri: GcsUri, meter: RateMeter, *, ended: bool) -> None:
        meter.add(time.monotonic(), self._result_log.worked)
        status = ChunkStatus(
            self._result_log.accounted, self._result_log.total, meter.overall if ended else meter.recent, ended=ended
        )
        try:
            self._store.write(uri, b"", content_type="text/plain", metadata=status.to_metadata())
        except Exception as error:  # noqa: BLE001  the status is informational and must not fail the chunk
            # A failed final write is not logged: the last log line must say how the chunk ended.
            if not self._warned and not ended:
                _log.warning("could not write the chunk's status; the chunk continues without it: %s", error)
            self._warned = True


_WINDOW_SECONDS = 30.0
"""Averaging window in seconds: several batches of a slow model, yet short enough to forget the start-up soon."""


class RateMeter:
    """Computes rates from samples of a counter.

    Args:
        now: Time of the first sample, in seconds of a monotonic clock; `add` takes times of the same clock.
        count: Value of the counter at that time, which is excluded from the rates.
    """

    def __init__(self, now: float, count: int) -> None:
        self._seen = deque([(now, count)])
        self._first = self._last = (now, count)

    def add(self, now: float, count: int) -> None:
        """Add a sample of the counter."""
        self._last = (now, count)
        self._seen.append(self._last)
        # Keep one sample from before the window, so that the samples span all of it.
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW_SECONDS:
            self._seen.popleft()

    @property
    def recent(self) -> float:
        """Rate per second over the last 30 seconds or slightly more."""
        return _rate(self._seen[0], self._last)

    @property
    def overall(self) -> float:
        """Rate per second between the first and the last sample."""
        return _rate(self._first, self._last)


def _rate(before: tuple[float, int], after: tuple[float, int]) -> float:
    seconds = after[0] - before[0]
    return (after[1] - before[1]) / seconds if seconds > 0 else 0.0
