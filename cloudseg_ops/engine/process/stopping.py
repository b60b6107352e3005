"""How the engine is asked to stop, and exits in time.

Light on imports on purpose: it watches while torch is still being imported.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

STOPPED = 143
"""Exit status after a stop: 128 + SIGTERM, as shells and Kubernetes count."""

COMPUTE_SECONDS = 8.0
"""After a request, forward passes are begun for so long, ..."""
FINISH_SECONDS = 14.0
"""... and uploads are waited for so long, which leaves the results file the rest."""
_LAST_SECOND = 19.0
"""Seconds from the request to a forced end. Spot nodes give 25 s at most, and of a Standard cluster 15 s by default
(cloud.google.com/kubernetes-engine/docs/concepts/spot-vms)."""

_log = logging.getLogger(__name__)


class Stop:
    """The request to stop, shared by all threads.

    Until `begin_work` there is nothing to save, and a request ends the process at once.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._working = False
        self._at = 0.0

    @property
    def requested(self) -> bool:
        """Whether to take no new image."""
        return self._event.is_set()

    @property
    def seconds_since(self) -> float:
        """Seconds since the request; 0 when there was none."""
        return time.monotonic() - self._at if self.requested else 0.0

    def begin_work(self) -> None:
        """Declare that there is work to finish and results to write before the process may exit."""
        with self._lock:
            self._working = True

    def request(self) -> bool:
        """Ask for the stop.

        Returns:
            Whether there is work to finish first.
        """
        with self._lock:
            if not self.requested:
                self._at = time.monotonic()
                self._event.set()
            return self._working

    def wait(self, seconds: float) -> bool:
        """Wait for a request for at most this long; return whether there is one."""
        return self._event.wait(seconds)


def watch_sigterm(stop: Stop) -> None:
    """Turn SIGTERM into a request to stop.

    A thread waits for the signal instead of a handler in the main thread: that one may be inside a long call
    of C code, and a handler may not take locks. Blocked, the signal reaches process 1 of a container as well.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def watch() -> None:
        signal.sigwait({signal.SIGTERM})
        _end_in_time(stop, "SIGTERM")

    threading.Thread(target=watch, name="sigterm", daemon=True).start()


def watch_stdin(stop: Stop) -> None:
    """Turn the end of standard input into a request to stop: the process that started this holds its other end."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        _end_in_time(stop, "the end of standard input")

    threading.Thread(target=watch, name="tether", daemon=True).start()


def _end_in_time(stop: Stop, cause: str) -> None:
    if stop.request():
        _log.warning("%s: taking no new image, finishing those in flight", cause)
        time.sleep(_LAST_SECOND)
        _log.error("%s was %.0f s ago: leaving with work in flight, which the next try does again", cause, _LAST_SECOND)
    else:
        _log.warning("%s before the first image: nothing to finish", cause)
    os._exit(STOPPED)
