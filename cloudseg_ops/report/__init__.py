"""The run report: report.json for programs, report.html for people, both in OUTPUT.

The report tells; it proves nothing. Counts per place come from the audit, which reads the buckets; counts per
outcome, times and cloud fractions come from the chunks' results files, which are what the engine said it did.
"""

from __future__ import annotations

from cloudseg_ops.report.facts import PlannedChunk, RunFacts
from cloudseg_ops.report.run_results import RunResults
from cloudseg_ops.report.summary import Report
from cloudseg_ops.report.writing import write_report

__all__ = ["PlannedChunk", "Report", "RunFacts", "RunResults", "write_report"]
