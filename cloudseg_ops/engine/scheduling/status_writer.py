"""Writes the chunk status to STAGING while the engine works, for readers of the run's progress."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from cloudseg_ops.contracts.chunk_status import ChunkStatus
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.engine.scheduling.rate import RateMeter
from cloudseg_ops.engine.scheduling.result_log import ResultLog
from cloudseg_ops.storage import Store

_FIRST_SECONDS = 2.0
"""A chunk that is over by then is told by its results file alone, and pays for one mark."""
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 5.0
"""Between two marks: one name takes about one write a second (cloud.google.com/storage/quotas)."""
_SETTLE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class StatusWriter:
    """Writes a status every few seconds while its `with` block runs, and a final one after it.

    It works in a background thread that no one waits for: the chunk continues if Cloud Storage is slow or down.

    Args:
        store: Cloud Storage.
        uri: Where the mark goes; None: nowhere, and there is no thread.
        result_log: The account to read. Images in it when the block begins do not count toward the rate.
        seconds: Time between two marks, within 1 to 5 s.
    """

    def __init__(self, store: Store, uri: GcsUri | None, result_log: ResultLog, seconds: float) -> None:
        self._store = store
        self._uri = uri
        self._result_log = result_log
        self._seconds = min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS)
        self._over = threading.Event()
        self._told = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._uri is not None:
            pace = RateMeter(time.monotonic(), self._result_log.worked)
            self._thread = threading.Thread(target=self._run, args=(self._uri, pace), name="marks", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def settle(self) -> None:
        """Give the final status a moment longer than the results file, with which it is written."""
        if self._thread is not None:
            self._thread.join(_SETTLE_SECONDS)

    def _run(self, uri: GcsUri, pace: RateMeter) -> None:
        pause = _FIRST_SECONDS
        while not self._over.wait(pause):
            self._write(uri, pace, ended=False)
            pause = self._seconds
        self._write(uri, pace, ended=True)

    def _write(self, uri: GcsUri, pace: RateMeter, *, ended: bool) -> None:
        pace.see(time.monotonic(), self._result_log.worked)
        mark = ChunkStatus(
            self._result_log.accounted, self._result_log.total, pace.overall if ended else pace.lately, ended=ended
        )
        try:
            self._store.write(uri, b"", content_type="text/plain", metadata=mark.to_metadata())
        except Exception as error:  # noqa: BLE001  what is for show may not harm the chunk
            # Nothing about the last one: the last line of the log is to say how the chunk ended.
            if not self._told and not ended:
                _log.warning("how far the chunk is could not be written, and it goes on: %s", error)
            self._told = True
