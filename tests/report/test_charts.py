from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.report.charts import count_ticks, draw_histogram, stack


@given(st.integers(0, 10_000_000))
def test_ticks_are_few_evenly_spaced_and_reach_the_maximum(most: int) -> None:
    ticks = count_ticks(most)
    assert 2 <= len(ticks) <= 5
    assert ticks[0] == 0
    assert ticks[-1] >= most
    assert len({after - before for before, after in pairwise(ticks)}) == 1


@given(st.lists(st.integers(0, 1_000_000), min_size=20, max_size=20), st.floats(0, 1))
def test_a_histogram_stays_within_its_frame(counts: list[int], mean: float) -> None:
    chart = draw_histogram(counts, mean)
    for bar, count in zip(chart.bars, counts, strict=True):
        assert chart.left <= bar.x <= bar.x + bar.width <= chart.right
        assert chart.top - 0.01 <= bar.y <= chart.bottom + 0.01
        assert bar.y + bar.height == pytest.approx(chart.bottom, abs=0.02)
        assert f": {count:,} image" in bar.title
    assert chart.left <= chart.mean_x <= chart.right


def test_bar_height_is_proportional_to_the_count() -> None:
    chart = draw_histogram([100, 50] + [0] * 18, 0.03)
    assert chart.bars[0].height == 2 * chart.bars[1].height > 0
    assert chart.bars[2].height == 0
    assert chart.mean_label == "mean 3 %"
    assert [tick.label for tick in chart.x_ticks] == ["0 %", "25 %", "50 %", "75 %", "100 %"]


def test_large_counts_have_short_labels() -> None:
    labels = [tick.label for tick in draw_histogram([900_000] + [0] * 19, 0).y_ticks]
    assert labels == ["0", "250k", "500k", "750k", "1M"]


def test_stack_fills_the_bar_and_shows_small_parts() -> None:
    segments = stack({"masked": 999_999, "quarantined": 0, "lost": 1})
    assert [segment.key for segment in segments] == ["masked", "lost"]
    assert segments[1].width > 0.5
    assert segments[1].x == pytest.approx(segments[0].width, abs=0.01)
    assert sum(segment.width for segment in segments) == pytest.approx(100, abs=0.01)


def test_an_empty_stack_has_no_parts() -> None:
    assert stack({"masked": 0}) == []
