"""Ends what a benchmark started when the benchmark itself is ended by a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def exiting_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise SystemExit within the block, so that `finally` ends the processes it started.

    By default, they end Python at once, and those processes go on. Blocks may be nested.
    """
    in_main = threading.current_thread() is threading.main_thread()
    unhandled = [number for number in _SIGNALS if in_main and signal.getsignal(number) == signal.SIG_DFL]
    for number in unhandled:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature of handlers
    for further in _SIGNALS:
        # A second signal must not interrupt the cleaning up.
        signal.signal(further, signal.SIG_IGN)
    raise SystemExit(128 + number)
