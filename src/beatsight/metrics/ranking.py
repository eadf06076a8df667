"""How well one score tells two groups apart: ROC and precision-recall curves and the areas under them.

Conventions: ``truth`` is a boolean array of shape (samples,), True for the positive class; a higher score
means more positive. Samples of equal score stand or fall together, so no result depends on the order of the
input. Counts are whole numbers until the last division. Definitions and results are those of scikit-learn
(``roc_auc_score``, ``average_precision_score``, ``roc_curve`` with every threshold kept).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# The true-positive rate at which detectors of unknown inputs are compared by custom.
TPR_TARGET = 0.95


@dataclass(frozen=True)
class RocCurve:
    """What is accepted at every threshold that makes a difference, from none to all.

    Attributes:
        thresholds: falling; a sample is accepted where its score is at or above it. The first is infinite.
        true_positives, false_positives: accepted samples of each group, the same length.
        fpr, tpr: the same as shares of their group, 0..1.
    """

    thresholds: FloatArray
    true_positives: IntArray
    false_positives: IntArray

    @property
    def tpr(self) -> FloatArray:
        return self.true_positives / self.true_positives[-1]

    @property
    def fpr(self) -> FloatArray:
        return self.false_positives / self.false_positives[-1]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall at every threshold that makes a difference, recall rising.

    Attributes:
        thresholds: falling; every one is the score of a sample.
        precision, recall: 0..1, the same length; the point (recall 0, precision 1) is not among them.
    """

    thresholds: FloatArray
    precision: FloatArray
    recall: FloatArray


@dataclass(frozen=True)
class OperatingPoint:
    """One point of a ROC curve: accept where the score is at or above ``threshold``."""

    threshold: float
    tpr: float
    fpr: float


def _cumulated(truth: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[FloatArray, IntArray, IntArray]:
    """(distinct scores, falling; positives and negatives at or above each)."""
    true, values = np.asarray(truth).astype(bool), np.asarray(scores, dtype=np.float64)
    if true.ndim != 1 or true.shape != values.shape:
        raise InputError(f"truth {true.shape} and scores {values.shape} must have one shape (samples,)")
    if not np.isfinite(values).all():
        raise InputError("a score is not a finite number")
    order = np.argsort(-values, kind="stable")
    true, values = true[order], values[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.array([], int)
    accepted = np.cumsum(true, dtype=np.int64)[last]
    return values[last], accepted, last + 1 - accepted


def roc_curve(truth: npt.ArrayLike, scores: npt.ArrayLike) -> RocCurve:
    """The ROC curve, all its points.

    Args:
        truth: (samples,), True for the positive class.
        scores: (samples,), finite, higher = more positive.

    Raises:
        InputError: the shapes differ, a score is not finite, or a group is empty.

    >>> curve = roc_curve([True, True, False], [0.9, 0.4, 0.4])
    >>> curve.thresholds.tolist(), curve.tpr.tolist(), curve.fpr.tolist()
    ([inf, 0.9, 0.4], [0.0, 0.5, 1.0], [0.0, 0.0, 1.0])
    """
    thresholds, tp, fp = _cumulated(truth, scores)
    for counts, name in ((tp, "positive"), (fp, "negative")):
        if not len(counts) or not counts[-1]:
            raise InputError(f"there is no {name} sample, so a ROC curve is not defined")
    return RocCurve(np.append(np.inf, thresholds), np.append(0, tp), np.append(0, fp))


def area_under(curve: RocCurve) -> float:
    """The area under a ROC curve: the chance that a positive scores above a negative, ties counted half.

    >>> area_under(roc_curve([True, True, False], [0.9, 0.4, 0.4]))
    0.75
    """
    tp, fp = curve.true_positives, curve.false_positives
    # Twice the area in samples times samples: a whole number, so nothing is rounded before the division.
    twice = int(np.sum(np.diff(fp) * (tp[1:] + tp[:-1])))
    return twice / (2 * int(tp[-1]) * int(fp[-1]))


def auroc(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve; arguments and errors as :func:`roc_curve`.

    >>> auroc([True, False, True, False], [0.9, 0.1, 0.8, 0.85])
    0.75
    """
    return area_under(roc_curve(truth, scores))


def operating_point(curve: RocCurve, target: float = TPR_TARGET) -> OperatingPoint:
    """The first point, coming from the highest threshold, that accepts ``target`` (0..1] of the positives.

    >>> operating_point(roc_curve([True, True, False, False], [0.9, 0.4, 0.4, 0.1]))
    OperatingPoint(threshold=0.4, tpr=1.0, fpr=0.5)
    """
    if not 0 < target <= 1:
        raise InputError(f"a true-positive rate of {target} cannot be asked for, only above 0 and up to 1")
    # A quotient of whole numbers is rounded correctly: 19 of 20 is the very float that 0.95 is.
    index = int(np.argmax(curve.tpr >= target))
    return OperatingPoint(float(curve.thresholds[index]), float(curve.tpr[index]), float(curve.fpr[index]))


def fpr_at_tpr(truth: npt.ArrayLike, scores: npt.ArrayLike, target: float = TPR_TARGET) -> float:
    """The share of negatives accepted at the threshold that accepts ``target`` of the positives.

    Read off the curve where it stands, without interpolation; errors as :func:`roc_curve`.

    >>> fpr_at_tpr([True, True, False, False], [0.9, 0.4, 0.4, 0.1])
    0.5
    """
    return operating_point(roc_curve(truth, scores), target).fpr


def precision_recall(truth: npt.ArrayLike, scores: npt.ArrayLike) -> PrecisionRecall:
    """Precision and recall at every distinct score; there must be a positive sample.

    Raises:
        InputError: the shapes differ, a score is not finite, or there is no positive sample.

    >>> points = precision_recall([True, True, False], [0.9, 0.4, 0.4])
    >>> points.precision.round(3).tolist(), points.recall.tolist()
    ([1.0, 0.667], [0.5, 1.0])
    """
    thresholds, tp, fp = _cumulated(truth, scores)
    if not len(tp) or not tp[-1]:
        raise InputError("there is no positive sample, so recall is not defined")
    return PrecisionRecall(thresholds, tp / (tp + fp), tp / tp[-1])


def average_precision(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Average precision: precision at every threshold, weighted by the recall gained there.

    No interpolation between points, which would flatter. Errors as :func:`precision_recall`.

    >>> round(average_precision([True, False, True], [0.9, 0.8, 0.7]), 4)
    0.8333
    """
    points = precision_recall(truth, scores)
    return float(np.sum(np.diff(points.recall, prepend=0.0) * points.precision))


def corners(curve: RocCurve) -> IntArray:
    """Indices of the points that a drawing of the curve needs: all but those on a straight line.

    >>> corners(roc_curve([True, True, False], [0.9, 0.8, 0.1])).tolist()
    [0, 2, 3]
    """
    across, up = np.diff(curve.false_positives), np.diff(curve.true_positives)
    turns = across[:-1] * up[1:] != across[1:] * up[:-1]
    return np.flatnonzero(np.concatenate(([True], turns, [True])))
