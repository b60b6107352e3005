"""How much memory the engine may use, and how it is divided."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cloudseg_ops.contracts.errors import EngineError
from cloudseg_ops.contracts.quantities import in_words

_SHARE = 0.85
"""Of what is there: the rest is for what nobody counts, such as the page cache of /tmp and the allocator's waste."""
_SMALLEST = 256 * 1024 * 1024
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A budget of main memory, in bytes, and its parts.

    Attributes:
        budget: Total for the process and its helpers.
        downloads: For files on their way in, before they are decoded.
        images: For photographs from their decoding to their mask's upload.
        largest_image: What one photograph may take when it has the memory to itself.
        compute: For the forward passes, where they run on the CPU.
    """

    budget: int
    downloads: int
    images: int
    largest_image: int
    compute: int


def plan_memory(budget: int, resident: int, *, on_gpu: bool) -> MemoryPlan:
    """Divide the rest of a budget.

    Args:
        budget: Bytes that the engine may take.
        resident: Bytes that it takes before the first image: libraries and weights.
        on_gpu: Whether the forward passes take no main memory.

    Raises:
        EngineError: Nothing worth sharing is left.
    """
    rest = budget - resident
    if rest < _SMALLEST:
        raise EngineError(
            f"a memory budget of {in_words(budget)} leaves {in_words(max(0, rest))} for images, in addition to "
            f"{in_words(resident)} of libraries and weights; give at least {in_words(resident + _SMALLEST)} with "
            "--memory, and the pod as much (CLOUDSEG_POD_MEMORY)"
        )
    return MemoryPlan(
        budget=budget,
        downloads=rest // 8,
        images=rest * 3 // 4 if on_gpu else rest * 3 // 8,
        largest_image=rest * 3 // 4,
        compute=0 if on_gpu else rest // 2,
    )


def memory_limit() -> int:
    """Bytes that this process may count on: of its container's limit, or of what the machine has free."""
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
