"""The results of a run for writers, which can iterate over its images any number of times."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO

from cloudseg_ops.contracts.objects import InputObject
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.chunks import ChunkReading
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.summary import Report

_BLOCK_BYTES = 256 * 1024
# Made once: json.dumps would make one for each of a million images.
_encode = json.JSONEncoder(ensure_ascii=False).encode


class ResultSpool:
    """Results in a temporary file, about 150 bytes each: memory does not grow with their number."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="cloudseg-report-")  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> ResultSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, result: Result) -> None:
        """Add a result; all are added before the first is read."""
        source = result.source
        fields = [source.name, source.generation, source.size, source.crc32c, result.outcome, result.mask]
        fields += [result.cloud_fraction, result.reason, result.seconds, result.range_used]
        self._file.write(_encode(fields).encode() + b"\n")

    def __iter__(self) -> Iterator[Result]:
        """Read the results from the first one on, whatever other iterators are at."""
        offset = 0
        while True:
            self._file.seek(offset)
            lines = self._file.readlines(_BLOCK_BYTES)
            if not lines:
                return
            offset = self._file.tell()
            for line in lines:
                name, generation, size, crc32c, outcome, *rest = json.loads(line)
                yield Result(InputObject(name, generation, size, crc32c), Outcome(outcome), *rest)


@dataclass(frozen=True, slots=True)
class RunResults:
    """The input of a results format's writer.

    Attributes:
        facts: Data of the run from its tasks, including its model.
        report: The run in numbers.
        chunks: The content of each planned chunk's results file, by index.
        images: A result for each image, in the order of the chunks; may be iterated any number of times.
        quarantined: Those of them that are in quarantine, as an iterable of the same kind.
        output: The output bucket.
    """

    facts: RunFacts
    report: Report
    chunks: list[ChunkReading]
    images: ResultSpool
    quarantined: ResultSpool
    output: GcsUri

    def mask_uri(self, result: Result) -> GcsUri | None:
        """Address of an image's mask; None where it has none."""
        return None if result.mask is None else GcsUri(self.output.bucket, result.mask)
