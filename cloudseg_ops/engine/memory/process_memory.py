"""Tunes how this process gets and frees memory: the C library's allocator, and the garbage collector."""

from __future__ import annotations

import ctypes
import gc

# The parameters' numbers: malloc.h of the GNU C library (mallopt(3)).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_NEVER = 2**31 - 1


def tune_malloc() -> bool:
    """Make freed memory stay with this process, for the next tensor of its size.

    By default the GNU C library asks the kernel for each large block anew, and the kernel clears every page of it
    first: a tenth of a forward pass at 1024 × 1024. In one heap, blocks are used again. The process stays as large as
    it once was, which is no loss: its next batch takes as much.

    Returns:
        Whether this C library knows how; another one keeps its own ways.
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
    """Let nothing be collected until `start_gc`.

    Importing PyTorch makes a million objects that all stay, and the collector walks them again and again: a tenth of
    the time to the first mask.
    """
    gc.disable()


def start_gc() -> None:
    """Collect again, but for what is there already: modules and the model stay as long as the process.

    Does nothing where the collector was never put off.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
