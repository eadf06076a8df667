"""Scores of moments that carry several labels: precision, recall and F1, confusion, decision thresholds.

Conventions: ``truth`` and ``predicted`` are boolean arrays of shape (moments, classes); scores are 0..1 and a
class is predicted where its score is at or above its threshold. Averages over classes follow scikit-learn
with ``zero_division=0``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# The threshold of a class that has no positive example to choose one by.
DEFAULT_THRESHOLD = 0.5


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
