"""Writes report.json and report.html."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.chunks import Reading
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.page import render_page
from cloudseg_ops.report.previews import read_previews
from cloudseg_ops.report.reading import read_results
from cloudseg_ops.report.summary import Report, summarize
from cloudseg_ops.runs.report_file import ReportList, list_start
from cloudseg_ops.storage import Store

QUARANTINED_SHOWN = 200


def write_report(store: Store, layout: RunLayout, facts: RunFacts) -> Report:
    """Write a run's report.json and report.html, replacing existing ones.

    The results are read only once, so that the counts and the list of images agree even while a pod is still writing.
    The lists of images are buffered in temporary files (about 200 bytes per image), not in memory.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        facts: Facts from the run's tasks.

    Returns:
        The numbers of the run, from which the task decides whether it fails.

    Raises:
        StorageError: Cloud Storage failed; it is safe to try again.
    """
    with _spool() as images, _spool() as quarantined:
        first_quarantined: list[Result] = []

        def take(result: Result) -> None:
            images.write(_image_entry(result) + "\n")
            if result.outcome is Outcome.QUARANTINED:
                quarantined.write(_quarantined_entry(result) + "\n")
                if len(first_quarantined) < QUARANTINED_SHOWN:
                    first_quarantined.append(result)

        reading = read_results(store, layout, facts.chunks, take)
        report = summarize(layout, facts, reading)
        images.seek(0)
        quarantined.seek(0)
        store.write_lines(
            report.json_uri, _document(report, reading, quarantined, images), content_type="application/json"
        )
    page = render_page(report, facts, reading, first_quarantined, read_previews(store, layout))
    store.write(report.html_uri, page.encode(), content_type="text/html; charset=utf-8")
    return report


def _spool() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", prefix="cloudseg-report-")


def _document(report: Report, reading: Reading, quarantined: Iterable[str], images: Iterable[str]) -> Iterator[str]:
    head = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
    yield head.removesuffix("\n}") + ","
    yield from _list("chunks", (json.dumps(chunk.to_json(), ensure_ascii=False) for chunk in reading.chunks))
    yield ","
    yield from _list("quarantined", quarantined)
    yield ","
    yield from _list("images", images)
    yield "}"


def _list(key: ReportList, entries: Iterable[str]) -> Iterator[str]:
    yield list_start(key)
    rest = iter(entries)
    last = next(rest, None)
    for entry in rest:
        yield f"{last}".rstrip("\n") + ","
        last = entry
    if last is not None:
        yield last.rstrip("\n")
    yield "]"


def _image_entry(result: Result) -> str:
    return _line(
        name=result.source.name,
        generation=result.source.generation,
        outcome=result.outcome.value,
        mask=result.mask,
        cloud_fraction=result.cloud_fraction,
        reason=result.reason,
    )


def _quarantined_entry(result: Result) -> str:
    return _line(name=result.source.name, generation=result.source.generation, reason=result.reason)


def _line(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False)
