import math
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudseg_ops.report.cover import BINS, CloudCover, checked_fraction


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_mean_and_median_are_those_of_all_values(fractions: list[float]) -> None:
    cover = CloudCover()
    for fraction in fractions:
        cover.add(fraction)
    assert cover.mean == pytest.approx(statistics.mean(fractions), abs=1e-9)
    assert cover.median == pytest.approx(statistics.median(fractions), abs=0.5e-4 + 1e-9)
    assert sum(cover.bins) == cover.count == len(fractions)


def test_histogram_bins_include_their_lower_bound() -> None:
    cover = CloudCover()
    for fraction in (0.0, 0.049, 0.05, 0.999, 1.0):
        cover.add(fraction)
    assert cover.bins == [2, 1] + [0] * (BINS - 3) + [2]


def test_no_images_have_neither_mean_nor_median() -> None:
    cover = CloudCover()
    assert cover.mean is None
    assert cover.median is None
    assert cover.to_json()["images"] == 0


@pytest.mark.parametrize("value", [None, True, "0.5", math.nan, math.inf, -0.01, 1.01, [0.5]])
def test_invalid_fraction_is_none(value: Any) -> None:
    assert checked_fraction(value) is None


@pytest.mark.parametrize("value", [0, 1, 0.25])
def test_valid_fraction_is_unchanged(value: float) -> None:
    assert checked_fraction(value) == value
