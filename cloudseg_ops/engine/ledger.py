"""The account of a chunk: what became of each of its images so far."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence

from cloudseg_ops.objects import InputObject
from cloudseg_ops.results import Outcome, Result

_HOPELESS = 32
"""Failures in a row after which it is not the images. Each may have cost two minutes of retries on a GPU node."""


class Ledger:
    """Outcomes and failures of a chunk's images; safe to share between threads.

    Args:
        sources: The chunk's input versions, in its order; a version named twice counts once.
    """

    def __init__(self, sources: Sequence[InputObject]) -> None:
        self.sources = list({(source.name, source.generation): source for source in sources}.values())
        self._lock = threading.Lock()
        self._results: dict[InputObject, Result] = {}
        self._failures: dict[InputObject, Exception] = {}
        self._failures_in_a_row = 0

    def record(self, source: InputObject, result: Result | Exception) -> None:
        """Enter what became of an image; an exception leaves it unaccounted for."""
        with self._lock:
            if isinstance(result, Result):
                self._results[source] = result
                self._failures_in_a_row = 0
            else:
                self._failures[source] = result
                self._failures_in_a_row += 1

    @property
    def hopeless(self) -> bool:
        """Whether so many images failed in a row that the next ones would, too."""
        return self._failures_in_a_row >= _HOPELESS

    @property
    def complete(self) -> bool:
        """Whether every image is accounted for."""
        return len(self._results) == len(self.sources)

    @property
    def accounted(self) -> int:
        """Images accounted for."""
        return len(self._results)

    def counts(self) -> dict[Outcome, int]:
        """Images by outcome."""
        with self._lock:
            return dict(Counter(result.outcome for result in self._results.values()))

    def pending(self) -> list[InputObject]:
        """Images not accounted for, in the chunk's order."""
        with self._lock:
            return [source for source in self.sources if source not in self._results]

    def failures(self) -> list[tuple[InputObject, Exception]]:
        """Images that failed, and why."""
        with self._lock:
            return list(self._failures.items())

    def results(self) -> list[Result]:
        """Results so far, in the chunk's order."""
        with self._lock:
            return [self._results[source] for source in self.sources if source in self._results]
