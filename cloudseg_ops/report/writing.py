"""Writes the files of a run's report: the page, report.json, and the further formats that are asked for."""

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
    """Write a run's report.json and report.html and its results in further formats, in place of any that are there.

    The results are read once: what the counts say and what `images` lists is of one moment, even while a pod still
    writes. The lists of images go through a temporary file (about 150 bytes an image) rather than through memory.

    Args:
        store: Cloud Storage.
        layout: The run's files.
        facts: What the tasks know.
        formats: Names in `RESULTS_FORMATS`, or `package.module:NAME` of a team's own; report.json is always written.

    Returns:
        The numbers, for the task to judge by.

    Raises:
        SettingsError: There is no such format.
        StorageError: Cloud Storage failed; writing again does no harm.
    """
    further = [name for name in dict.fromkeys(formats) if name != REPORT_FORMAT]
    # report.json comes last of them: where it is, the others are there too.
    chosen = [find_results_format(name) for name in (*further, REPORT_FORMAT)]
    with ResultSpool() as images, ResultSpool() as quarantined:
        first_quarantined: list[Result] = []

        def take(result: Result) -> None:
            images.append(result)
            if result.outcome is Outcome.QUARANTINED:
                quarantined.append(result)
                if len(first_quarantined) < QUARANTINED_SHOWN:
                    first_quarantined.append(result)

        reading = read_results(store, layout, facts.chunks, take)
        report = summarize(layout, facts, reading)
        run = RunResults(facts, report, reading.chunks, images, quarantined, layout.output)
        for results_format in chosen:
            store.write_lines(
                layout.report_folder / results_format.file,
                results_format.load_writer()(run),
                content_type=results_format.content_type,
            )
    page = render_page(report, facts, reading, first_quarantined, read_previews(store, layout))
    store.write(report.html_uri, page.encode(), content_type="text/html; charset=utf-8")
    return report
