"""The numbers at the top of the page."""

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
    """A number at the top of the page.

    Attributes:
        label: What it counts.
        value: The number.
        note: A few words more.
        tone: `plain`, `attention` or `bad`.
    """

    label: str
    value: str
    note: str
    tone: str = "plain"


def make_tiles(report: Report, facts: RunFacts, reading: Reading) -> list[Tile]:
    """The run in six numbers."""
    skipped = report.counts[Outcome.SKIPPED]
    masks = _in_place(facts, Place.MASKED, report.counts[Outcome.DONE] + skipped)
    quarantined = _in_place(facts, Place.QUARANTINED, report.counts[Outcome.QUARANTINED])
    rate, seconds = reading.images_per_second, reading.seconds
    return [
        Tile("inputs", f"{facts.objects:,}", readable_bytes(facts.bytes)),
        Tile("masks", f"{masks:,}", f"{skipped:,} from before" if skipped else "each names its origin"),
        Tile("quarantined", f"{quarantined:,}", "see why below" if quarantined else "no bad images"),
        _audit_tile("left in INPUT", left_behind(facts, report.counts), "for the next run", "attention"),
        _audit_tile("lost", report.lost, "names below", "bad"),
        Tile("images/s", three_digits(rate) if rate else "–", "over all chunks" if seconds else "nothing segmented"),
    ]


def _audit_tile(label: str, number: int, note: str, tone: str) -> Tile:
    return Tile(label, f"{number:,}", note if number else "as it should be", tone if number else "plain")


def _in_place(facts: RunFacts, place: Place, said: int) -> int:
    """What the audit counted, or the engine said where the audit cannot tell: a kept input is in INPUT for it."""
    return said if facts.after_success == "keep" else facts.places.get(place, 0)
