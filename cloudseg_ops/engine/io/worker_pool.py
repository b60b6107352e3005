"""Distributes downloads and uploads over this process and helpers, which it starts where the GIL is the bottleneck."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from cloudseg_ops.contracts.errors import HelperLostError
from cloudseg_ops.engine.io.helper import ProcessIo
from cloudseg_ops.engine.io.items import Computed, Item
from cloudseg_ops.engine.io.threads import Fetched, ImageIo, Need, Published, RejectingIo

_log = logging.getLogger(__name__)

STARVED = 0.3
"""Share of time that compute workers wait for images, above which another helper may be worthwhile."""
BUSY = 0.6
"""CPUs that a process uses apart from forward passes, above which the GIL is its bottleneck: Python code uses one."""
PAYBACK_SECONDS = 10.0
"""Minimum time left for the chunk that justifies a helper, which takes a second of CPU time to start."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load of the engine between two measurements.

    Attributes:
        starved: Share of time, 0–1, that compute workers waited for images.
        busy: CPUs used by this process apart from forward passes, or by the busiest helper, whichever is more.
        seconds_left: Time left for the chunk at the current speed.
        on_gpu: Whether forward passes run on a GPU.
    """

    starved: float
    busy: float
    seconds_left: float
    on_gpu: bool = False


def helpers_to_add(load: Load, *, helpers: int, cpus: int) -> int:
    """Return how many helper processes to add: as many as there are processes already, or none.

    Args:
        load: Load since the last measurement.
        helpers: Number of helpers.
        cpus: CPUs that the engine may use, one per process.
    """
    if load.busy < BUSY or load.seconds_left < PAYBACK_SECONDS:
        return 0
    # With a GPU, workers that wait for the GIL look busy while the GPU is idle, until a helper relieves this process.
    hidden = load.on_gpu and not helpers
    if load.starved < STARVED and not hidden:
        return 0
    return max(0, min(helpers + 1, cpus - 1 - helpers))


class IoWorkerPool:
    """Distributes work over this process's threads and any number of helpers; each call goes to the least busy.

    Args:
        own: The threads of this process.
        spawn: Function that starts a helper, and calls its argument once the helper is ready.
        relieve: Whether to leave all work to helpers as soon as there is one. With a GPU, a hundred threads that
            compete for the GIL delay the launch of its kernels.
    """

    def __init__(
        self, own: RejectingIo, spawn: Callable[[Callable[[], None]], ProcessIo], *, relieve: bool = False
    ) -> None:
        self._own = own
        self._relieve = relieve
        self._spawn = spawn
        self._lock = threading.Lock()
        self._members: list[ImageIo] = [own]
        self._in_flight: dict[ImageIo, int] = {own: 0}
        self._helpers: list[ProcessIo] = []

    @property
    def size(self) -> int:
        """Number of processes that are ready for work, including this one."""
        return len(self._members)

    @property
    def helpers(self) -> int:
        """Number of helpers started so far."""
        return len(self._helpers)

    @property
    def joining(self) -> int:
        """Number of helpers that are starting."""
        with self._lock:
            return sum(helper.alive and helper not in self._in_flight for helper in self._helpers)

    def helper_cpu_seconds(self) -> dict[int, float]:
        """Return the CPU seconds of each running helper, by process id."""
        found = {helper.process.pid: helper.cpu_seconds() for helper in self._helpers}
        return {pid: seconds for pid, seconds in found.items() if seconds is not None}

    def grow(self) -> None:
        """Start a helper."""
        helper: list[ProcessIo] = []

        def join() -> None:
            with self._lock:
                self._in_flight[helper[0]] = 0
                self._members.append(helper[0])

        with self._lock:
            helper.append(self._spawn(join))
            self._helpers.append(helper[0])
        _log.info("started a helper process for downloads and uploads: the GIL was the bottleneck")

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Start a download in the least busy process."""
        member = self._choose()

        def done(what: Fetched) -> None:
            self._leave(member)
            if isinstance(what, HelperLostError):
                self.fetch(item, need, reply)
            else:
                reply(what)

        member.fetch(item, need, done)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Start an upload in the least busy process."""
        member = self._choose()

        def done(what: Published) -> None:
            self._leave(member)
            if isinstance(what, HelperLostError):
                # If the mask is already written, the precondition detects it.
                self.publish(computed, reply)
            else:
                reply(what)

        member.publish(computed, done)

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Quarantine an image, in this process."""
        self._own.quarantine(item, reason, began, reply)

    def close(self) -> None:
        """Stop the helpers and the threads."""
        for member in [*self._members[:1], *self._helpers]:
            member.close()

    def _choose(self) -> ImageIo:
        with self._lock:
            candidates = [member for member in self._members if not isinstance(member, ProcessIo) or member.alive]
            if self._relieve and len(candidates) > 1:
                candidates = candidates[1:]
            member = min(candidates, key=lambda member: self._in_flight[member])
            self._in_flight[member] += 1
            return member

    def _leave(self, member: ImageIo) -> None:
        with self._lock:
            self._in_flight[member] -= 1
