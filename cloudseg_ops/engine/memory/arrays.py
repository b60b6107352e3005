"""Large arrays whose memory goes back to the system, unlike the heap, which keeps its memory (see `malloc_tuning`)."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGE = 64 * 1024 * 1024
"""Bytes from which a hole in the heap would cost more than asking the system does."""


def empty(shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make an array, as `numpy.empty` does; a large one has its own mapping, which ends with it."""
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes < _LARGE:
        return np.empty(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, nbytes), dtype).reshape(shape)
