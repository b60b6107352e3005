"""Adds helper processes while a chunk runs, if they are expected to shorten it."""

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
"""Seconds between two readings: several batches, yet short compared with the time a helper needs to pay off."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of the engine at one moment.

    Attributes:
        at: Time of the reading, in seconds of the monotonic clock.
        cpu: CPU seconds that this process has used.
        helpers: CPU seconds that each helper has used, by process id.
        idle: Seconds that compute workers have waited for images, summed over all workers.
        done: Images accounted for.
    """

    at: float
    cpu: float
    idle: float
    done: int
    helpers: Mapping[int, float]


class IoAutoscaler:
    """Measures the load while its `with` block runs, and adds helper processes as needed.

    Args:
        pool: The pool to which helpers are added.
        workers: The compute workers.
        result_log: The chunk's result log.
        cpus: CPUs that this process may use; 0 disables scaling.
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
            # Helpers that are still starting do not show in the load yet.
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
    """Compute the load between two readings.

    Args:
        before: The earlier reading.
        now: The later reading.
        workers: Number of compute workers; 0 before the model is loaded.
        on_gpu: Whether forward passes run on a GPU. On the CPU, each busy worker counts as one used CPU.
        left: Number of images left.

    Returns:
        The load; None before the model is loaded, or if no image was completed between the readings.
    """
    seconds, done = now.at - before.at, now.done - before.done
    if not workers or not done:
        return None
    starved = min(1.0, (now.idle - before.idle) / (seconds * workers))
    own = (now.cpu - before.cpu) / seconds - (0.0 if on_gpu else (1 - starved) * workers)
    helpers = [(cpu - before.helpers[pid]) / seconds for pid, cpu in now.helpers.items() if pid in before.helpers]
    return Load(starved, max([own, *helpers]), seconds_left=left * seconds / done, on_gpu=on_gpu)
