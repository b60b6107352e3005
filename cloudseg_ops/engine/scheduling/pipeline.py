"""Downloads, computes and uploads at the same time, within bounds on images and bytes.

    items ──► [download, wait for memory, decode] ──► ready ──► [compute: workers, batches] ──► [encode, upload]
       └── waits while too much is in flight ◄────────────────────────────────────────────────────┘

The queues do not need bounds: no more images exist at any moment than there are places in flight.
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
from cloudseg_ops.engine.images.restore import Prediction
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
    """What may be in flight.

    Attributes:
        images: Tells how many images, now.
        fetching: Tells how many images may be on their way in, now, given how many are with the network.
        download_bytes: Of files that are not decoded yet.
        image_bytes: Of photographs from their decoding on.
    """

    images: Callable[[], int]
    fetching: Callable[[int], int]
    download_bytes: int
    image_bytes: int


class Pipeline:
    """Runs the images of a chunk through downloads, workers and uploads, once.

    Args:
        io: Downloads and uploads.
        workers: Makes the workers that compute, from two callables: whether more jobs may come, and what reports a job.
        stride: Images whose sizes agree when padded to its multiples may share a batch.
        record: Called with what became of each image; an exception means that it stays unaccounted for.
        preview: Called with each image whose mask was written.
        stop: Where a request to stop arrives.
        gives_up: Tells whether to give up.
        bounds: What may be in flight.
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
        """Images between the start of their download and the end of their upload."""
        return len(self._flights)

    def run(self, items: Iterable[Item]) -> None:
        """Work through the images; return when none is in flight, or in time after a request to stop.

        Raises:
            Exception: Whatever the model's loading raised.
            EngineError: A worker ended before its time.
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
        """Wait for a place in flight; False when no new image is to be taken."""
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
        """Give the place in flight back; None: it was not worked on."""
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
            raise EngineError("a computing thread ended before its time; please report this with the log above")

    def _need(self, item: Item) -> Callable[[int, Callable[[], None]], None]:
        def need(amount: int, granted: Callable[[], None]) -> None:
            flight = self._flights[item.index]
            if flight.memory:
                # Asked for by a helper that is no more.
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
            # Its pixels, once more on their way to the network, and its mask.
            pixels = fetched.pixels.nbytes * 2
            self._image_budget.shrink(flight.memory, pixels + fetched.mask_size[0] * fetched.mask_size[1])
        size = padded_size((fetched.height, fetched.width), self._stride)
        self.workers.put(Job(item, fetched, flight.began, size))

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

        self._io.publish(Computed(job.item, prediction, job.image.mask_size, job.began), published)
