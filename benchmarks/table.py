"""Formats the results: medians with spreads, and ratios, one block of lines per row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.planning import CONTENDERS

_BUSY = 0.7
RATIOS = (("b", "a"), ("b", "c"), ("b", "d"), ("b", "e"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One contender in one repeat.

    Attributes:
        contender: A key of `CONTENDERS`.
        repeat: Index of the repeat, from 0.
        images: Number of images processed.
        steady: Images per second over the later half of the masks; for a, over all counted passes.
        with_cleaning: The same, including deletion of the photographs if that is a separate step; else `steady`.
        whole: Images per second of the whole process, including its start and the deletion of the photographs.
        seconds: Wall-clock seconds of the whole process.
        cpu_seconds: CPU seconds of the process tree.
        peak_mib: Peak memory of the process tree.
        agreement: Mean and minimum share of pixels that agree with plain float32; None: not checked.
        error: Why there are no figures.
        more: Further figures, for JSON.
    """

    contender: str
    repeat: int
    images: int = 0
    steady: float = 0.0
    with_cleaning: float = 0.0
    whole: float | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    agreement: tuple[float, float] | None = None
    error: str | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum of some figures."""

    median: float
    least: float
    most: float

    def format(self, digits: int = 3) -> str:
        """Format as `1.23 (1.11–1.40)`, with this many significant digits."""
        median, least, most = (format_number(value, digits) for value in (self.median, self.least, self.most))
        return f"{median} ({least}–{most})"


def spread(values: Iterable[float]) -> Spread | None:
    """Return the spread of some figures; None if there are none."""
    found = list(values)
    return Spread(statistics.median(found), min(found), max(found)) if found else None


def format_number(value: float, digits: int = 3) -> str:
    """Format a number with this many significant digits, without an exponent."""
    if value == 0:
        return "0"
    before_point = math.floor(math.log10(abs(value))) + 1
    return f"{value:.{max(0, digits - before_point)}f}"


def ratios(outcomes: Sequence[Outcome]) -> dict[str, Spread]:
    """Return b/a, b/c, b/d and b/e in steady state, each as the spread of the ratios within the repeats.

    b/a uses the engine's rate alone. The others use its rate including the deletion of the photographs, because c, d
    and e delete them as they go.
    """
    return _ratios(outcomes, lambda one, under: one.steady if under == "a" else one.with_cleaning)


def whole_ratios(outcomes: Sequence[Outcome]) -> dict[str, Spread]:
    """Return b/c, b/d and b/e of whole processes, like `ratios`."""
    found = _ratios(outcomes, lambda one, _: one.whole or 0.0)
    return {name: value for name, value in found.items() if name != "b/a"}


def _ratios(outcomes: Sequence[Outcome], rate: Callable[[Outcome, str], float]) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    for over, under in RATIOS:
        values = []
        for repeat in sorted({outcome.repeat for outcome in outcomes}):
            pair = {one.contender: one for one in outcomes if one.repeat == repeat and not one.error}
            if over in pair and under in pair and (below := rate(pair[under], under)) > 0:
                values.append(rate(pair[over], under) / below)
        if measured := spread(values):
            found[f"{over}/{under}"] = measured
    return found


_COLUMNS = ("", "steady images/s", "whole process", "peak MiB", "CPU s/image", "images", "process s", "agreeing pixels")
_WIDTHS = (24, 22, 14, 9, 12, 7, 10, 20)


def emulator_share(outcomes: Sequence[Outcome]) -> float | None:
    """Return the median share of b's time in which the single-threaded emulator was busy."""
    shares = [
        one.more["emulator_cpu_seconds"] / one.images * one.steady
        for one in outcomes
        if one.contender == "b" and "emulator_cpu_seconds" in one.more
    ]
    return statistics.median(shares) if shares else None


def row_lines(title: str, outcomes: Sequence[Outcome], *, free: bool) -> list[str]:
    """Format one row.

    Args:
        title: The row's title.
        outcomes: Outcomes of all contenders and repeats.
        free: Whether the model costs nothing, so that b/a is meaningless.
    """
    lines = ["", title, _line(_COLUMNS)]
    for contender, name in CONTENDERS.items():
        if own_outcomes := [one for one in outcomes if one.contender == contender]:
            lines.append(contender_line(f"{contender}  {name}", own_outcomes))
    formatted = [f"{name} {value.format()}" for name, value in ratios(outcomes).items() if not (free and name == "b/a")]
    if (busy := emulator_share(outcomes)) and busy > _BUSY:
        lines.append(f"   the emulator was busy for {busy:.0%} of b's time: it may limit b's rate")
    lines.append("   ratios, steady: " + ("   ".join(formatted) or "none: no two contenders were measured"))
    if whole := [f"{name} {value.format()}" for name, value in whole_ratios(outcomes).items()]:
        lines.append("   ratios, whole process: " + "   ".join(whole))
    return lines


def contender_line(name: str, outcomes: Sequence[Outcome]) -> str:
    """Format a contender's line: medians over the repeats, the rate with its spread."""
    good = [one for one in outcomes if not one.error]
    if not good:
        return f"{name:<{_WIDTHS[0]}}{outcomes[0].error}"
    agreed = [one.agreement for one in good if one.agreement]
    rate = spread(one.steady for one in good)
    assert rate
    whole = [one.whole for one in good if one.whole]
    cells = (
        name,
        rate.format(),
        format_number(statistics.median(whole)) if whole else "–",
        f"{statistics.median(one.peak_mib for one in good):.0f}",
        format_number(statistics.median(one.cpu_seconds / one.images for one in good)) if good[0].images else "–",
        f"{statistics.median(one.images for one in good):.0f}" if good[0].images else "–",
        format_number(statistics.median(one.seconds for one in good)),
        f"{min(least for _, least in agreed):.4%} least" if agreed else "not checked",
    )
    failed = [one for one in outcomes if one.error]
    return _line(cells) + (f"  ({len(failed)} of {len(outcomes)} failed: {failed[0].error})" if failed else "")


def _line(cells: Sequence[str]) -> str:
    return cells[0].ljust(_WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], _WIDTHS[1:], strict=True)
    )
