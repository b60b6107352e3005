import math

import numpy as np
import pytest
from baseline import fit_limit, red_blue_ratio
from data import CLEAR, CLOUD, UNDEFINED, Example
from metrics import Counts, Figures

LABEL = np.array([[CLOUD, CLOUD, CLOUD, CLEAR], [CLEAR, CLEAR, UNDEFINED, UNDEFINED]], np.uint8)
FOUND = np.array([[True, True, False, True], [False, False, True, False]])


def test_counts_leave_undefined_pixels_out() -> None:
    assert Counts.of(FOUND, LABEL) == Counts(hits=2, false_alarms=1, misses=1, rejections=2)


def test_figures_match_those_counted_by_hand() -> None:
    counts = Counts.of(FOUND, LABEL)

    assert counts.iou == pytest.approx(2 / 4)
    assert counts.accuracy == pytest.approx(4 / 6)


def test_pooled_iou_weighs_pixels_and_mean_iou_weighs_pictures() -> None:
    large, small = Counts(hits=90, misses=10), Counts(hits=1, false_alarms=3)
    figures = Figures.of([large, small])

    assert figures.pooled_iou == pytest.approx(91 / 104)
    assert figures.mean_iou == pytest.approx((0.9 + 0.25) / 2)
    assert figures.accuracy == pytest.approx(91 / 104)


def test_correct_clear_picture_counts_only_in_accuracy() -> None:
    clear = Counts(rejections=50)

    assert math.isnan(clear.iou)
    assert Figures.of([clear, Counts(hits=1, misses=1)]).mean_iou == pytest.approx(0.5)
    assert clear.accuracy == 1


def test_red_blue_ratio_of_known_colors() -> None:
    colors = np.array([[[9, 50, 99], [199, 200, 199], [0, 0, 0]]], np.uint8)

    np.testing.assert_allclose(red_blue_ratio(colors), [[0.1, 1.0, 1.0]], rtol=1e-6)


def test_fitted_limit_separates_colors_and_ignores_undefined_pixels() -> None:
    image = np.zeros((1, 4, 3), np.uint8)
    image[0] = [[59, 90, 199], [79, 90, 199], [149, 150, 199], [0, 0, 255]]  # ratios 0.3, 0.4, 0.75, almost 0
    label = np.array([[CLEAR, CLEAR, CLOUD, UNDEFINED]], np.uint8)

    assert 0.4 < fit_limit([Example("one", image, label)]) <= 0.75
