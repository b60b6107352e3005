"""The verdict on a run: one sentence about the most serious finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from cloudseg_ops.contracts.proof import Place
from cloudseg_ops.report.facts import RunFacts
from cloudseg_ops.runs.failed_tasks import name_tasks


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


def judge_run(facts: RunFacts, unfinished: int, unreadable: Mapping[str, int] = MappingProxyType({})) -> Verdict:
    """Return the verdict on a run.

    Args:
        facts: Facts from the run's tasks.
        unfinished: Number of planned chunks without a complete results file.
        unreadable: Number of inputs that Cloud Storage refused to return, by reason.
    """
    return (
        _bad(facts, unfinished)
        or _not_deleted(facts, unfinished)
        or _unfinished(facts, unfinished)
        or _failed(facts)
        or _unreadable(unreadable)
        or _unproven(facts)
        or _good(facts)
    )


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


def _not_deleted(facts: RunFacts, unfinished: int) -> Verdict | None:
    if facts.cleanup is None or not facts.cleanup.refused:
        return None
    detail = (
        "Nothing is lost: each of these inputs has a proven mask or a copy in quarantine, and is still in INPUT. "
        f"{facts.cleanup.describe()}. Release holds, wait until retention ends, or grant the missing permission; then "
        "clear `clean_inputs`."
    )
    if unfinished:
        detail += f" {counted(unfinished, 'chunk')} did not finish either."
    return Verdict(Level.ATTENTION, f"{counted(facts.cleanup.refused, 'input')} could not be deleted", detail)


def _unfinished(facts: RunFacts, unfinished: int) -> Verdict | None:
    if not unfinished:
        return None
    detail = (
        "Nothing is lost: unfinished inputs are still in INPUT. Clear the chunks' `segment` tasks, or leave the inputs "
        "to the next run."
    )
    if facts.failed_tasks:
        detail += f" Failed tasks: {name_tasks(facts.failed_tasks)}."
    return Verdict(Level.ATTENTION, f"{unfinished:,} of {counted(len(facts.chunks), 'chunk')} unfinished", detail)


def _failed(facts: RunFacts) -> Verdict | None:
    if not facts.failed_tasks:
        return None
    first = facts.failed_tasks[0]
    reason = f"{first.name}: {first.message} {first.todo}" if first.message else f"The log of {first.name} says why."
    place = f" {counted(facts.proven, 'input')} with a proof could not be cleaned up." if _cleans(facts) else ""
    return Verdict(
        Level.ATTENTION,
        f"{counted(len(facts.failed_tasks), 'task')} failed: {name_tasks(facts.failed_tasks)}",
        f"Nothing is lost.{place} {reason}",
    )


def _cleans(facts: RunFacts) -> bool:
    return facts.after_success != "keep" and facts.cleanup is None and facts.proven > 0


def _unreadable(reasons: Mapping[str, int]) -> Verdict | None:
    if not reasons:
        return None
    named = "; ".join(f"{counted(count, 'input')}: {reason}" for reason, count in reasons.items())
    return Verdict(
        Level.ATTENTION,
        f"{counted(sum(reasons.values()), 'input')} could not be read",
        f"Nothing is lost: they stay in INPUT, and each run tries them again. Their names are below. {named}.",
    )


def _unproven(facts: RunFacts) -> Verdict | None:
    if left := left_behind(facts):
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


def left_behind(facts: RunFacts) -> int:
    """Return the number of input versions that are in INPUT without a proof, and so wait for the next run."""
    return max(0, facts.places.get(Place.INPUT, 0) - facts.proven)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 input`, `1,200 inputs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
