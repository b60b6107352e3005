"""The numbers at the top of report.html."""

from __future__ import annotations

from dataclasses import dataclass

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.contracts.units import readable_bytes, three_digits
from cloudseg_ops.report.chunks import Reading
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.report.summary import Report
from cloudseg_ops.report.verdict import left_behind


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at the top of a page.

    Attributes:
        label: What is counted.
        value: The number.
        note: A short explanation.
        tone: `plain`, `attention` or `bad`.
    """

    label: str
    value: str
    note: str
    tone: str = "plain"


def make_tiles(report: Report, facts: RunFacts, reading: Reading) -> list[Tile]:
    """Return the six numbers at the top of the report.

    Args:
        report: The numbers of the run.
        facts: Facts from the run's tasks.
        reading: The contents of the results files.
    """
    skipped = report.counts[Outcome.SKIPPED]
    masks = _count_in_place(facts, Place.MASKED, report.counts[Outcome.DONE] + skipped)
    quarantined = _count_in_place(facts, Place.QUARANTINED, report.counts[Outcome.QUARANTINED])
    rate, seconds = reading.images_per_second, reading.seconds
    return [
        Tile("inputs", f"{facts.objects:,}", readable_bytes(facts.bytes)),
        Tile("masks", f"{masks:,}", f"{skipped:,} already existed" if skipped else "each with provenance"),
        Tile("quarantined", f"{quarantined:,}", "reasons below" if quarantined else "no bad images"),
        _audit_tile("left in INPUT", left_behind(facts), "for the next run", "attention"),
        _audit_tile("lost", report.lost, "names below", "bad"),
        Tile("images/s", three_digits(rate) if rate else "–", "over all chunks" if seconds else "nothing segmented"),
    ]


def _audit_tile(label: str, number: int, note: str, tone: str) -> Tile:
    return Tile(label, f"{number:,}", note if number else "as expected", tone if number else "plain")


def _count_in_place(facts: RunFacts, place: Place, reported: int) -> int:
    """Return the audit's count, or the engine's if inputs are kept: the audit counts all of those as in INPUT."""
    return reported if facts.after_success == "keep" else facts.places.get(place, 0)
