"""The numbers of the report, which are passed to the next task and written to the head of report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.report.chunks import Reading, outcome_counts
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.verdict import Verdict, judge_run
from cloudseg_ops.runs.failed_tasks import TASKS_NAMED, FailedTask

PHASES = ("sense", "pull", "plan", "segment", "clean")


@dataclass(frozen=True, slots=True)
class Report:
    """The numbers of a run.

    Attributes:
        counts: Number of images by outcome, as reported by the engine, including zeros.
        unfinished_chunks: Indexes of the planned chunks without a complete results file.
        lost: Number of input versions that the audit could not find.
        failed_tasks: The tasks of the run that failed.
        verdict: The run in one sentence.
        json_uri: Address of report.json.
        html_uri: Address of report.html.
        head: The head of report.json; see `to_json`.
    """

    counts: Mapping[str, int]
    unfinished_chunks: tuple[int, ...]
    lost: int
    failed_tasks: tuple[FailedTask, ...]
    verdict: Verdict
    json_uri: GcsUri
    html_uri: GcsUri
    head: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the head of report.json, without its lists, so that it is small enough for XCom."""
        return dict(self.head)


def summarize(layout: RunLayout, facts: RunFacts, reading: Reading) -> Report:
    """Combine the facts from the run's tasks with the contents of its results files.

    Args:
        layout: The run's files.
        facts: Facts from the run's tasks.
        reading: The contents of the results files.
    """
    counts = outcome_counts(reading.outcomes)
    verdict = judge_run(facts, len(reading.unfinished), reading.unreadable)
    rate = reading.images_per_second
    head = {
        "run_id": facts.run_id,
        "started": facts.started,
        "version": facts.version,
        "verdict": {"level": verdict.level.value, "headline": verdict.headline, "detail": verdict.detail},
        "objects": facts.objects,
        "bytes": facts.bytes,
        "not_taken": facts.not_taken.to_json() if facts.not_taken else None,
        "after_success": facts.after_success,
        "model": _model(facts),
        "outcomes": counts,
        "places": dict(facts.places),
        "lost": {"count": facts.lost_count, "first": list(facts.lost)},
        "proven_in_input": facts.proven,
        "cleanup": facts.cleanup.to_json() if facts.cleanup else None,
        "failed_tasks": {
            "count": len(facts.failed_tasks),
            "first": [task.to_json() for task in facts.failed_tasks[:TASKS_NAMED]],
        },
        "chunks_planned": len(reading.chunks),
        "unfinished_chunks": list(reading.unfinished),
        "unreadable": dict(reading.unreadable),
        "seconds": phase_seconds(facts, reading),
        "images_per_second": None if rate is None else round(rate, 3),
        "cloud_fraction": reading.cover.to_json(),
        "low_range": reading.low_range,
        "report_json": str(layout.report_json),
        "report_html": str(layout.report_html),
    }
    return Report(
        counts=counts,
        unfinished_chunks=reading.unfinished,
        lost=facts.lost_count,
        failed_tasks=tuple(facts.failed_tasks),
        verdict=verdict,
        json_uri=layout.report_json,
        html_uri=layout.report_html,
        head=head,
    )


def phase_seconds(facts: RunFacts, reading: Reading) -> dict[str, float]:
    """Return the known durations of the phases in seconds, in the order of a run."""
    known: dict[str, float | None] = {**facts.seconds, "segment": reading.seconds}
    order = [*PHASES, *sorted(set(known) - set(PHASES))]
    return {phase: round(seconds, 3) for phase in order if (seconds := known.get(phase)) is not None}


def _model(facts: RunFacts) -> dict[str, Any] | None:
    model = facts.model
    if model is None:
        return None
    return {
        "revision": model.revision,
        "commit": model.commit,
        "md5": model.md5,
        "digest": model.digest,
        "repository": model.repository,
    }


def figures_line(report: Report) -> str:
    """Return a run's `figures: objects=… quarantined=… quarantined_share=… lost=… unfinished_chunks=…`.

    The metrics and alerts of deploy/terraform read this line: names may be added, but not changed.

    Args:
        report: The numbers of the run; `quarantined_share` is a share of its inputs, 0–1.
    """
    objects = int(report.head["objects"])
    quarantined = report.counts[Outcome.QUARANTINED]
    return (
        f"figures: objects={objects} quarantined={quarantined} "
        f"quarantined_share={quarantined / objects if objects else 0:.6f} "
        f"lost={report.lost} unfinished_chunks={len(report.unfinished_chunks)}"
    )
