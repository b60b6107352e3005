"""Starts helper processes while a chunk runs, if they make it faster."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cloudseg_ops.engine.io.worker_pool import IoWorkerPool, Load, helpers_to_add
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers
from cloudseg_ops.engine.scheduling.result_log import ResultLog

_SECONDS = 2.0
"""Time between two readings: a few batches, and short compared with the time in which a helper pays."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of the engine at one moment.

    Attributes:
        at: Monotonic seconds.
        cpu: CPU seconds of this process so far.
        helpers: CPU seconds of each helper so far, by its process id.
        idle: Seconds that workers have waited for images so far, summed over workers.
        done: Images accounted for so far.
    """

    at: float
    cpu: float
    idle: float
    done: int
    helpers: Mapping[int, float]


class IoAutoscaler:
    """Takes readings while its `with` block runs, and adds helpers.

    Args:
        pool: The processes.
        workers: The compute workers.
        result_log: The results so far.
        cpus: CPUs that this process may use.
    """

    def __init__(self, pool: IoWorkerPool, workers: ComputeWorkers, result_log: ResultLog, *, cpus: int) -> None:
        self._pool = pool
        self._workers = workers
        self._result_log = result_log
        self._cpus = cpus
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="growth", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _watch(self) -> None:
        before = self._read()
        while not self._over.wait(_SECONDS):
            now = self._read()
            load = load_between(
                before,
                now,
                workers=self._workers.count,
                on_gpu=self._workers.on_gpu,
                left=self._result_log.total - self._result_log.accounted,
            )
            before = now
            # The effect of helpers that are starting is not known yet.
            if load and not self._pool.joining:
                for _ in range(helpers_to_add(load, helpers=self._pool.helpers, cpus=self._cpus)):
                    self._pool.grow()

    def _read(self) -> Reading:
        return Reading(
            time.monotonic(),
            time.process_time(),
            self._workers.idle_seconds,
            self._result_log.accounted,
            self._pool.helper_cpu_seconds(),
        )


def load_between(before: Reading, now: Reading, *, workers: int, on_gpu: bool, left: int) -> Load | None:
    """Compute the load between two readings; None before the model is loaded, or when no image was done.

    Args:
        before: The first reading.
        now: The second one.
        workers: How many workers there are; 0 before the model is loaded.
        on_gpu: Whether forward passes leave the CPUs alone; else each worker that does not wait takes one.
        left: Images that are left.
    """
    seconds, done = now.at - before.at, now.done - before.done
    if not workers or not done:
        return None
    starved = min(1.0, (now.idle - before.idle) / (seconds * workers))
    own = (now.cpu - before.cpu) / seconds - (0.0 if on_gpu else (1 - starved) * workers)
    helpers = [(cpu - before.helpers[pid]) / seconds for pid, cpu in now.helpers.items() if pid in before.helpers]
    return Load(starved, max([own, *helpers]), seconds_left=left * seconds / done, on_gpu=on_gpu)
