"""Downloads, computes and uploads concurrently, within limits on images and bytes.

    items ──► [download, wait for memory, decode] ──► ready ──► [compute: workers, batches] ──► [encode, upload]
       └── waits while too much is in flight ◄────────────────────────────────────────────────────┘

The queues are unbounded, because the limit on images in flight bounds them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from cloudseg_ops.contracts.errors import BadImageError, EngineError
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Result
from cloudseg_ops.engine.images.decode import DecodedImage
from cloudseg_ops.engine.images.masks import Prediction
from cloudseg_ops.engine.images.sizes import padded_size
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.threads import Fetched, Published, RejectingIo
from cloudseg_ops.engine.memory.budget import MemoryBudget, Share
from cloudseg_ops.engine.process.stopping import FINISH_SECONDS, Stop
from cloudseg_ops.engine.scheduling.compute_workers import ComputeWorkers, Done, Job

_POLL_SECONDS = 0.1


@dataclass(slots=True, eq=False)
class _Flight:
    began: float
    download: Share
    memory: Share | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on what is in flight.

    Attributes:
        images: Returns the current maximum number of images in flight.
        fetching: Returns the current maximum number of images being downloaded or decoded, given the number of
            decoded images that are queued for or in the network.
        download_bytes: Maximum bytes of files that are not decoded yet.
        image_bytes: Maximum bytes of decoded images, until their masks are uploaded.
    """

    images: Callable[[], int]
    fetching: Callable[[int], int]
    download_bytes: int
    image_bytes: int


class Pipeline:
    """Runs the images of a chunk through download, compute workers and upload; `run` is called once.

    Args:
        io: Downloads and uploads.
        workers: Creates the compute workers from two callables: `expecting` returns whether more jobs may arrive,
            and `done` takes the result of a job.
        stride: Images are padded to multiples of it; those of equal padded size may share a batch.
        record: Called with the result of each image; an exception leaves the image unaccounted for.
        preview: Called with each image whose mask was written.
        stop: The request to stop.
        gives_up: Returns whether to start no further images because too many failed.
        bounds: Limits on what is in flight.
    """

    def __init__(
        self,
        io: RejectingIo,
        workers: Callable[[Callable[[], bool], Done], ComputeWorkers],
        *,
        stride: int,
        record: Callable[[int, InputObject, Result | Exception], None],
        preview: Callable[[DecodedImage, Prediction, Result], None],
        stop: Stop,
        gives_up: Callable[[], bool],
        bounds: Bounds,
    ) -> None:
        self._io = io
        self._stride = stride
        self._record = record
        self._preview = preview
        self._stop = stop
        self._gives_up = gives_up
        self._bounds = bounds
        self._download_budget = MemoryBudget(bounds.download_bytes)
        self._image_budget = MemoryBudget(bounds.image_bytes)
        self._changed = threading.Condition()
        self._flights: dict[int, _Flight] = {}
        self._fetching = 0
        self._with_network = 0
        self._abandoned = False
        self.workers = workers(lambda: self._fetching > 0, self._computed)

    @property
    def in_flight(self) -> int:
        """Number of images between the start of their download and the end of their upload."""
        return len(self._flights)

    def run(self, items: Iterable[Item]) -> None:
        """Process the images; return when none is in flight, or `FINISH_SECONDS` after a request to stop.

        Raises:
            Exception: Loading the model failed, or the device did.
            EngineError: A compute worker ended unexpectedly.
        """
        self.workers.start()
        try:
            for item in items:
                if not self._enter(item):
                    break
                self._io.fetch(item, self._need(item), partial(self._fetched, item))
            self._drain()
        finally:
            self._abandoned = True
            self.workers.close()
            self._io.close()
            self._download_budget.close()
            self._image_budget.close()

    @property
    def _closing(self) -> bool:
        return self._abandoned or self._stop.requested or self._gives_up()

    @property
    def _is_full(self) -> bool:
        return self.in_flight >= self._bounds.images() or self._fetching >= self._bounds.fetching(self._with_network)

    def _enter(self, item: Item) -> bool:
        """Wait until the image may enter; return False if no further image is to be started."""
        with self._changed:
            while self._is_full:
                if self._closing:
                    return False
                self._wait()
        granted = threading.Event()
        share = self._download_budget.request(item.source.size, granted.set)
        while not granted.wait(_POLL_SECONDS):
            self._check_workers()
            if self._closing:
                self._download_budget.release(share)
                return False
        if self._closing:
            self._download_budget.release(share)
            return False
        with self._changed:
            self._flights[item.index] = _Flight(time.monotonic(), share)
            self._fetching += 1
        return True

    def _leave(self, item: Item, result: Result | Exception | None) -> None:
        """Record the result and release what the image held; `result` is None if it was not processed."""
        try:
            if result is not None:
                self._record(item.index, item.source, result)
        finally:
            with self._changed:
                flight = self._flights.pop(item.index)
                self._changed.notify_all()
            self._download_budget.release(flight.download)
            if flight.memory:
                self._image_budget.release(flight.memory)

    def _drain(self) -> None:
        with self._changed:
            while self._flights and self._stop.seconds_since < FINISH_SECONDS:
                self._wait()

    def _wait(self) -> None:
        self._changed.wait(_POLL_SECONDS)
        self._check_workers()

    def _check_workers(self) -> None:
        if self.workers.failure:
            raise self.workers.failure
        if not self.workers.alive:
            raise EngineError("a compute thread ended unexpectedly; please report this together with the log above")

    def _need(self, item: Item) -> Callable[[int, Callable[[], None]], None]:
        def need(amount: int, granted: Callable[[], None]) -> None:
            flight = self._flights[item.index]
            if flight.memory:
                # Requested by a helper process that has died since.
                self._image_budget.release(flight.memory)
            flight.memory = self._image_budget.request(amount, granted)

        return need

    def _fetched(self, item: Item, fetched: Fetched) -> None:
        with self._changed:
            self._fetching -= 1
            self._with_network += isinstance(fetched, DecodedImage)
            self._changed.notify_all()
        flight = self._flights[item.index]
        if not isinstance(fetched, DecodedImage):
            self._leave(item, fetched)
            return
        self._download_budget.release(flight.download)
        if flight.memory:
            # The pixels, their copy in a batch for the network, and the mask.
            pixels = fetched.pixels.nbytes * 2
            self._image_budget.shrink(flight.memory, pixels + fetched.mask_size[0] * fetched.mask_size[1])
        size = padded_size((fetched.height, fetched.width), self._stride)
        self.workers.put(Job(item.with_crc32c(fetched.crc32c), fetched, flight.began, size))

    def _computed(self, job: Job, prediction: Prediction | Exception | None) -> None:
        with self._changed:
            self._with_network -= 1
            self._changed.notify_all()
        leave = partial(self._leave, job.item)
        if isinstance(prediction, BadImageError):
            self._io.quarantine(job.item, str(prediction), job.began, leave)
            return
        if not isinstance(prediction, Prediction):
            leave(prediction)
            return

        def published(result: Published) -> None:
            if isinstance(result, Result):
                self._preview(job.image, prediction, result)
            leave(result)

        image = job.image
        self._io.publish(Computed(job.item, prediction, image.mask_size, job.began, image.range_used), published)
