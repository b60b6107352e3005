"""`python -m cloudseg_ops.engine`: segment the images of one chunk."""

from __future__ import annotations

import logging
import os
import sys

from cloudseg_ops.engine.memory.process_memory import postpone_gc, tune_malloc
from cloudseg_ops.engine.process.stopping import Stop, watch_sigterm


def _leave(code: int) -> None:
    """Exit without joining threads: after a stop, some may still wait for Cloud Storage."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run() -> None:
    tune_malloc()
    postpone_gc()
    # Before the heavy imports, which take seconds: a Spot node may be reclaimed meanwhile.
    stop = Stop()
    watch_sigterm(stop)
    from cloudseg_ops.engine.cli import main

    _leave(main(sys.argv[1:], stop))


if __name__ == "__main__":
    _run()
