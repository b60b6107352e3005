"""Watches how a chunk fares, and takes on helper processes where they pay."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from cloudseg_ops.engine.io_team import IoTeam, Load, helper_pays
from cloudseg_ops.engine.lanes import Lanes
from cloudseg_ops.engine.ledger import Ledger

_SECONDS = 2.0
"""Time between two looks: a few batches, and short beside what a helper takes to pay."""


class Growth:
    """Looks every so often while its `with` block runs.

    Args:
        team: Whom to add helpers to.
        lanes: Who waits for images.
        ledger: How far the chunk is.
        cpus: CPUs that this process may use.
        threads: Threads of a lane.
    """

    def __init__(self, team: IoTeam, lanes: Lanes, ledger: Ledger, *, cpus: int) -> None:
        self._team = team
        self._lanes = lanes
        self._ledger = ledger
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
            load = _load_between(before, now, lanes=self._lanes.count, left=self._ledger.total - self._ledger.accounted)
            before = now
            if load and helper_pays(load, helpers=self._team.helpers, cpus=self._cpus):
                self._team.grow()

    def _read(self) -> tuple[float, float, float, int]:
        return time.monotonic(), time.process_time(), self._lanes.idle_seconds, self._ledger.accounted


def _load_between(
    before: tuple[float, float, float, int], now: tuple[float, float, float, int], *, lanes: int, left: int
) -> Load | None:
    """How the engine fared between two readings; None while there is nothing to tell."""
    seconds, cpu, idle, done = (b - a for a, b in zip(before, now, strict=True))
    if not lanes or not done:
        return None
    starved = min(1.0, idle / (seconds * lanes))
    return Load(
        starved=starved,
        busy=cpu / seconds - (1 - starved) * lanes,
        seconds_left=left * seconds / done,
    )
