"""ROC, average precision and FPR at a TPR against scikit-learn and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from beatsight.errors import InputError
from beatsight.metrics import (
    area_under,
    auroc,
    average_precision,
    corners,
    fpr_at_tpr,
    operating_point,
    precision_recall,
    roc_curve,
)

EXACT = 1e-9
# Few distinct values, so that most samples are tied; and any values at all, huge and tiny ones among them.
TIED = st.integers(-3, 3).map(float)
ANY = st.floats(allow_nan=False, allow_infinity=False)
SAMPLES = st.sampled_from([TIED, ANY]).flatmap(
    lambda scores: st.lists(st.tuples(st.booleans(), scores), min_size=2, max_size=60)
)


def _two_groups(samples: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    truth = np.array([known for known, _ in samples])
    # Both groups are there; every other property of the list stays as drawn.
    truth[0], truth[1] = True, False
    return truth, np.array([score for _, score in samples])


@given(SAMPLES)
@settings(max_examples=300)
def test_equal_to_scikit_learn(samples: list[tuple[bool, float]]) -> None:
    truth, scores = _two_groups(samples)
    curve = roc_curve(truth, scores)
    fpr, tpr, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
    np.testing.assert_allclose(curve.fpr, fpr, atol=EXACT)
    np.testing.assert_allclose(curve.tpr, tpr, atol=EXACT)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert auroc(truth, scores) == pytest.approx(sk.roc_auc_score(truth, scores), abs=EXACT)
    assert average_precision(truth, scores) == pytest.approx(
        sk.average_precision_score(truth, scores), abs=EXACT
    )
    assert fpr_at_tpr(truth, scores) == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=EXACT)
    precision, recall, at = sk.precision_recall_curve(truth, scores)
    points = precision_recall(truth, scores)
    np.testing.assert_allclose(points.precision, precision[:-1][::-1], atol=EXACT)
    np.testing.assert_allclose(points.recall, recall[:-1][::-1], atol=EXACT)
    np.testing.assert_array_equal(points.thresholds, at[::-1])


@given(SAMPLES, st.randoms(use_true_random=False))
def test_the_order_of_the_samples_changes_nothing(samples: list[tuple[bool, float]], random) -> None:
    truth, scores = _two_groups(samples)
    order = list(range(len(truth)))
    random.shuffle(order)
    for measure in (auroc, average_precision, fpr_at_tpr):
        assert measure(truth, scores) == measure(truth[order], scores[order])


@given(SAMPLES)
def test_auroc_is_the_share_of_pairs_in_the_right_order(samples: list[tuple[bool, float]]) -> None:
    truth, scores = _two_groups(samples)
    pairs = [
        (a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]
    ]  # Mann and Whitney's count, ties half
    assert auroc(truth, scores) == pytest.approx(np.mean(pairs), abs=EXACT)


@given(SAMPLES)
def test_corners_carry_the_whole_curve(samples: list[tuple[bool, float]]) -> None:
    curve = roc_curve(*_two_groups(samples))
    kept = corners(curve)
    assert kept[0] == 0 and kept[-1] == len(curve.thresholds) - 1
    # Along the sum of both rates, which rises at every point, straight lines give back what was dropped.
    way = curve.fpr + curve.tpr
    np.testing.assert_allclose(np.interp(way, way[kept], curve.tpr[kept]), curve.tpr, atol=EXACT)
    assert area_under(curve) == pytest.approx(np.trapezoid(curve.tpr[kept], curve.fpr[kept]), abs=EXACT)


@pytest.mark.parametrize(
    ("positive", "negative", "area", "average", "fpr"),
    [
        ([0.9], [0.1], 1.0, 1.0, 0.0),  # one of each
        ([0.1], [0.9], 0.0, 0.5, 1.0),
        ([0.5], [0.5], 0.5, 0.5, 1.0),
        ([0.5], [0.9, 0.5, 0.1], 0.5, 1 / 3, 2 / 3),  # a single positive, tied with one of three
        ([0.5] * 20, [0.5] * 5, 0.5, 0.8, 1.0),  # nothing tells them apart
        ([0.9] * 19 + [0.0], [0.5] * 4, 0.95, 0.95 + 0.05 * 20 / 24, 0.0),  # 19 of 20 are 95 %, exactly
        ([0.9] * 18 + [0.4, 0.0], [0.5] * 4, 0.9, 0.9 + 0.05 * 19 / 23 + 0.05 * 20 / 24, 1.0),
    ],
)
def test_planted(
    positive: list[float], negative: list[float], area: float, average: float, fpr: float
) -> None:
    truth = [True] * len(positive) + [False] * len(negative)
    scores = positive + negative
    assert auroc(truth, scores) == pytest.approx(area, abs=EXACT)
    assert average_precision(truth, scores) == pytest.approx(average, abs=EXACT)
    assert fpr_at_tpr(truth, scores) == pytest.approx(fpr, abs=EXACT)


def test_the_operating_point_accepts_no_more_than_it_must() -> None:
    truth = [True] * 4 + [False] * 4
    scores = [8.0, 6.0, 4.0, 2.0, 7.0, 5.0, 3.0, 1.0]
    curve = roc_curve(truth, scores)
    assert operating_point(curve, 0.5).threshold == 6.0
    assert operating_point(curve, 0.51).threshold == 4.0
    point = operating_point(curve, 1.0)
    assert (point.threshold, point.tpr, point.fpr) == (2.0, 1.0, 0.75)


@pytest.mark.parametrize(
    ("truth", "scores", "message"),
    [
        ([True, True], [0.1, 0.2], "no negative sample"),
        ([False], [0.1], "no positive sample"),
        ([], [], "no positive sample"),
        ([True, False], [0.1], r"truth \(2,\) and scores \(1,\)"),
        ([True, False], [0.1, float("nan")], "not a finite number"),
        ([True, False], [0.1, float("inf")], "not a finite number"),
    ],
)
def test_what_cannot_be_ranked_is_refused(truth: list[bool], scores: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        auroc(truth, scores)


def test_average_precision_needs_a_positive_only() -> None:
    assert average_precision([True, True], [0.1, 0.2]) == 1.0
    with pytest.raises(InputError, match="no positive sample"):
        average_precision([False], [0.1])


@pytest.mark.parametrize("target", [0.0, 1.5, float("nan")])
def test_a_senseless_target_is_refused(target: float) -> None:
    with pytest.raises(InputError, match="cannot be asked for"):
        fpr_at_tpr([True, False], [1.0, 0.0], target)


def test_a_million_samples_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(1_000_000) < 0.5
    # 2.5e11 pairs, counted twice: beyond 32 bits.
    assert auroc(truth, truth.astype(float)) == 1.0
    assert auroc(truth, np.zeros(len(truth))) == 0.5
