"""Measures the images per second of a forward pass run in several lanes in parallel."""

from __future__ import annotations

import math
import multiprocessing
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.settings import Forward, Setting
from cloudseg_ops.engine.memory.process_memory import tune_malloc

MAX_PASSES = 2000
_BARRIER_SECONDS = 900.0
"""How long lanes wait for the slowest one to compile, in seconds."""
_WARM_PASSES = 2


@dataclass(frozen=True, slots=True)
class _Shared:
    """State shared by the lanes of one measurement.

    Attributes:
        barrier: Synchronizes the lanes, which are threads or processes.
        seconds: Approximate time to run.
        least: Minimum number of counted passes.
        warm: Seconds of each lane's second warm-up pass.
        began: When each lane's counted passes began, by the machine's monotonic clock.
        ended: When each lane's passes ended; 0 if it failed.
    """

    barrier: Any
    seconds: float
    least: int
    warm: Any
    began: Any
    ended: Any

    def passes(self) -> int:
        """Return how many passes of the slowest lane fit into the time."""
        return max(self.least, min(MAX_PASSES, math.floor(self.seconds / float(max(self.warm)))))


def rate(
    make: Callable[[], Forward], images: torch.Tensor, setting: Setting, seconds: float, *, least: int = 1
) -> tuple[float, int]:
    """Measure images per second; also return the number of images processed, warm-up included.

    Each lane runs two warm-up passes. The duration of the second determines the number of counted passes, which is the
    same for all lanes, so that they end together.

    Args:
        make: Creates the forward pass; called once, or once in each process (then it must be picklable).
        images: A batch.
        setting: Number and kind of lanes.
        seconds: Approximate time to measure.
        least: Minimum number of counted passes of each lane.

    Raises:
        RuntimeError: A lane failed; its own error is on standard error.
    """
    lanes: list[Any]
    if setting.processes:
        context = multiprocessing.get_context("spawn")
        times = [context.Array("d", setting.lanes, lock=False) for _ in range(3)]
        shared = _Shared(context.Barrier(setting.lanes), seconds, least, *times)
        lanes = [
            context.Process(target=_run_process, args=(make, images, setting.threads, number, shared))
            for number in range(setting.lanes)
        ]
    else:
        shared = _Shared(threading.Barrier(setting.lanes), seconds, least, *([0.0] * setting.lanes for _ in range(3)))
        forward = make()
        lanes = [
            threading.Thread(target=_run_lane, args=(forward, images, setting.threads, number, shared))
            for number in range(setting.lanes)
        ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    if not all(shared.ended):
        raise RuntimeError(f"a lane failed: {setting.describe()}")
    counted = setting.lanes * shared.passes() * len(images)
    total = counted + _WARM_PASSES * setting.lanes * len(images)
    return counted / (max(shared.ended) - min(shared.began)), total


def _run_process(make: Callable[[], Forward], images: torch.Tensor, threads: int, number: int, shared: _Shared) -> None:
    tune_malloc()
    torch.set_num_threads(threads)
    try:
        forward = make()
    except Exception:
        shared.barrier.abort()
        raise
    _run_lane(forward, images, threads, number, shared)


def _run_lane(forward: Forward, images: torch.Tensor, threads: int, number: int, shared: _Shared) -> None:
    try:
        torch.set_num_threads(threads)  # the setting is per thread
        _run_passes(forward, images, 1)
        shared.barrier.wait(_BARRIER_SECONDS)
        start = time.perf_counter()
        _run_passes(forward, images, 1)
        shared.warm[number] = time.perf_counter() - start
        shared.barrier.wait(_BARRIER_SECONDS)
        shared.began[number] = time.perf_counter()
        _run_passes(forward, images, shared.passes())
        shared.ended[number] = time.perf_counter()
    except Exception:  # noqa: BLE001  the other lanes must not wait for a failed one
        if not isinstance(sys.exc_info()[1], threading.BrokenBarrierError):
            traceback.print_exc()
        shared.barrier.abort()


def _run_passes(forward: Forward, images: torch.Tensor, passes: int) -> None:
    for _ in range(passes):
        forward(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
