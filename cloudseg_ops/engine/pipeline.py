"""Downloads, computes and uploads at the same time, with a bounded number of images in flight.

    sources ──► [download and decode] ──► ready ──► [compute: one thread, batches] ──► [encode and upload]
       └── waits while `capacity` images are in flight ◄───────────────────────────────────────┘

The queues need no bounds of their own: no more images exist at any moment than there are places in flight.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from cloudseg_ops.engine.batching import Batcher
from cloudseg_ops.engine.decode import DecodedImage
from cloudseg_ops.engine.masks import Classes
from cloudseg_ops.engine.stopping import Stop
from cloudseg_ops.errors import EngineError
from cloudseg_ops.objects import InputObject
from cloudseg_ops.results import Result

_BATCH_PIXELS = 16 * 1024 * 1024
_COMPUTE_SECONDS = 8.0
"""After a request to stop, batches are begun for so long, ..."""
_FINISH_SECONDS = 14.0
"""... and uploads are waited for so long, which leaves the results file the rest of the twenty seconds."""
_POLL_SECONDS = 0.1


class Stages(Protocol):
    """The work on one image. `fetch` and `publish` are called by many threads, `predict` by one."""

    def fetch(self, source: InputObject) -> DecodedImage | Result:
        """Download and decode, or find out that there is nothing to segment."""

    def padded_size(self, image: DecodedImage) -> tuple[int, int]:
        """Images that agree in it may share a batch."""

    def predict(self, images: Sequence[DecodedImage]) -> list[Classes]:
        """Segment a batch."""

    def publish(self, source: InputObject, image: DecodedImage, classes: Classes, began: float) -> Result:
        """Encode and upload; `began` is when its download did, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class _Job:
    source: InputObject
    image: DecodedImage
    began: float


class Pipeline:
    """Runs the stages over the images of a chunk, once.

    Args:
        stages: The work on one image.
        record: Called with what became of each image; an exception means that it stays unaccounted for.
        stop: Where a request to stop arrives.
        hopeless: Tells whether to give up.
        batch: Most images in one forward pass.
        downloads: Threads that download and decode.
        uploads: Threads that encode and upload.
    """

    def __init__(
        self,
        stages: Stages,
        record: Callable[[InputObject, Result | Exception], None],
        stop: Stop,
        hopeless: Callable[[], bool],
        *,
        batch: int,
        downloads: int,
        uploads: int,
    ) -> None:
        self.capacity = downloads + 2 * batch + uploads
        self._stages = stages
        self._record = record
        self._stop = stop
        self._hopeless = hopeless
        self._batcher: Batcher[_Job] = Batcher(batch, _BATCH_PIXELS)
        self._ready: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._downloads = ThreadPoolExecutor(downloads, "download")
        self._uploads = ThreadPoolExecutor(uploads, "upload")
        self._compute = threading.Thread(target=self._compute_all, name="compute", daemon=True)
        self._changed = threading.Condition()
        self._in_flight = 0
        self._abandoned = False

    def run(self, sources: Iterable[InputObject]) -> None:
        """Work through the sources; return when none is in flight, or in time after a request to stop."""
        self._compute.start()
        try:
            for source in sources:
                if not self._enter():
                    break
                self._downloads.submit(self._fetch, source)
            self._drain()
        finally:
            self._abandoned = True
            self._ready.put(None)
            self._downloads.shutdown(wait=False, cancel_futures=True)
            self._uploads.shutdown(wait=False, cancel_futures=True)

    @property
    def _closing(self) -> bool:
        return self._abandoned or self._stop.requested or self._hopeless()

    def _enter(self) -> bool:
        """Wait for a place in flight; False when no new image is to be taken."""
        with self._changed:
            while not self._closing:
                if self._in_flight < self.capacity:
                    self._in_flight += 1
                    return True
                self._wait()
        return False

    def _leave(self, source: InputObject, result: Result | Exception | None) -> None:
        """Give the place in flight back; None: it was not worked on."""
        try:
            if result is not None:
                self._record(source, result)
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _drain(self) -> None:
        with self._changed:
            while self._in_flight and self._stop.seconds_since < _FINISH_SECONDS:
                self._wait()

    def _wait(self) -> None:
        self._changed.wait(_POLL_SECONDS)
        if not self._compute.is_alive():
            raise EngineError("the computing thread ended before its time; please report this with the log above")

    def _fetch(self, source: InputObject) -> None:
        if self._closing:
            self._leave(source, None)
            return
        began = time.monotonic()
        try:
            fetched = self._stages.fetch(source)
        except Exception as error:  # noqa: BLE001  whatever befalls one image, the others go on
            self._leave(source, error)
            return
        if isinstance(fetched, Result):
            self._leave(source, fetched)
        else:
            self._ready.put(_Job(source, fetched, began))

    def _compute_all(self) -> None:
        while not self._abandoned:
            self._collect()
            jobs = self._batcher.take()
            if self._stop.seconds_since > _COMPUTE_SECONDS:
                for job in jobs:
                    self._leave(job.source, None)
            elif jobs:
                self._compute_batch(jobs)

    def _collect(self) -> None:
        """Take in what is ready; wait for it when there is nothing else to do."""
        while not self._batcher.has_full():
            try:
                job = self._ready.get(block=not self._batcher)
            except queue.Empty:
                return
            if job is None:
                return
            try:
                self._batcher.add(job, self._stages.padded_size(job.image))
            except Exception as error:  # noqa: BLE001  as above
                self._leave(job.source, error)

    def _compute_batch(self, jobs: Sequence[_Job]) -> None:
        try:
            masks = self._stages.predict([job.image for job in jobs])
        except Exception as error:  # noqa: BLE001  as above: memory, numbers, whatever torch raises
            if len(jobs) == 1:
                self._leave(jobs[0].source, error)
                return
            # One of them may be to blame, or their number.
            for job in jobs:
                self._compute_batch([job])
            return
        for job, classes in zip(jobs, masks, strict=True):
            # An abandoned run has closed the pool, and nobody waits for this mask any more.
            with contextlib.suppress(*[RuntimeError] if self._abandoned else []):
                self._uploads.submit(self._publish, job, classes)

    def _publish(self, job: _Job, classes: Classes) -> None:
        try:
            result: Result | Exception = self._stages.publish(job.source, job.image, classes, job.began)
        except Exception as error:  # noqa: BLE001  as above
            result = error
        self._leave(job.source, result)
