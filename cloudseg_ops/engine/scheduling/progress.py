"""Progress lines: images done, rate, and time left of a chunk."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import Self

from cloudseg_ops.engine.scheduling.result_log import ResultLog

_log = logging.getLogger(__name__)


class ProgressReporter:
    """Logs a line every so often while its `with` block runs, and a summary after it.

    Args:
        result_log: The results to report. Images in it when the block begins, and those that turn out to be done
            already, do not count toward the speed.
        seconds: Time between two lines.
    """

    def __init__(self, result_log: ResultLog, seconds: float) -> None:
        self._result_log = result_log
        self._seconds = seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._report, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._had = self._result_log.worked
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._log("summary")

    def _report(self) -> None:
        while not self._over.wait(self._seconds):
            self._log("progress")

    def _log(self, event: str) -> None:
        elapsed = time.monotonic() - self._began
        done, total = self._result_log.accounted, self._result_log.total
        speed = (self._result_log.worked - self._had) / elapsed if elapsed > 0 else 0.0
        left = (total - done) / speed if speed > 0 else None
        counts = {str(outcome): count for outcome, count in sorted(self._result_log.counts().items())}
        _log.info(
            "%s: %d of %d images, %.1f images/s, %s (%s)",
            event,
            done,
            total,
            speed,
            f"{elapsed:.1f} s taken" if event == "summary" else "time left unknown" if left is None else _clock(left),
            ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none yet",
            extra={
                "event": event,
                "fields": {
                    "done": done,
                    "total": total,
                    "images_per_second": round(speed, 3),
                    "seconds": round(elapsed, 3),
                    "seconds_left": None if left is None else round(left, 1),
                    "outcomes": counts,
                    "failures": self._result_log.failed,
                },
            },
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} left"
