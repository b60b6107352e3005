"""Writes report.json: the head with the run's numbers, then chunks, quarantined images and all images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cloudseg_ops.contracts.results import Result
from cloudseg_ops.report.run_results import RunResults
from cloudseg_ops.runs.report_file import ReportList, list_start

# Made once: json.dumps would make one for each of a million images.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def json_lines(run: RunResults) -> Iterator[str]:
    """Yield the lines; each chunk and each image is one line, so that the file can be read as a stream."""
    head = json.dumps(run.report.to_json(), indent=2, ensure_ascii=False)
    yield head.removesuffix("\n}") + ","
    yield from _list("chunks", (_entry(**chunk.to_json()) for chunk in run.chunks))
    yield ","
    yield from _list("quarantined", map(_quarantined_entry, run.quarantined))
    yield ","
    yield from _list("images", map(_image_entry, run.images))
    yield "}"


def _list(key: ReportList, entries: Iterable[str]) -> Iterator[str]:
    yield list_start(key)
    rest = iter(entries)
    last = next(rest, None)
    for entry in rest:
        yield f"{last},"
        last = entry
    if last is not None:
        yield last
    yield "]"


def _image_entry(result: Result) -> str:
    used = {} if result.range_used is None else {"range_used": result.range_used}
    return _entry(
        name=result.source.name,
        generation=result.source.generation,
        outcome=result.outcome.value,
        mask=result.mask,
        cloud_fraction=result.cloud_fraction,
        reason=result.reason,
        **used,
    )


def _quarantined_entry(result: Result) -> str:
    return _entry(name=result.source.name, generation=result.source.generation, reason=result.reason)


def _entry(**fields: Any) -> str:
    return _encode(fields)
