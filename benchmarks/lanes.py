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
    """What the lanes of one measurement have in common.

    Attributes:
        barrier: Where they wait for one another: of threads, or of processes.
        seconds: How long they are to run, about.
        warm: Seconds of each lane's second pass.
        began: When each began to count, on the clock that all processes of a machine share.
        ended: When each had done its passes; 0: it failed.
    """

    barrier: Any
    seconds: float
    warm: Any
    began: Any
    ended: Any

    def passes(self) -> int:
        """How many passes of the slowest lane fit."""
        return max(1, min(MAX_PASSES, math.floor(self.seconds / float(max(self.warm)))))


def rate(make: Callable[[], Forward], images: torch.Tensor, setting: Setting, seconds: float) -> tuple[float, int]:
    """Measure images a second; tell also how many passed through, the uncounted ones included.

    Each lane makes two passes that do not count; from the second follows how many it makes in the time, the same number
    for all, so that they end together.

    Args:
        make: Gives the forward pass; called once, or once in each process (then it must pickle).
        images: A batch.
        setting: How many lanes, of what kind.
        seconds: How long, about; at least one pass.

    Raises:
        RuntimeError: A lane failed; its own error is on standard error.
    """
    lanes: list[Any]
    if setting.processes:
        context = multiprocessing.get_context("spawn")
        times = [context.Array("d", setting.lanes, lock=False) for _ in range(3)]
        shared = _Shared(context.Barrier(setting.lanes), seconds, *times)
        lanes = [
            context.Process(target=_run_process, args=(make, images, setting.threads, number, shared))
            for number in range(setting.lanes)
        ]
    else:
        shared = _Shared(threading.Barrier(setting.lanes), seconds, *([0.0] * setting.lanes for _ in range(3)))
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
