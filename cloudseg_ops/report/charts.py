"""The geometry of the report's charts, which the template draws as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloudseg_ops.contracts.units import readable_percent

WIDTH, HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 44
_GAP = 2.0
_THINNEST = 0.7


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram, in the chart's units, with its tooltip."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of cloud fractions.

    Attributes:
        bars: One bar per bin.
        x_ticks: Ticks of the cloud fraction.
        y_ticks: Ticks of the number of images.
        mean_x: Position of the mean.
        mean_label: Label of the mean.
        mean_anchor: SVG text-anchor that keeps the label within the chart.
    """

    bars: list[Bar]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    mean_x: float
    mean_label: str
    mean_anchor: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def draw_histogram(counts: Sequence[int], mean: float) -> Histogram:
    """Lay out a histogram of cloud fractions.

    Args:
        counts: Number of images by bin; the bins divide 0–1 equally.
        mean: Mean cloud fraction, 0–1.
    """
    plot_width, plot_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    ticks = count_ticks(max(counts))
    bin_width = plot_width / len(counts)

    def bar(index: int, count: int) -> Bar:
        height = plot_height * count / ticks[-1]
        span = f"{100 * index / len(counts):.0f}–{100 * (index + 1) / len(counts):.0f} % cloud"
        return Bar(
            round(_LEFT + index * bin_width + _GAP / 2, 2),
            round(_TOP + plot_height - height, 2),
            round(bin_width - _GAP, 2),
            round(height, 2),
            f"{span}: {count:,} image{'' if count == 1 else 's'}",
        )

    return Histogram(
        bars=[bar(index, count) for index, count in enumerate(counts)],
        x_ticks=[Tick(_LEFT + plot_width * quarter / 4, f"{25 * quarter} %") for quarter in range(5)],
        y_ticks=[Tick(round(_TOP + plot_height * (1 - tick / ticks[-1]), 2), _short(tick)) for tick in ticks],
        mean_x=round(_LEFT + plot_width * mean, 2),
        mean_label=f"mean {readable_percent(mean)}",
        mean_anchor="start" if mean < 0.1 else "end" if mean > 0.9 else "middle",
    )


def count_ticks(highest: int) -> list[int]:
    """Return two to five round numbers from 0 to at least `highest`."""
    rough = max(1, highest) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = max(1, math.ceil(next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)))
    return [step * index for index in range(math.ceil(max(1, highest) / step) + 1)]


def _short(number: int) -> str:
    """Format a round number to fit left of the axis: `2,500`, `25k`, `1.5M`."""
    if number >= 1_000_000:
        return f"{number / 1_000_000:g}M"
    return f"{number / 1000:g}k" if number >= 10_000 else f"{number:,}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a stacked bar that is 100 units wide.

    Attributes:
        key: What is counted.
        count: The count.
        x: Start of the segment, 0–100.
        width: Width of the segment.
    """

    key: str
    count: int
    x: float
    width: float


def stack(counts: Mapping[str, int]) -> list[Segment]:
    """Return counts as segments of a stacked bar, without zeros and with a minimum width."""
    present = {key: count for key, count in counts.items() if count > 0}
    total = sum(present.values())
    widths = {key: max(100 * count / total, _THINNEST) for key, count in present.items()}
    scale = 100 / sum(widths.values()) if widths else 1.0
    segments: list[Segment] = []
    x = 0.0
    for key, count in present.items():
        width = widths[key] * scale
        segments.append(Segment(key, count, round(x, 3), round(width, 3)))
        x += width
    return segments
