"""Scores: arrays in, numbers out. Onset matching, precision/recall/F, confusion, decision thresholds.

Conventions: times in seconds; ``truth`` and ``predicted`` are boolean arrays of shape (moments, classes);
scores are 0..1 and a class is predicted where its score is at or above its threshold.

Sources: onset scores follow MIREX drum transcription as in mir_eval (Raffel et al., 2014): one-to-one
matching of maximum cardinality within ±50 ms. Averages over classes follow scikit-learn with
``zero_division=0``. Deviation: where several largest matchings exist, ours prefers close pairs, so that
timing errors are not biased by the search order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ONSET_TOLERANCE_S = 0.05  # MIREX drum transcription
# Decimal times such as 1.25 and 1.30 differ from 0.05 by float rounding; a hit on the very edge counts.
_ROUNDING_S = 1e-6
# The threshold of a class that has no positive example to choose one by.
DEFAULT_THRESHOLD = 0.5


def _times(values: npt.ArrayLike, name: str) -> FloatArray:
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError(f"{name} onsets must be a flat list of finite times in seconds")
    return times


def match_onsets(
    reference_s: npt.ArrayLike, estimated_s: npt.ArrayLike, tolerance_s: float = ONSET_TOLERANCE_S
) -> IntArray:
    """Pair reference with estimated onsets, one to one, as many as possible.

    Args:
        reference_s: true onset times in seconds, in any order.
        estimated_s: found onset times in seconds, in any order.
        tolerance_s: largest distance of a pair, inclusive, as in ``mir_eval.util.match_events``.

    Returns:
        (pairs, 2) integer array of indices into the two lists, ordered by reference time.

    Raises:
        InputError: a time is not finite, or an argument is not one-dimensional.

    >>> match_onsets([1.0, 2.0, 3.0], [3.02, 0.99, 2.2]).tolist()
    [[0, 1], [2, 0]]
    """
    reference, estimated = _times(reference_s, "reference"), _times(estimated_s, "estimated")
    reference_order = np.argsort(reference, kind="stable")
    estimated_order = np.argsort(estimated, kind="stable")
    true = reference[reference_order].tolist()
    low = (estimated[estimated_order] - tolerance_s).tolist()
    high = (estimated[estimated_order] + tolerance_s).tolist()
    # Windows of equal width end in the order in which they begin, so giving every onset the earliest free
    # partner never blocks a later pair: the greedy result is as large as any.
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(true) and j < len(low):
        if high[j] < true[i]:
            j += 1
        elif low[j] > true[i]:
            i += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    _prefer_close(pairs, true, low, high)
    if not pairs:
        return np.zeros((0, 2), dtype=np.int64)
    found = np.array(pairs, dtype=np.int64)
    return np.column_stack((reference_order[found[:, 0]], estimated_order[found[:, 1]]))


def _prefer_close(
    pairs: list[tuple[int, int]], true: list[float], low: list[float], high: list[float]
) -> None:
    """Move pairs, last first, onto later free onsets that lie closer (earlier free ones are out of reach)."""
    next_i, next_j = len(true), len(low)
    for k in range(len(pairs) - 1, -1, -1):
        i, j = pairs[k]
        for other in range(j + 1, next_j):
            if low[other] > true[i]:
                break
            if _distance(true[i], low[other], high[other]) < _distance(true[i], low[j], high[j]):
                j = other
        for other in range(i + 1, next_i):
            if true[other] > high[j]:
                break
            if _distance(true[other], low[j], high[j]) < _distance(true[i], low[j], high[j]):
                i = other
        pairs[k] = next_i, next_j = i, j


def _distance(time: float, low: float, high: float) -> float:
    return abs(2.0 * time - low - high)


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, and the rates made of them.

    With nothing to find and nothing found all three rates are 1. Precision without any estimate, and recall
    without any reference, are 1 only in that case, else 0.

    >>> (Counts(3, 1, 0) + Counts(0, 0, 4)).f1
    0.5454545454545454
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of what was found that is right."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else float(self.fn == 0)

    @property
    def recall(self) -> float:
        """Share of what there is that was found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else float(self.fp == 0)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.fp + self.fn
        return 2 * self.tp / (2 * self.tp + wrong) if self.tp + wrong else 1.0


@dataclass(frozen=True)
class OnsetScores:
    """Onset counts and timing errors per label; add the scores of several songs for their micro totals.

    Attributes:
        counts: per label, in the order asked for.
        errors_s: per label, estimated minus reference time of every matched pair, in seconds.
    """

    counts: dict[str, Counts]
    errors_s: dict[str, FloatArray]

    def __add__(self, other: OnsetScores) -> OnsetScores:
        if self.counts.keys() != other.counts.keys():
            raise InputError("onset scores over different labels cannot be added")
        return OnsetScores(
            {label: counts + other.counts[label] for label, counts in self.counts.items()},
            {
                label: np.concatenate((errors, other.errors_s[label]))
                for label, errors in self.errors_s.items()
            },
        )

    @property
    def total(self) -> Counts:
        """Counts summed over the labels; its ``f1`` is the micro F-measure."""
        return sum(self.counts.values(), Counts())

    @property
    def macro_f1(self) -> float:
        """Mean of the labels' F-measures; 0 when no label was asked for."""
        return float(np.mean([counts.f1 for counts in self.counts.values()])) if self.counts else 0.0

    @property
    def median_error_ms(self) -> float | None:
        """Median signed timing error in milliseconds (positive: found late); None without a matched pair."""
        errors = np.concatenate([*self.errors_s.values(), np.zeros(0)])
        return float(np.median(errors) * 1e3) if errors.size else None

    def label_median_error_ms(self, label: str) -> float | None:
        """The same for one label."""
        errors = self.errors_s[label]
        return float(np.median(errors) * 1e3) if errors.size else None


def transcription_scores(
    reference: Iterable[tuple[float, str]],
    estimated: Iterable[tuple[float, str]],
    labels: Sequence[str],
    tolerance_s: float = ONSET_TOLERANCE_S,
) -> OnsetScores:
    """Compare found hits with true ones, label by label.

    Args:
        reference: true hits, (time in seconds, label); fold the labels first. Labels not asked for are left
            out.
        estimated: found hits, the same.
        labels: the labels to score.
        tolerance_s: largest distance of a match in seconds, inclusive.

    Raises:
        InputError: a time is not finite.

    >>> scores = transcription_scores([(0.0, "KD"), (0.5, "SD")], [(0.01, "KD"), (0.5, "KD")], ["KD", "SD"])
    >>> scores.total, round(scores.median_error_ms, 3)
    (Counts(tp=1, fp=1, fn=1), 10.0)
    """
    true, found = list(reference), list(estimated)
    counts: dict[str, Counts] = {}
    errors: dict[str, FloatArray] = {}
    for label in labels:
        true_s = np.array([time for time, name in true if name == label], dtype=np.float64)
        found_s = np.array([time for time, name in found if name == label], dtype=np.float64)
        pairs = match_onsets(true_s, found_s, tolerance_s + _ROUNDING_S)
        counts[label] = Counts(len(pairs), len(found_s) - len(pairs), len(true_s) - len(pairs))
        errors[label] = found_s[pairs[:, 1]] - true_s[pairs[:, 0]]
    return OnsetScores(counts, errors)


@dataclass(frozen=True)
class Rates:
    """Precision, recall and F1 of one average."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class MultilabelReport:
    """Scores of moments that carry several labels; arrays have one value per class.

    Attributes:
        precision, recall, f1: per class; 0 where undefined.
        support: moments that truly carry the class.
        macro: unweighted mean over all classes, those without support included.
        micro: rates of the counts summed over classes.
        example_f1: mean over moments of each moment's own F1 (0 for a moment with no label on either side).
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: IntArray
    macro: Rates
    micro: Rates
    example_f1: float


def _two_tables(truth: npt.ArrayLike, other: npt.ArrayLike, name: str) -> tuple[npt.NDArray, npt.NDArray]:
    first, second = np.asarray(truth), np.asarray(other)
    if first.ndim != 2 or first.shape != second.shape:
        raise InputError(
            f"truth {first.shape} and {name} {second.shape} must have one shape (moments, classes)"
        )
    return first.astype(bool), second


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    """``part / whole``, 0 where the whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def multilabel_report(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> MultilabelReport:
    """Per-class and averaged precision, recall and F1, equal to scikit-learn's with ``zero_division=0``.

    Args:
        truth: (moments, classes), boolean.
        predicted: the same shape, boolean.

    Raises:
        InputError: the shapes differ or are not two-dimensional.

    >>> report = multilabel_report([[1, 0], [1, 1]], [[1, 0], [0, 1]])
    >>> report.recall.tolist(), report.micro.precision
    ([0.5, 1.0], 1.0)
    """
    true, guess = _two_tables(truth, predicted, "predicted")
    guess = guess.astype(bool)
    hits = true & guess
    tp, found, support = hits.sum(axis=0), guess.sum(axis=0), true.sum(axis=0)
    precision, recall = _ratio(tp, found), _ratio(tp, support)
    f1 = _ratio(2 * tp, found + support)
    micro = [float(_ratio(a, b)) for a, b in ((tp.sum(), found.sum()), (tp.sum(), support.sum()))]
    example = _ratio(2 * hits.sum(axis=1), true.sum(axis=1) + guess.sum(axis=1))
    return MultilabelReport(
        precision=precision,
        recall=recall,
        f1=f1,
        support=support.astype(np.int64),
        macro=Rates(*(float(value.mean()) if value.size else 0.0 for value in (precision, recall, f1))),
        micro=Rates(micro[0], micro[1], float(_ratio(2 * tp.sum(), found.sum() + support.sum()))),
        example_f1=float(example.mean()) if example.size else 0.0,
    )


def multilabel_confusion(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> FloatArray:
    """What each true label was heard as, for moments with several labels.

    At each moment the labels found count on the diagonal. The missed labels are paired one to one with the
    extra predicted labels, and because nobody knows which belongs to which, every pairing counts in equal
    shares: with m missed and e extra labels each (missed, extra) cell gets 1 / max(m, e). Missed labels left
    without a partner go to the last column ("missed"), extra ones to the last row ("no drum").

    Args:
        truth: (moments, classes), boolean.
        predicted: the same shape, boolean.

    Returns:
        (classes + 1, classes + 1). Rows sum to the supports and columns to the numbers of predictions; the
        last cell is 0. Whole numbers unless a moment has several missed or several extra labels.

    Raises:
        InputError: the shapes differ or are not two-dimensional.

    A snare heard as a tom beside a kick that was found:

    >>> multilabel_confusion([[1, 1, 0]], [[1, 0, 1]])[:2].tolist()
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]
    """
    true, guess = _two_tables(truth, predicted, "predicted")
    guess = guess.astype(bool)
    classes = true.shape[1]
    missed, extra = (true & ~guess).astype(np.float64), (guess & ~true).astype(np.float64)
    larger = np.maximum(missed.sum(axis=1), extra.sum(axis=1))
    share = _ratio(np.ones_like(larger), larger)[:, None]
    matrix = np.zeros((classes + 1, classes + 1))
    matrix[:-1, :-1] = (missed * share).T @ extra + np.diag((true & guess).sum(axis=0))
    # What a moment's labels do not hand to a partner; computed from whole numbers, so that no dust remains.
    matrix[:-1, -1] = (missed * share * (larger - extra.sum(axis=1))[:, None]).sum(axis=0)
    matrix[-1, :-1] = (extra * share * (larger - missed.sum(axis=1))[:, None]).sum(axis=0)
    return matrix


def best_thresholds(
    truth: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> FloatArray:
    """Per class the threshold with the largest F1 of ``scores >= threshold``, over every possible cut.

    The threshold lies midway between the lowest accepted and the highest rejected score (between the lowest
    score and 0 when all are accepted). Of several equally good cuts the highest is taken: the fewest false
    hits. A class without positives gets 0.5.

    Args:
        truth: (moments, classes), boolean.
        scores: the same shape, 0..1.
        weights: the same shape, above 0: how often each cell counts; by default once.

    Raises:
        InputError: the shapes differ, or a score is not a number in 0..1.

    >>> best_thresholds([[0], [1], [1]], [[0.25], [0.75], [1.0]]).tolist()
    [0.5]
    """
    true, values = _two_tables(truth, scores, "scores")
    values = values.astype(np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("a score is not a number in 0..1")
    if not len(true):
        return np.full(true.shape[1], DEFAULT_THRESHOLD)
    order = np.argsort(-values, axis=0, kind="stable")
    values = np.take_along_axis(values, order, axis=0)
    times = np.ones(true.shape) if weights is None else _two_tables(truth, weights, "weights")[1]
    times = np.take_along_axis(times, order, axis=0)
    tp = np.cumsum(np.take_along_axis(true, order, axis=0) * times, axis=0)
    accepted = np.cumsum(times, axis=0)
    f1 = 2 * tp / (accepted + tp[-1])
    rejected = np.vstack((values[1:], np.zeros_like(values[:1])))
    f1[:-1][values[:-1] == rejected[:-1]] = -1.0  # equal scores cannot be cut apart
    cut = np.argmax(f1, axis=0)[None]
    upper, lower = np.take_along_axis(values, cut, axis=0)[0], np.take_along_axis(rejected, cut, axis=0)[0]
    middle = (upper + lower) / 2
    # Between neighbouring floats the middle rounds onto one of them; it must not be the rejected one.
    chosen = np.where(middle > lower, middle, upper)
    return np.where(tp[-1] > 0, chosen, DEFAULT_THRESHOLD)
