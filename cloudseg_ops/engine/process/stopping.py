"""Handles requests to stop the engine, and ends the process within the grace period.

Imports little on purpose: it must work while torch is still being imported.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

STOPPED = 143
"""Exit status after a stop: 128 + SIGTERM, the convention of shells and Kubernetes."""

COMPUTE_SECONDS = 8.0
"""Time after the request during which new forward passes start."""
FINISH_SECONDS = 14.0
"""Time after the request during which uploads are waited for; the rest is for the results file."""
_EXIT_SECONDS = 19.0
"""Time after the request at which the process is ended. Spot nodes allow at most 25 s, those of a Standard cluster 15 s
by default (cloud.google.com/kubernetes-engine/docs/concepts/spot-vms)."""

_log = logging.getLogger(__name__)


class Stop:
    """The request to stop, shared by all threads.

    Before `begin_work` there is nothing to save, and a request ends the process immediately.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._working = False
        self._at = 0.0

    @property
    def requested(self) -> bool:
        """Whether a stop was requested; no new image is started from then on."""
        return self._event.is_set()

    @property
    def seconds_since(self) -> float:
        """Seconds since the request; 0 if there was none."""
        return time.monotonic() - self._at if self.requested else 0.0

    def begin_work(self) -> None:
        """Declare that there is work to finish and results to write before the process may end."""
        with self._lock:
            self._working = True

    def request(self) -> bool:
        """Request a stop.

        Returns:
            Whether there is work to finish before the process may end.
        """
        with self._lock:
            if not self.requested:
                self._at = time.monotonic()
                self._event.set()
            return self._working

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for a request; return whether there is one."""
        return self._event.wait(seconds)


def watch_sigterm(stop: Stop) -> None:
    """Turn SIGTERM into a request to stop.

    A thread waits for the signal, because a handler would run in the main thread, which may be inside a long C call,
    and could not take locks. A blocked signal is also delivered to process 1 of a container.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def watch() -> None:
        signal.sigwait({signal.SIGTERM})
        _end_in_time(stop, "SIGTERM")

    threading.Thread(target=watch, name="sigterm", daemon=True).start()


def watch_stdin(stop: Stop) -> None:
    """Request a stop when standard input ends, because then the parent process has ended."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        _end_in_time(stop, "the end of standard input")

    threading.Thread(target=watch, name="tether", daemon=True).start()


def _end_in_time(stop: Stop, cause: str) -> None:
    if stop.request():
        _log.warning("%s: taking no new image, finishing those in flight", cause)
        time.sleep(_EXIT_SECONDS)
        _log.error("%s was %.0f s ago: exiting with images in flight; the next try repeats them", cause, _EXIT_SECONDS)
    else:
        _log.warning("%s before the first image: nothing to finish", cause)
    os._exit(STOPPED)
