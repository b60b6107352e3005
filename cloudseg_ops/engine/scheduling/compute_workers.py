"""Compute workers: threads that run forward passes, each with its own PyTorch threads or its own CUDA stream."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudseg_ops.contracts.errors import DeviceError
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.io.items import Item
from cloudseg_ops.engine.process.stopping import COMPUTE_SECONDS, Stop
from cloudseg_ops.engine.scheduling.batching import BatchQueue, Size

_POLL_SECONDS = 0.1


class Compute(Protocol):
    """A loaded model, shared by all workers."""

    def limit(self, size: Size) -> int:
        """Return the current maximum batch size for images of this size."""

    def predict(self, images: Sequence[DecodedImage]) -> list[Prediction]:
        """Segment a batch."""

    def worker(self) -> contextlib.AbstractContextManager[None]:
        """Return the context in which a worker's thread runs: on a GPU, its CUDA stream."""

    @property
    def workers(self) -> int:
        """Number of workers."""

    @property
    def on_gpu(self) -> bool:
        """Whether forward passes run on a GPU."""


@dataclass(frozen=True, slots=True)
class Job:
    """An image that waits for the network.

    Attributes:
        item: The image.
        image: Its pixels.
        began: When its download began, in monotonic seconds.
        size: Its padded height and width; images that agree in it may share a batch.
    """

    item: Item
    image: DecodedImage
    began: float
    size: Size


Done = Callable[[Job, Prediction | Exception | None], None]
"""Called with a job and its result; None: the job was dropped without being computed."""


class ComputeWorkers:
    """Computes jobs in batches; the worker threads call `done` once for each job.

    Args:
        load: Loads the model; called once, with the first images.
        stop: The request to stop.
        expecting: Returns whether more jobs may arrive soon.
        done: Called with the result of each job.
    """

    def __init__(
        self,
        load: Callable[[Sequence[DecodedImage]], Compute],
        stop: Stop,
        expecting: Callable[[], bool],
        done: Done,
    ) -> None:
        self._load = load
        self._stop = stop
        self._done = done
        self._queue: BatchQueue[Job] = BatchQueue(self.limit, expecting)
        self._compute: Compute | None = None
        self._closed = False
        self._idle: list[float] = []
        self._largest_batch = 1
        self.failure: Exception | None = None
        self._threads = [threading.Thread(target=self._load_and_run, name="compute-0", daemon=True)]

    def start(self) -> None:
        """Start the first thread, which loads the model and starts the others."""
        self._threads[0].start()

    def put(self, job: Job) -> None:
        """Add a job."""
        self._queue.put(job, job.size)

    def close(self) -> None:
        """Stop the threads; jobs that are still queued are dropped."""
        self._closed = True
        self._queue.close()

    def limit(self, size: Size) -> int:
        """Return the current maximum batch size for images of this size; 1 before the model is loaded."""
        return self._compute.limit(size) if self._compute else 1

    @property
    def largest_batch(self) -> int:
        """Largest batch size so far, in images."""
        return self._largest_batch

    @property
    def idle_seconds(self) -> float:
        """Seconds that workers have waited for images since the model was loaded, summed over all of them."""
        return sum(self._idle)

    @property
    def count(self) -> int:
        """Number of workers; 0 before the model is loaded."""
        return len(self._idle)

    @property
    def on_gpu(self) -> bool:
        """Whether forward passes run on a GPU; False before the model is loaded."""
        return self._compute is not None and self._compute.on_gpu

    @property
    def alive(self) -> bool:
        """Whether all threads are running."""
        return not self.failure and all(thread.is_alive() for thread in self._threads)

    def _load_and_run(self) -> None:
        compute: Compute | None = None
        try:
            # The model's precision and memory limits are chosen from the first images.
            while compute is None and not self._closed:
                if jobs := self._queue.peek(_POLL_SECONDS):
                    compute = self._load([job.image for job in jobs])
        except Exception as error:  # noqa: BLE001  raised by the pipeline
            self.failure = error
            return
        if compute is None:
            return
        self._compute = compute
        self._idle = [0.0] * compute.workers
        others = [
            threading.Thread(target=self._run, args=(compute, worker), name=f"compute-{worker}", daemon=True)
            for worker in range(1, compute.workers)
        ]
        for thread in others:
            thread.start()
        self._threads += others
        self._run(compute, 0)

    def _run(self, compute: Compute, worker: int) -> None:
        try:
            with compute.worker():
                while not self._closed:
                    with self._waiting(worker):
                        jobs = self._queue.take(_POLL_SECONDS)
                    if self._stop.seconds_since > COMPUTE_SECONDS:
                        for job in [*jobs, *self._queue.drain()]:
                            self._done(job, None)
                    elif jobs:
                        self._largest_batch = max(self._largest_batch, compute.limit(jobs[0].size))
                        self._compute_batch(compute, jobs)
        except Exception as error:  # noqa: BLE001  as above
            self.failure = error

    @contextlib.contextmanager
    def _waiting(self, worker: int) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._idle[worker] += time.monotonic() - began

    def _compute_batch(self, compute: Compute, jobs: Sequence[Job]) -> None:
        try:
            predictions = compute.predict([job.image for job in jobs])
        except DeviceError:
            # No image is to blame, and further batches would fail as well.
            raise
        except Exception as error:  # noqa: BLE001  whatever PyTorch raises
            if len(jobs) == 1:
                self._done(jobs[0], error)
                return
            # A single image may be to blame: compute them one by one.
            for job in jobs:
                self._compute_batch(compute, [job])
            return
        for job, prediction in zip(jobs, predictions, strict=True):
            self._done(job, prediction)
