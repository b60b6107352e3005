"""Formats the table that the demo prints at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.runs.audit import Audit


def summary_table(head: Mapping[str, Any] | None, audit: Audit, report: Path | None, state: str) -> str:
    """Return a table for the terminal that summarizes a run.

    Args:
        head: The head of report.json; None if the run wrote no report.
        audit: Where the run's inputs are.
        report: The local copy of report.html; None if there is none.
        state: The run's final state.
    """
    rows: list[tuple[str, str]] = [
        ("run", state),
        ("objects", str(audit.objects)),
        ("masks", str(audit.places[Place.MASKED])),
        ("quarantined", str(audit.places[Place.QUARANTINED])),
        ("left in input", str(audit.places[Place.INPUT])),
    ]
    if superseded := audit.places[Place.SUPERSEDED]:
        rows.append(("newer uploaded", str(superseded)))
    rows.append(("LOST" if audit.places[Place.LOST] else "lost", str(audit.places[Place.LOST])))
    if head:
        rows += _of_report(head)
    rows.append(("report", str(report) if report else "none was written"))
    return frame(rows)


def _of_report(head: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if rate := head["images_per_second"]:
        rows.append(("images/s", f"{rate:.1f}"))
    rows.append(("seconds", ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in head["seconds"].items())))
    if model := head["model"]:
        rows.append(("model", f"{model['revision']} = commit {model['commit']}"))
    if (mean := head["cloud_fraction"].get("mean")) is not None:
        rows.append(("cloud fraction", f"{mean:.1%} on average"))
    return rows


def frame(rows: Sequence[tuple[str, str]]) -> str:
    """Format rows as two aligned columns between rules."""
    left = max(len(name) for name, _ in rows)
    right = max(len(value) for _, value in rows)
    rule = "─" * (left + right + 4)
    return "\n".join([rule, *(f" {name:<{left}}  {value}" for name, value in rows), rule])
