"""Scores against mir_eval, scikit-learn, the project's evaluator and counting by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn import metrics as sk

from beatsight.errors import InputError
from beatsight.metrics import (
    Counts,
    best_thresholds,
    match_onsets,
    multilabel_confusion,
    multilabel_report,
    transcription_scores,
)

# Multiples of 1/128 s: distances on the very edge of a tolerance occur, and are exact in floating point.
TIMES = st.lists(st.integers(0, 200).map(lambda n: n / 128), max_size=40)
TABLES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(TIMES, TIMES, st.sampled_from([0.0, 1 / 128, 3 / 128, 0.05]))
@settings(max_examples=300, deadline=None)
def test_matching_is_as_large_as_mir_evals(
    reference: list[float], estimated: list[float], tolerance: float
) -> None:
    pairs = match_onsets(reference, estimated, tolerance)
    expected = mir_eval.util.match_events(np.array(reference), np.array(estimated), tolerance)
    assert len(pairs) == len(expected)
    assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)
    for i, j in pairs:
        assert abs(reference[i] - estimated[j]) <= tolerance + 1e-12


def test_matching_keeps_the_given_order_of_unsorted_onsets() -> None:
    assert match_onsets([3.0, 1.0, 2.0], [2.01, 3.02]).tolist() == [[2, 0], [0, 1]]


def test_a_double_hit_is_matched_by_its_closer_half() -> None:
    assert match_onsets([1.0], [0.96, 1.001, 1.04]).tolist() == [[0, 1]]
    assert match_onsets([0.96, 1.001, 1.04], [1.0]).tolist() == [[1, 0]]
    # A closer pair never costs another pair.
    assert match_onsets([1.0, 1.04], [0.97, 1.01]).tolist() == [[0, 0], [1, 1]]


def test_matching_without_onsets_is_empty() -> None:
    assert match_onsets([], [1.0]).shape == match_onsets([1.0], []).shape == (0, 2)


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [[1.0]]])
def test_matching_refuses_times_that_are_none(bad: list) -> None:
    with pytest.raises(InputError, match="estimated onsets must be a flat list of finite times"):
        match_onsets([1.0], bad)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(), (1.0, 1.0, 1.0)),
        (Counts(0, 0, 3), (0.0, 0.0, 0.0)),
        (Counts(0, 3, 0), (0.0, 0.0, 0.0)),
        (Counts(3, 1, 2), (0.75, 0.6, 2 / 3)),
    ],
)
def test_rates_of_counts(counts: Counts, expected: tuple[float, float, float]) -> None:
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx(expected)


def test_counts_add_up() -> None:
    assert Counts(1, 2, 3) + Counts(10, 20, 30) == Counts(11, 22, 33)


def test_planted_transcription() -> None:
    reference = [(1.0, "KD"), (2.0, "KD"), (3.0, "SD"), (4.0, "HH")]
    estimated = [(1.05, "KD"), (2.051, "KD"), (2.98, "SD"), (5.0, "HH"), (6.0, "TT")]
    scores = transcription_scores(reference, estimated, ["KD", "SD", "HH"])
    assert scores.counts == {"KD": Counts(1, 1, 1), "SD": Counts(1, 0, 0), "HH": Counts(0, 1, 1)}
    assert scores.total == Counts(2, 2, 2)
    assert scores.macro_f1 == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert scores.median_error_ms == pytest.approx((50 - 20) / 2)
    assert scores.label_median_error_ms("SD") == pytest.approx(-20)
    assert scores.label_median_error_ms("HH") is None
    both = scores + transcription_scores([(0.0, "SD")], [], ["KD", "SD", "HH"])
    assert both.total == Counts(2, 2, 3)
    with pytest.raises(InputError, match="different labels cannot be added"):
        scores + transcription_scores([], [], ["KD"])


def _evaluator(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "score_transcription", folder / "bench/score_transcription.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("tolerance", [0.05, 0.02])
def test_transcription_scores_equal_the_evaluators(shared: Path, tolerance: float) -> None:
    bench = _evaluator(shared)
    rng = np.random.default_rng(7)
    labels, pairs, total = ["KD", "SD", "TT", "HH", "CY"], {}, None
    for path in sorted((shared / "data/mdb/annotations/subclass").glob("*.txt")):
        events = bench.read_events(str(path))
        found = [
            (max(0.0, time + rng.normal(0, 0.02)), label if rng.random() > 0.1 else str(rng.choice(labels)))
            for time, label in events
            if rng.random() > 0.1
        ]
        pairs[path.stem] = (events, found)
        folded = [
            [(time, name) for time, label in side if (name := bench.to_class(label))]
            for side in (events, found)
        ]
        scores = transcription_scores(folded[0], folded[1], labels, tolerance)
        total = scores if total is None else total + scores
    assert total is not None
    expected = bench.score(pairs, labels, tolerance)
    for label in labels:
        counts = total.counts[label]
        assert [counts.tp, counts.fp, counts.fn] == [
            expected["classes"][label][k] for k in ("tp", "fp", "fn")
        ]
        assert counts.f1 == pytest.approx(expected["classes"][label]["f"], abs=1e-12)
    assert total.total.f1 == pytest.approx(expected["sum"]["f"], abs=1e-12)
    assert total.macro_f1 == pytest.approx(expected["macro_f"], abs=1e-12)
    # Where strokes lie closer than the tolerance, several matchings are largest and errors can differ.
    assert total.median_error_ms == pytest.approx(expected["err_ms"]["median"], abs=0.5)


@given(TABLES)
@settings(max_examples=100, deadline=None)
def test_multilabel_report_equals_scikit_learn(tables: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = tables
    report = multilabel_report(truth, predicted)
    # scikit-learn takes a single column for a binary problem.
    if truth.shape[1] > 1:
        for average, ours in (("macro", report.macro), ("micro", report.micro)):
            theirs = sk.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)[
                :3
            ]
            assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs, abs=1e-12)
        theirs = sk.precision_recall_fscore_support(truth, predicted, average=None, zero_division=0)
        for ours, value in zip(
            (report.precision, report.recall, report.f1, report.support), theirs, strict=True
        ):
            np.testing.assert_allclose(ours, value, atol=1e-12)
        example = sk.f1_score(truth, predicted, average="samples", zero_division=0)
        assert report.example_f1 == pytest.approx(example, abs=1e-12)
    else:
        assert report.f1[0] == pytest.approx(sk.f1_score(truth[:, 0], predicted[:, 0], zero_division=0))


def test_a_predicted_class_that_the_truth_lacks_costs_precision() -> None:
    report = multilabel_report([[1, 0], [1, 0]], [[1, 1], [1, 1]])
    assert report.micro.precision == 0.5
    assert report.macro.f1 == 0.5


def test_report_of_nothing_and_of_unequal_shapes() -> None:
    assert multilabel_report(np.zeros((0, 3)), np.zeros((0, 3))).example_f1 == 0.0
    with pytest.raises(InputError, match=r"truth \(2, 3\) and predicted \(2, 2\) must have one shape"):
        multilabel_report(np.zeros((2, 3)), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("truth", "predicted", "cells"),
    [
        ([1, 1, 0], [1, 1, 0], {(0, 0): 1, (1, 1): 1}),
        ([1, 1, 0], [1, 0, 1], {(0, 0): 1, (1, 2): 1}),
        ([1, 1, 0], [1, 0, 0], {(0, 0): 1, (1, 3): 1}),
        ([1, 0, 0], [1, 0, 1], {(0, 0): 1, (3, 2): 1}),
        ([0, 0, 0], [0, 1, 0], {(3, 1): 1}),
        # One missed, two extra: half of it each way, and one extra hit too many.
        ([1, 0, 0], [0, 1, 1], {(0, 1): 0.5, (0, 2): 0.5, (3, 1): 0.5, (3, 2): 0.5}),
        # Two missed, one extra.
        ([1, 1, 0], [0, 0, 1], {(0, 2): 0.5, (1, 2): 0.5, (0, 3): 0.5, (1, 3): 0.5}),
        ([0, 0, 0], [0, 0, 0], {}),
    ],
)
def test_planted_multilabel_confusion(
    truth: list[int], predicted: list[int], cells: dict[tuple[int, int], float]
) -> None:
    expected = np.zeros((4, 4))
    for cell, value in cells.items():
        expected[cell] = value
    np.testing.assert_array_equal(multilabel_confusion([truth], [predicted]), expected)


@given(TABLES)
@settings(max_examples=100, deadline=None)
def test_multilabel_confusion_adds_up(tables: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = tables
    matrix = multilabel_confusion(truth, predicted)
    np.testing.assert_allclose(matrix[:-1].sum(axis=1), truth.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(matrix[:, :-1].sum(axis=0), predicted.sum(axis=0), atol=1e-9)
    np.testing.assert_array_equal(np.diag(matrix)[:-1], (truth & predicted).sum(axis=0))
    assert (matrix >= 0).all() and matrix[-1, -1] == 0


def _best_by_trying(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """The largest F1 over all cuts, and the fewest predictions that reach it."""
    tried = [
        (sk.f1_score(truth, scores >= cut, zero_division=0), -int((scores >= cut).sum())) for cut in scores
    ]
    best, count = max(tried)
    return best, -count


@given(
    st.integers(1, 25).flatmap(
        lambda n: st.tuples(
            arrays(bool, n), arrays(float, n, elements=st.integers(0, 8).map(lambda k: k / 8))
        )
    )
)
@settings(max_examples=100, deadline=None)
def test_best_thresholds_equal_trying_every_cut(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = case
    threshold = best_thresholds(truth[:, None], scores[:, None])[0]
    if not truth.any():
        assert threshold == 0.5
        return
    best, count = _best_by_trying(truth, scores)
    accepted = scores >= threshold
    assert sk.f1_score(truth, accepted, zero_division=0) == pytest.approx(best, abs=1e-12)
    assert accepted.sum() == count
    below = scores[~accepted].max() if (~accepted).any() else 0.0
    assert threshold == pytest.approx((scores[accepted].min() + below) / 2)


def test_threshold_between_neighbouring_floats_rejects_the_lower() -> None:
    low = 0.3
    high = np.nextafter(low, 1.0)
    threshold = best_thresholds([[0], [1]], [[low], [high]])[0]
    assert low < threshold <= high


def test_thresholds_of_several_classes_are_their_own() -> None:
    truth = [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    scores = [[0.9, 0.1, 0.2], [0.1, 0.4, 0.3], [0.3, 0.6, 0.1]]
    assert best_thresholds(truth, scores).tolist() == pytest.approx([0.6, 0.25, 0.5])
    assert best_thresholds(np.zeros((0, 2)), np.zeros((0, 2))).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_thresholds_refuse_scores_that_are_none(bad: float) -> None:
    with pytest.raises(InputError, match=r"a score is not a number in 0\.\.1"):
        best_thresholds([[1]], [[bad]])
