"""The formats of a run's results, as a table: adding one is an entry here, and the module of its writer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloudseg_ops.config.extensions import find_entry
from cloudseg_ops.contracts.imports import import_reference

REPORT_FORMAT = "json"
"""Written for every run: forecasts, the gallery and notifications read it."""


@dataclass(frozen=True, slots=True)
class ResultsFormat:
    """A file with the results of a run, in the folder of its report.

    Attributes:
        file: Its name.
        content_type: Its media type.
        writer: `module:function` that yields the file's lines, without line ends, from a `report.RunResults`. It is
            imported when a report is written.
    """

    file: str
    content_type: str
    writer: str

    def load_writer(self) -> Any:
        """Import the writer."""
        return import_reference(self.writer)


RESULTS_FORMATS: dict[str, ResultsFormat] = {
    REPORT_FORMAT: ResultsFormat(
        file="report.json",
        content_type="application/json",
        writer="cloudseg_ops.report.json_writer:json_lines",
    ),
    "csv": ResultsFormat(
        file="results.csv",
        content_type="text/csv; charset=utf-8",
        writer="cloudseg_ops.report.csv_writer:csv_lines",
    ),
}


def find_results_format(name: str) -> ResultsFormat:
    """Find a format by its name in the table, or in a team's own module.

    Raises:
        SettingsError: There is no such format.
    """
    return find_entry("CLOUDSEG_RESULTS_FORMATS", name, RESULTS_FORMATS, ResultsFormat)
