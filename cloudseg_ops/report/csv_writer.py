"""Writes results.csv: a row for each image, for spreadsheets, pandas and BigQuery."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from cloudseg_ops.report.run_results import RunResults

COLUMNS = ("name", "generation", "outcome", "cloud_fraction", "mask_uri", "model_revision", "model_commit")
_LINE_END = "\r\n"


def csv_lines(run: RunResults) -> Iterator[str]:
    """Yield the rows, with a header; unknown values are empty."""
    yield _row(COLUMNS)
    model = run.facts.model
    revision, commit = (model.revision, model.commit) if model else (None, None)
    for result in run.images:
        source = result.source
        # A generation has 16 digits or more: readers that take it for a float lose the last ones.
        yield _row(
            (
                source.name,
                source.generation,
                result.outcome,
                result.cloud_fraction,
                run.mask_uri(result),
                revision,
                commit,
            )
        )


def _row(values: Iterable[Any]) -> str:
    stream = io.StringIO()
    # The writer quotes what contains a character of its line end, which the upload then adds itself.
    csv.writer(stream, lineterminator=_LINE_END).writerow(values)
    return stream.getvalue().removesuffix(_LINE_END)
