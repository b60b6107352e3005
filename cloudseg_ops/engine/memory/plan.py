"""Determines how much main memory the engine may use, and divides it between its stages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.errors import EngineError
from cloudseg_ops.contracts.quantities import format_bytes

_SHARE = 0.85
"""Share of the memory to use; the rest is for what is not counted, such as fragmentation and the page cache of /tmp."""
_SMALLEST = 256 * 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A budget of main memory and its parts, in bytes.

    Attributes:
        budget: Total for the process and its helpers.
        downloads: For downloaded files that are not decoded yet.
        images: For images from decoding to the upload of their masks.
        largest_image: Maximum for a single image while no other image is in memory.
        compute: For forward passes; 0 if they run on a GPU.
    """

    budget: int
    downloads: int
    images: int
    largest_image: int
    compute: int


def plan_memory(budget: int, resident: int, *, on_gpu: bool) -> MemoryPlan:
    """Divide the part of a budget that remains for images.

    Args:
        budget: Bytes that the engine may use.
        resident: Bytes that it uses before the first image, for libraries and weights.
        on_gpu: Whether forward passes run on a GPU, and so take no main memory.

    Raises:
        EngineError: Less than 256 MiB remain.
    """
    rest = budget - resident
    if rest < _SMALLEST:
        raise EngineError(
            f"a memory budget of {format_bytes(budget)} leaves {format_bytes(max(0, rest))} for images, in addition "
            f"to {format_bytes(resident)} for libraries and weights; set at least "
            f"{format_bytes(resident + _SMALLEST)} with --memory, and give the pod as much (CLOUDSEG_POD_MEMORY)"
        )
    return MemoryPlan(
        budget=budget,
        downloads=rest // 8,
        images=rest * 3 // 4 if on_gpu else rest * 3 // 8,
        largest_image=rest * 3 // 4,
        compute=0 if on_gpu else rest // 2,
    )


def memory_limit() -> int:
    """Return the bytes that the engine may use: 85 % of the container's limit or of available memory, if less."""
    page = os.sysconf("SC_PAGE_SIZE")
    limits = [os.sysconf("SC_PHYS_PAGES") * page, _available()]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limits.append(int((_CGROUP / name).read_text("ascii")))
        except (OSError, ValueError):
            continue
    return int(min(limits) * _SHARE)


def _available() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024
