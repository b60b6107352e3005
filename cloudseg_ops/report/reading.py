"""Reads the chunks' results files, one line at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from cloudseg_ops.contracts.errors import ManifestError, ObjectNotFoundError
from cloudseg_ops.contracts.results import ChunkSummary, Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.chunks import ChunkReading, Reading
from cloudseg_ops.report.cover import checked_fraction
from cloudseg_ops.report.facts import PlannedChunk
from cloudseg_ops.storage import Store


def read_results(
    store: Store, layout: RunLayout, planned: Iterable[PlannedChunk], on_result: Callable[[Result], None]
) -> Reading:
    """Read the results files of the planned chunks in the order of their indexes.

    Results are not proof, but only what the engine reported. If a file lists an image version more than once, the first
    line counts; an image version in two chunks counts in both. Files of chunks that were not planned are ignored. A
    line that is not a result makes its chunk unreadable, but the chunk's other lines still count.

    Memory grows with the number of images in one chunk (about 70 bytes each), not with the size of the run.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        planned: The planned chunks.
        on_result: Called with each result that counts. It is safe to write: the cloud fraction is a number within 0–1
            or None, and all text can be encoded as UTF-8.

    Returns:
        The totals.

    Raises:
        StorageError: Cloud Storage failed.
    """
    folder = GcsUri(layout.staging.bucket, layout.results_folder.name + "/")
    summaries = {info.name: ChunkSummary.from_metadata(info.metadata) for info in store.list_objects(folder)}
    reading = Reading()
    for plan in sorted(planned, key=lambda chunk: chunk["index"]):
        chunk = ChunkReading(plan)
        reading.chunks.append(chunk)
        uri = layout.results(plan["index"])
        if uri.name not in summaries:
            continue
        chunk.summary = summaries[uri.name]
        for result in _results(store, uri, chunk):
            chunk.outcomes[result.outcome] += 1
            if result.cloud_fraction is not None:
                reading.cover.add(result.cloud_fraction)
            reading.low_range += result.range_used is not None
            if result.outcome is Outcome.UNREADABLE:
                reading.count_unreadable(result.reason or "no reason was given")
            on_result(result)
    return reading


def _results(store: Store, uri: GcsUri, chunk: ChunkReading) -> Iterator[Result]:
    # Hashes instead of names, which may have 1,000 bytes each; a million hashes collide once in 10**7 runs.
    seen: set[int] = set()
    try:
        for line in store.read_lines(uri):
            try:
                result = Result.from_line(line)
            except ManifestError as error:
                chunk.problem = chunk.problem or str(error)
                continue
            key = hash((result.source.name, result.source.generation))
            if key not in seen:
                seen.add(key)
                yield safe_result(result)
    except ObjectNotFoundError:  # deleted since the listing, possibly by a retry of the chunk
        chunk.summary = None
        return
    except ManifestError as error:  # not UTF-8
        chunk.problem = str(error)
    chunk.judge(len(seen))


def safe_result(result: Result) -> Result:
    """Return a result that can be written as JSON in UTF-8, with shares within 0–1 or None."""
    source = result.source
    told = (source.name, source.crc32c, result.mask, result.reason)
    name, crc32c, mask, reason = texts = tuple(map(_encodable, told))
    shares = (result.cloud_fraction, result.range_used)
    fraction, used = checked = tuple(map(checked_fraction, shares))
    if texts == told and checked == shares:
        return result
    source = replace(source, name=name or "", crc32c=crc32c or "")
    return replace(result, source=source, mask=mask, reason=reason, cloud_fraction=fraction, range_used=used)


def _encodable(text: str | None) -> str | None:
    # JSON can contain lone surrogates, which UTF-8 cannot encode.
    return None if text is None else str(text).encode("utf-8", "replace").decode()
