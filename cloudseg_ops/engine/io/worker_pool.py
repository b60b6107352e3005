"""Shares the work on images between this process and helpers, and takes on helpers when Python's lock is what binds."""

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
"""Share of its time that the network waits for images, from which on it is worth to bring them faster."""
BUSY = 0.6
"""CPUs that a process takes beside the network's, from which on its lock is what binds: Python runs on one."""
PAYBACK_SECONDS = 10.0
"""A helper takes a second of CPU to start; with less work left than this, it would not pay."""


@dataclass(frozen=True, slots=True)
class Load:
    """How the engine fared over a while.

    Attributes:
        starved: Share of the time, 0–1, that the network waited for images.
        busy: CPUs that this process took beside the network's, or that the busiest helper took, if that is more.
        seconds_left: Time left for the chunk at the present speed.
    """

    starved: float
    busy: float
    seconds_left: float


def helpers_to_add(load: Load, *, helpers: int, cpus: int) -> int:
    """Tell how many more helper processes would make the chunk end sooner: as many as there are processes, or none.

    Args:
        load: How the engine fared lately.
        helpers: Helpers that there are.
        cpus: CPUs for all processes, one each.
    """
    if load.starved < STARVED or load.busy < BUSY or load.seconds_left < PAYBACK_SECONDS:
        return 0
    return max(0, min(helpers + 1, cpus - 1 - helpers))


class IoWorkerPool:
    """This process's threads and any number of helper processes, each as busy as the others.

    Args:
        own: This process's threads.
        spawn: Starts a helper; its argument is to be called when the helper can take work.
    """

    def __init__(self, own: RejectingIo, spawn: Callable[[Callable[[], None]], ProcessIo]) -> None:
        self._own = own
        self._spawn = spawn
        self._lock = threading.Lock()
        self._members: list[ImageIo] = [own]
        self._in_flight: dict[ImageIo, int] = {own: 0}
        self._helpers: list[ProcessIo] = []

    @property
    def size(self) -> int:
        """Processes that can take work."""
        return len(self._members)

    @property
    def helpers(self) -> int:
        """Helpers that were started."""
        return len(self._helpers)

    @property
    def joining(self) -> int:
        """Helpers that were started and cannot take work yet."""
        with self._lock:
            return sum(helper.alive and helper not in self._in_flight for helper in self._helpers)

    def helper_cpu_seconds(self) -> dict[int, float]:
        """CPU seconds of each helper that runs, by its process id."""
        found = {helper.process.pid: helper.cpu_seconds() for helper in self._helpers}
        return {pid: seconds for pid, seconds in found.items() if seconds is not None}

    def grow(self) -> None:
        """Start a helper; it takes work when it is ready."""
        helper: list[ProcessIo] = []

        def join() -> None:
            with self._lock:
                self._in_flight[helper[0]] = 0
                self._members.append(helper[0])

        with self._lock:
            helper.append(self._spawn(join))
            self._helpers.append(helper[0])
        _log.info("one more process downloads, decodes, encodes and uploads: Python's lock was what bound")

    def fetch(self, item: Item, need: Need, reply: Callable[[Fetched], None]) -> None:
        """Begin a download where least is going on."""
        member = self._choose()

        def done(what: Fetched) -> None:
            self._leave(member)
            if isinstance(what, HelperLostError):
                self.fetch(item, need, reply)
            else:
                reply(what)

        member.fetch(item, need, done)

    def publish(self, computed: Computed, reply: Callable[[Published], None]) -> None:
        """Begin an upload where least is going on."""
        member = self._choose()

        def done(what: Published) -> None:
            self._leave(member)
            if isinstance(what, HelperLostError):
                # It may be written already: the precondition finds that out.
                self.publish(computed, reply)
            else:
                reply(what)

        member.publish(computed, done)

    def quarantine(self, item: Item, reason: str, began: float, reply: Callable[[Published], None]) -> None:
        """Begin to put an image aside: rare enough for this process."""
        self._own.quarantine(item, reason, began, reply)

    def close(self) -> None:
        """End the helpers, and let the threads end."""
        for member in [*self._members[:1], *self._helpers]:
            member.close()

    def _choose(self) -> ImageIo:
        with self._lock:
            able = [member for member in self._members if not isinstance(member, ProcessIo) or member.alive]
            member = min(able, key=lambda member: self._in_flight[member])
            self._in_flight[member] += 1
            return member

    def _leave(self, member: ImageIo) -> None:
        with self._lock:
            self._in_flight[member] -= 1
