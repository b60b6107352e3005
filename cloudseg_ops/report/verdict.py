"""The run in one sentence, the worst news first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.report.facts import RunFacts


class Level(StrEnum):
    """How much a verdict asks of its reader."""

    GOOD = "good"
    ATTENTION = "attention"
    """Nothing is lost, and something is left to do."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The run in one sentence.

    Attributes:
        level: How much it asks of its reader.
        headline: A few words.
        detail: What it means and what to do next.
    """

    level: Level
    headline: str
    detail: str


def judge_run(facts: RunFacts, outcomes: Mapping[str, int], unfinished: int) -> Verdict:
    """Say how a run ended.

    Args:
        facts: What the tasks know.
        outcomes: Images by outcome.
        unfinished: Planned chunks without a complete results file.
    """
    return _bad(facts, unfinished) or _unfinished(facts, unfinished) or _unproven(facts, outcomes) or _good(facts)


def _bad(facts: RunFacts, unfinished: int) -> Verdict | None:
    if facts.lost_count:
        return Verdict(
            Level.BAD,
            f"{counted(facts.lost_count, 'input')} lost",
            "The audit found them neither in INPUT nor as a mask nor in quarantine. The first names are below: "
            "look for them in the buckets' earlier versions and audit logs before anything else is deleted."
            + (f" {counted(unfinished, 'chunk')} did not finish either." if unfinished else ""),
        )
    if facts.uncounted:
        return Verdict(
            Level.BAD,
            f"{counted(facts.uncounted, 'input')} not accounted for",
            f"The audit counted {facts.objects - facts.uncounted:,} of the snapshot's {facts.objects:,} inputs. "
            "Clear `clean_inputs`, which counts them again.",
        )
    return None


def _unfinished(facts: RunFacts, unfinished: int) -> Verdict | None:
    if not unfinished:
        return None
    detail = (
        "Nothing is lost: what they did not finish is still in INPUT. Clear their `segment` tasks, or leave it to the "
        "next run."
    )
    return Verdict(Level.ATTENTION, f"{unfinished:,} of {counted(len(facts.chunks), 'chunk')} unfinished", detail)


def _unproven(facts: RunFacts, outcomes: Mapping[str, int]) -> Verdict | None:
    if left := left_behind(facts, outcomes):
        return Verdict(
            Level.ATTENTION,
            f"{counted(left, 'input')} left in INPUT",
            "Nothing is lost. They have neither a proven mask nor a place in quarantine, so the next run takes them "
            "in again.",
        )
    return None


def _good(facts: RunFacts) -> Verdict:
    if not facts.objects:
        return Verdict(Level.GOOD, "Nothing to do", "The snapshot held no inputs.")
    fate = {
        "delete": "Inputs with a proven mask have been deleted.",
        "archive": "Inputs with a proven mask have been moved to the archive.",
        "keep": "Inputs have been kept in place.",
    }.get(facts.after_success, "")
    return Verdict(
        Level.GOOD,
        "Every input accounted for",
        f"The audit counted {counted(facts.objects, 'input')}, each in exactly one place. {fate}".strip(),
    )


def left_behind(facts: RunFacts, outcomes: Mapping[str, int]) -> int:
    """Input versions still in INPUT that should not be.

    With `after_success=keep` those that have a mask, or a copy in quarantine, stay by intention: there the results
    have to say how many these are.
    """
    left = facts.places.get(Place.INPUT, 0)
    if facts.after_success == "keep":
        left -= sum(outcomes[outcome] for outcome in (Outcome.DONE, Outcome.SKIPPED, Outcome.QUARANTINED))
    return max(0, left)


def counted(number: int, noun: str) -> str:
    """Number and noun: `1 input`, `1,200 inputs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
