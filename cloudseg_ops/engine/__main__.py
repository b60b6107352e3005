"""`python -m cloudseg_ops.engine`: segment the images of one chunk."""

from __future__ import annotations

import logging
import os
import sys

from cloudseg_ops.engine.memory.process_memory import postpone_gc, tune_malloc
from cloudseg_ops.engine.process.stopping import Stop, watch_sigterm


def _leave(code: int) -> None:
    """End at once: after a stop, threads may still wait for Cloud Storage, and Python would join them."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run() -> None:
    tune_malloc()
    postpone_gc()
    # Before the heavy imports: they take seconds in which Spot may take the node back.
    stop = Stop()
    watch_sigterm(stop)
    from cloudseg_ops.engine.cli import main

    _leave(main(sys.argv[1:], stop))


if __name__ == "__main__":
    _run()
