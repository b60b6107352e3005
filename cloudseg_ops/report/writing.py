"""Writes the files of a run's report: the page, report.json, and the requested further formats."""

from __future__ import annotations

from collections.abc import Iterable

from cloudseg_ops.config.results_formats import REPORT_FORMAT, find_results_format
from cloudseg_ops.contracts.results import Outcome, Result
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.page import render_page
from cloudseg_ops.report.previews import read_previews
from cloudseg_ops.report.reading import read_results
from cloudseg_ops.report.run_results import ResultSpool, RunResults
from cloudseg_ops.report.summary import Report, summarize
from cloudseg_ops.storage import Store

QUARANTINED_SHOWN = 200


def write_report(store: Store, layout: RunLayout, facts: RunFacts, *, formats: Iterable[str] = ()) -> Report:
    """Write a run's report.json, report.html and results in further formats, replacing existing files.

    The results are read only once, so that the counts and the list of images agree even while a pod is still writing.
    The lists of images are buffered in temporary files (about 150 bytes per image), not in memory.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        facts: Facts from the run's tasks.
        formats: Names in `RESULTS_FORMATS`, or your own `package.module:NAME`; report.json is always written.

    Returns:
        The numbers of the run, from which the task decides whether it fails.

    Raises:
        SettingsError: A format does not exist.
        StorageError: Cloud Storage failed; it is safe to try again.
    """
    further = [name for name in dict.fromkeys(formats) if name != REPORT_FORMAT]
    # report.json comes last of them: where it is, the others are there too.
    chosen = [find_results_format(name) for name in (*further, REPORT_FORMAT)]
    with ResultSpool() as images, ResultSpool() as quarantined:
        first_quarantined: list[Result] = []
        first_unreadable: list[Result] = []

        def take(result: Result) -> None:
            images.append(result)
            if result.outcome is Outcome.QUARANTINED:
                quarantined.append(result)
                if len(first_quarantined) < QUARANTINED_SHOWN:
                    first_quarantined.append(result)
            elif result.outcome is Outcome.UNREADABLE and len(first_unreadable) < QUARANTINED_SHOWN:
                first_unreadable.append(result)

        reading = read_results(store, layout, facts.chunks, take)
        report = summarize(layout, facts, reading)
        run = RunResults(facts, report, reading.chunks, images, quarantined, layout.output)
        for results_format in chosen:
            store.write_lines(
                layout.report_folder / results_format.file,
                results_format.load_writer()(run),
                content_type=results_format.content_type,
            )
    page = render_page(
        report, facts, reading, first_quarantined, read_previews(store, layout), unreadable=first_unreadable
    )
    store.write(report.html_uri, page.encode(), content_type="text/html; charset=utf-8")
    return report
