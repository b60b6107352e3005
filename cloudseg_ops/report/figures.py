"""A run's figures as one log line, for whatever watches logs."""

from __future__ import annotations

from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.report.summary import Report


def figures_line(report: Report) -> str:
    """Sum a run up as `figures: objects=… quarantined=… quarantined_share=… lost=… unfinished_chunks=…`.

    The metrics and alerts of deploy/terraform read this line: names may be added, none may be changed.

    Args:
        report: The run in numbers; `quarantined_share` is a share of its inputs, 0–1.
    """
    objects = int(report.head["objects"])
    quarantined = report.counts[Outcome.QUARANTINED]
    return (
        f"figures: objects={objects} quarantined={quarantined} "
        f"quarantined_share={quarantined / objects if objects else 0:.6f} "
        f"lost={report.lost} unfinished_chunks={len(report.unfinished_chunks)}"
    )
