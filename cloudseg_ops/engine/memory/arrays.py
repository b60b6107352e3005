"""Allocates large arrays outside the heap, which never returns memory to the system (see `tune_malloc`)."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGE = 64 * 1024 * 1024
"""Minimum size in bytes: fragmenting the heap with larger arrays would cost more than a system call."""


def empty(shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array like `numpy.empty`; large ones use a separate memory mapping, which is freed with the array."""
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes < _LARGE:
        return np.empty(shape, dtype)
    return np.frombuffer(mmap.mmap(-1, nbytes), dtype).reshape(shape)
