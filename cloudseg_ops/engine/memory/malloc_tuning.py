"""Lets the C library keep freed memory instead of returning it to the kernel after each tensor."""

from __future__ import annotations

import ctypes

# The parameters' numbers: malloc.h of the GNU C library (mallopt(3)).
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_NEVER = 2**31 - 1


def tune_malloc() -> bool:
    """Make freed memory stay with this process, for the next tensor of its size.

    By default the GNU C library asks the kernel for each large block again, and the kernel clears every page of it
    first: a tenth of a forward pass at 1024 × 1024. In one heap, blocks are used again. The process stays as large as
    it once was, which does not matter: its next batch takes as much.

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
