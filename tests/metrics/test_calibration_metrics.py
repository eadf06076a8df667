"""Calibration error and Brier score against scikit-learn, a plain loop and counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from beatsight.errors import InputError
from beatsight.metrics import bin_edges, bin_of, brier_score, expected_calibration_error, reliability

EXACT = 1e-9
# Scores on the edges of bins, tied ones, and any others.
SCORES = st.one_of(
    st.integers(0, 15).map(lambda n: n / 15), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1)
)
FORECASTS = st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=80)
BINS = st.sampled_from([1, 2, 10, 15])


def _plain_error(truth: list[bool], scores: list[float], bins: int) -> float:
    """Guo et al. (2017), equation 3, with their half-open bins, one forecast after the other."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    total = 0.0
    for index in range(bins):
        low, high = edges[index], edges[index + 1]
        inside = [
            (true, score)
            for true, score in zip(truth, scores, strict=True)
            if low < score <= high or (index == 0 and score == 0)
        ]
        if inside:
            said = math.fsum(score for _, score in inside) / len(inside)
            so = sum(true for true, _ in inside) / len(inside)
            total += len(inside) / len(truth) * abs(said - so)
    return total


@given(FORECASTS, BINS)
@settings(max_examples=300)
def test_equal_width_bins_equal_a_plain_loop(forecasts: list[tuple[bool, float]], bins: int) -> None:
    truth, scores = [true for true, _ in forecasts], [score for _, score in forecasts]
    expected = _plain_error(truth, scores, bins)
    assert expected_calibration_error(truth, scores, bins) == pytest.approx(expected, abs=EXACT)


@given(FORECASTS, BINS, st.booleans())
@settings(max_examples=300)
def test_bins_equal_scikit_learns(forecasts: list[tuple[bool, float]], bins: int, equal_mass: bool) -> None:
    truth, scores = [true for true, _ in forecasts], [score for _, score in forecasts]
    table = reliability(truth, scores, bins, equal_mass)
    used = table.count > 0
    strategy = "quantile" if equal_mass else "uniform"
    true, said = calibration_curve(truth, scores, n_bins=bins, strategy=strategy, pos_label=True)
    np.testing.assert_allclose(table.mean_truth[used], true, atol=EXACT)
    np.testing.assert_allclose(table.mean_score[used], said, atol=EXACT)
    assert table.count.sum() == len(truth) and table.positives.sum() == sum(truth)
    assert np.isnan(table.mean_score[~used]).all() and np.isnan(table.mean_truth[~used]).all()
    assert (np.diff(table.edges) >= 0).all() and len(table.edges) == bins + 1


def test_an_edge_upon_tied_scores_rounds_as_scikit_learns() -> None:
    scores = [0.0] * 17 + [1 / 15] + [2 / 15] * 9
    table = reliability([False] * len(scores), scores, 15, equal_mass=True)
    _, said = calibration_curve([0] * len(scores), scores, n_bins=15, strategy="quantile", pos_label=1)
    np.testing.assert_array_equal(table.mean_score[table.count > 0], said)


@given(FORECASTS)
def test_brier_score_equals_scikit_learns(forecasts: list[tuple[bool, float]]) -> None:
    truth, scores = [true for true, _ in forecasts], [score for _, score in forecasts]
    expected = brier_score_loss(truth, scores, pos_label=True)
    assert brier_score(truth, scores) == pytest.approx(expected, abs=EXACT)


@given(FORECASTS, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_forecasts_changes_no_bin(forecasts, equal_mass: bool, random) -> None:
    shuffled = list(forecasts)
    random.shuffle(shuffled)
    one, other = (
        reliability([t for t, _ in rows], [s for _, s in rows], 5, equal_mass)
        for rows in (forecasts, shuffled)
    )
    np.testing.assert_array_equal(one.count, other.count)
    np.testing.assert_array_equal(one.positives, other.positives)


def test_planted() -> None:
    # Four forecasts of 0.8 of which two come true; six of 0.1 of which none does.
    truth, scores = [True, True, False, False] + [False] * 6, [0.8] * 4 + [0.1] * 6
    assert expected_calibration_error(truth, scores) == pytest.approx(0.4 * 0.3 + 0.6 * 0.1)
    assert expected_calibration_error(truth, scores, 1) == pytest.approx(abs(0.38 - 0.2))
    assert brier_score(truth, scores) == pytest.approx((2 * 0.04 + 2 * 0.64 + 6 * 0.01) / 10)
    assert expected_calibration_error([True, False], [1.0, 0.0]) == 0.0


def test_scores_that_are_probabilities_have_little_error() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random((20_000, 4))
    truth = rng.random(scores.shape) < scores
    assert expected_calibration_error(truth, scores) < 0.01
    assert expected_calibration_error(truth, scores, equal_mass=True) < 0.01
    assert expected_calibration_error(truth, np.clip(scores * 1.3, 0, 1)) > 0.08
    # Mean of p(1 - p) over 0..1.
    assert brier_score(truth, scores) == pytest.approx(1 / 6, abs=0.005)


def test_equal_mass_bins_hold_equally_many() -> None:
    scores = np.random.default_rng(0).random(1500) ** 3
    assert set(reliability(scores > 0.5, scores, 15, equal_mass=True).count) == {100}


def test_edges_belong_to_the_bin_below() -> None:
    edges = bin_edges([], 15)
    assert bin_of(edges, edges).tolist() == [0, *range(15)]


def test_no_forecast_has_no_error() -> None:
    assert math.isnan(expected_calibration_error([], []))
    assert math.isnan(expected_calibration_error([], [], equal_mass=True))
    assert math.isnan(brier_score([], []))


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([True], [1.5], "not a number in 0..1"),
        ([True], [-0.1], "not a number in 0..1"),
        ([True], [float("nan")], "not a number in 0..1"),
        ([True, False], [0.5], r"truth \(2,\) and scores \(1,\)"),
    ],
)
def test_what_is_no_forecast_is_refused(truth: list[bool], scores: list[float], message: str) -> None:
    for measure in (reliability, brier_score):
        with pytest.raises(InputError, match=message):
            measure(truth, scores)


def test_no_bins_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        reliability([True], [0.5], 0)
