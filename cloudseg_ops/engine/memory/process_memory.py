"""Tunes memory management of this process: malloc and the garbage collector."""

from __future__ import annotations

import ctypes
import gc

# Parameter numbers from malloc.h of the GNU C library (mallopt(3)).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_NEVER = 2**31 - 1


def tune_malloc() -> bool:
    """Make malloc keep freed memory for reuse instead of returning it to the kernel.

    By default, the GNU C library requests each large block from the kernel, which clears every page first: a tenth of
    the time of a forward pass at 1024 × 1024. With a single heap, blocks are reused. The process does not shrink, but
    its next batch needs the memory anyway.

    Returns:
        Whether the C library supports this; if not, nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(
        mallopt(parameter, value)
        for parameter, value in ((_M_ARENA_MAX, 1), (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _NEVER))
    )


def postpone_gc() -> None:
    """Disable the garbage collector until `start_gc`.

    Importing PyTorch creates a million permanent objects, which the collector would scan repeatedly: a tenth of the
    time to the first mask.
    """
    gc.disable()


def start_gc() -> None:
    """Enable the garbage collector again, and exempt all existing objects, such as modules and the model.

    Does nothing if the collector is enabled.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
