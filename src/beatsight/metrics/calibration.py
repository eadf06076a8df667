"""Whether scores can be taken at their word: of all forecasts of 0.8, eight in ten should be true.

Conventions: one forecast is a score 0..1 and a truth (boolean); arrays of any one shape are taken as one list
of forecasts. Bin ``b`` of equal-width bins holds scores in (b/n, (b+1)/n], the first also 0, as in Guo et
al., "On Calibration of Modern Neural Networks" (2017), and in scikit-learn's ``calibration_curve``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# The number of bins of Guo et al. (2017), with which most published figures were taken.
DEFAULT_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Forecasts sorted into bins by their score.

    Attributes:
        edges: (bins + 1,), rising.
        count: (bins,) forecasts in each.
        positives: (bins,) of them true.
        mean_score, mean_truth: (bins,) 0..1; NaN in an empty bin.
    """

    edges: FloatArray
    count: IntArray
    positives: IntArray
    mean_score: FloatArray
    mean_truth: FloatArray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap of the bins, weighted by their counts; NaN without any."""
        used = self.count > 0
        gaps = np.abs(self.mean_truth[used] - self.mean_score[used])
        return float(np.sum(gaps * self.count[used]) / self.count.sum()) if used.any() else float("nan")


def _forecasts(truth: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    true, values = np.asarray(truth), np.asarray(scores, dtype=np.float64)
    if true.shape != values.shape:
        raise InputError(f"truth {true.shape} and scores {values.shape} must have one shape")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("a score is not a number in 0..1")
    return true.astype(bool).ravel(), values.ravel()


def bin_edges(scores: npt.ArrayLike, bins: int = DEFAULT_BINS, equal_mass: bool = False) -> FloatArray:
    """(bins + 1,) edges: equal widths of 0..1, or quantiles of the scores (equal where many are tied).

    >>> bin_edges([], 4).tolist(), bin_edges([0.1, 0.2, 0.7, 0.9], 2, equal_mass=True).round(2).tolist()
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.1, 0.45, 0.9])
    """
    if bins < 1:
        raise InputError(f"{bins} bins are too few, at least one is needed")
    parts = np.linspace(0.0, 1.0, bins + 1)
    values = np.asarray(scores, dtype=np.float64).ravel()
    # In hundredths, as scikit-learn asks for them: an edge upon tied scores must round to the same side.
    return np.percentile(values, 100.0 * parts) if equal_mass and values.size else parts


def bin_of(scores: npt.ArrayLike, edges: FloatArray) -> IntArray:
    """The bin of every score, 0 to bins - 1; equal scores are in one bin.

    >>> bin_of([0.0, 0.5, 0.51, 1.0], bin_edges([], 2)).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(edges[1:-1], np.asarray(scores, dtype=np.float64), side="left")


def reliability(
    truth: npt.ArrayLike, scores: npt.ArrayLike, bins: int = DEFAULT_BINS, equal_mass: bool = False
) -> Reliability:
    """Mean score and share of truths per bin of scores.

    Args:
        truth: booleans of any shape.
        scores: the same shape, 0..1.
        bins: how many.
        equal_mass: bins hold about equally many forecasts instead of being equally wide.

    Raises:
        InputError: the shapes differ, a score is not a number in 0..1, or there is less than one bin.

    >>> table = reliability([True, False, True], [0.9, 0.1, 0.7], bins=2)
    >>> table.count.tolist(), table.mean_score.round(3).tolist(), table.mean_truth.tolist()
    ([1, 2], [0.1, 0.8], [0.0, 1.0])
    """
    true, values = _forecasts(truth, scores)
    edges = bin_edges(values, bins, equal_mass)
    index = bin_of(values, edges)
    count = np.bincount(index, minlength=bins)
    positives = np.bincount(index[true], minlength=bins)
    sums = np.bincount(index, weights=values, minlength=bins)
    empty = np.full(bins, np.nan)
    return Reliability(
        edges=edges,
        count=count,
        positives=positives,
        mean_score=np.divide(sums, count, out=empty.copy(), where=count > 0),
        mean_truth=np.divide(positives, count, out=empty.copy(), where=count > 0),
    )


def expected_calibration_error(
    truth: npt.ArrayLike, scores: npt.ArrayLike, bins: int = DEFAULT_BINS, equal_mass: bool = False
) -> float:
    """Mean distance between what is said and what is so, over bins of scores; NaN without a forecast.

    Arguments and errors as :func:`reliability`.

    >>> round(expected_calibration_error([True, False], [0.9, 0.2]), 3)
    0.15
    """
    return reliability(truth, scores, bins, equal_mass).error


def brier_score(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Mean squared difference between score and truth (0 or 1); NaN without a forecast.

    Raises:
        InputError: the shapes differ, or a score is not a number in 0..1.

    >>> round(brier_score([True, False], [0.9, 0.2]), 3)
    0.025
    """
    true, values = _forecasts(truth, scores)
    return float(np.mean((values - true) ** 2)) if values.size else float("nan")
