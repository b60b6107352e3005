"""The result log of a chunk: the outcome of each image so far, at eight bytes of memory per image."""

from __future__ import annotations

import tempfile
import threading
from array import array
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from cloudseg_ops.contracts.engine_failure import is_permanent
from cloudseg_ops.contracts.errors import (
    DecoderMissingError,
    NonFiniteLogitsError,
    ObjectEncryptedError,
    ObjectHeldError,
    ObjectRetainedError,
    ObjectUnreadableError,
)
from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result

_MAX_FAILURES_IN_A_ROW = 32
"""Consecutive failures after which the cause cannot be the images. Each may cost two minutes of GPU time in retries.
Refusals do not count: they cost one request each, and say nothing about the images behind them."""
_OF_ONE_IMAGE = (DecoderMissingError, NonFiniteLogitsError, ObjectHeldError, ObjectRetainedError)
"""Failures that do not count, either: they fail without retries, and others may succeed."""
_NAMED = 5
"""Failures kept with their image, for the final error message."""
_NONE = -1


class ResultLog:
    """Outcomes and failures of a chunk's images; safe to share between threads.

    Results are kept in a temporary file; only an offset of eight bytes per image stays in memory.

    Args:
        total: Number of images in the chunk; they are numbered from 0, in chunk order.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._offsets = array("q", [_NONE]) * total
        self._lines = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        self._end = 0
        self._accounted = 0
        self._counts: Counter[Outcome] = Counter()
        self._failed = 0
        self._permanently_failed = 0
        self._first_failures: list[tuple[InputObject, Exception]] = []
        self._failures_in_a_row = 0
        self._refused = 0
        self._first_refusal = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()

    def record(self, index: int, source: InputObject, result: Result | Exception) -> None:
        """Record the result of an image; call once per image.

        Args:
            index: Number of the image in the chunk.
            source: The input version.
            result: Its result; an exception leaves the image unaccounted for. Only the refusal to return an object is
                an outcome, because the object is the cause, and it stays in INPUT.
        """
        with self._lock:
            if isinstance(result, ObjectUnreadableError):
                if not isinstance(result, ObjectEncryptedError):
                    self._refused += 1
                    self._first_refusal = self._first_refusal or str(result)
                result = Result(source, Outcome.UNREADABLE, reason=result.reason)
            if isinstance(result, Exception):
                self._failed += 1
                self._permanently_failed += is_permanent(result)
                self._failures_in_a_row += not isinstance(result, _OF_ONE_IMAGE)
                if len(self._first_failures) < _NAMED:
                    self._first_failures.append((source, result))
                return
            line = result.to_line().encode() + b"\n"
            self._lines.seek(self._end)
            self._lines.write(line)
            self._offsets[index] = self._end
            self._end += len(line)
            self._accounted += 1
            self._counts[result.outcome] += 1
            if result.outcome is not Outcome.UNREADABLE:
                self._failures_in_a_row = 0

    @property
    def gives_up(self) -> bool:
        """Whether so many images failed in a row that the following ones would fail, too."""
        return self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW

    @property
    def is_permanent(self) -> bool:
        """Whether images failed, all of them with errors that a retry cannot fix, and a retry would reach no others."""
        with self._lock:
            everything_tried = self._accounted + self._failed == self.total
            return 0 < self._failed == self._permanently_failed and (everything_tried or self.gives_up)

    @property
    def refused_all(self) -> bool:
        """Whether every image is accounted for, but none was read and some were refused: the identity may lack a role.

        Objects with a customer-supplied key are not the identity's fault, and do not count.
        """
        read = self._counts[Outcome.DONE] + self._counts[Outcome.QUARANTINED]
        return self._accounted == self.total and self._refused > 0 and not read

    @property
    def first_refusal(self) -> str:
        """The first message of a refusal; empty: there was none."""
        return self._first_refusal

    @property
    def complete(self) -> bool:
        """Whether every image is accounted for, and not all were refused."""
        return self._accounted == self.total and not self.refused_all

    @property
    def accounted(self) -> int:
        """Number of images accounted for."""
        return self._accounted

    @property
    def worked(self) -> int:
        """Number of images processed, without those skipped because their mask existed; rates are computed from it."""
        with self._lock:
            return self._accounted - self._counts[Outcome.SKIPPED]

    @property
    def failed(self) -> int:
        """Number of images that failed."""
        return self._failed

    @property
    def first_failures(self) -> list[tuple[InputObject, Exception]]:
        """The first few images that failed, each with its error."""
        with self._lock:
            return list(self._first_failures)

    def counts(self) -> dict[Outcome, int]:
        """Return the number of images per outcome."""
        with self._lock:
            return dict(self._counts)

    def lines(self) -> Iterator[str]:
        """Stream the results so far as JSON lines without line endings, in chunk order."""
        for offset in self._offsets:
            if offset != _NONE:
                with self._lock:
                    self._lines.seek(offset)
                    line = self._lines.readline()
                yield line.decode().rstrip("\n")
