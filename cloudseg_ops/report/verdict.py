"""The verdict on a run: one sentence about the most serious finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.contracts.results import Outcome
from cloudseg_ops.report.facts import RunFacts


class Level(StrEnum):
    """The severity of a verdict."""

    GOOD = "good"
    ATTENTION = "attention"
    """Nothing is lost, but something is left to do."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The run in one sentence.

    Attributes:
        level: Severity.
        headline: The verdict in a few words.
        detail: What it means, and what to do next.
    """

    level: Level
    headline: str
    detail: str


def judge_run(facts: RunFacts, outcomes: Mapping[str, int], unfinished: int) -> Verdict:
    """Return the verdict on a run.

    Args:
        facts: Facts from the run's tasks.
        outcomes: Number of images by outcome.
        unfinished: Number of planned chunks without a complete results file.
    """
    return _bad(facts, unfinished) or _unfinished(facts, unfinished) or _unproven(facts, outcomes) or _good(facts)


def _bad(facts: RunFacts, unfinished: int) -> Verdict | None:
    if facts.lost_count:
        return Verdict(
            Level.BAD,
            f"{counted(facts.lost_count, 'input')} lost",
            "The audit found neither the inputs nor their masks nor copies in quarantine. The first names are below: "
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
        "Nothing is lost: unfinished inputs are still in INPUT. Clear the chunks' `segment` tasks, or leave the inputs "
        "to the next run."
    )
    return Verdict(Level.ATTENTION, f"{unfinished:,} of {counted(len(facts.chunks), 'chunk')} unfinished", detail)


def _unproven(facts: RunFacts, outcomes: Mapping[str, int]) -> Verdict | None:
    if left := left_behind(facts, outcomes):
        return Verdict(
            Level.ATTENTION,
            f"{counted(left, 'input')} left in INPUT",
            "Nothing is lost. These inputs have neither a proven mask nor a copy in quarantine; the next run will "
            "process them again.",
        )
    return None


def _good(facts: RunFacts) -> Verdict:
    if not facts.objects:
        return Verdict(Level.GOOD, "Nothing to do", "The snapshot has no inputs.")
    fate = {
        "delete": "Inputs with a proven mask have been deleted.",
        "archive": "Inputs with a proven mask have been moved to the archive.",
        "keep": "All inputs have been kept in INPUT.",
    }.get(facts.after_success, "")
    return Verdict(
        Level.GOOD,
        "Every input accounted for",
        f"The audit counted {counted(facts.objects, 'input')}, each in exactly one place. {fate}".strip(),
    )


def left_behind(facts: RunFacts, outcomes: Mapping[str, int]) -> int:
    """Return the number of input versions that should no longer be in INPUT.

    With `after_success=keep`, inputs with a mask or a quarantine copy stay on purpose; their number is taken from the
    results.
    """
    left = facts.places.get(Place.INPUT, 0)
    if facts.after_success == "keep":
        left -= sum(outcomes[outcome] for outcome in (Outcome.DONE, Outcome.SKIPPED, Outcome.QUARANTINED))
    return max(0, left)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 input`, `1,200 inputs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
