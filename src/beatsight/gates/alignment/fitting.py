"""Delays over time to drift, outliers, jumps and coverage.

Only hits of one group are compared with each other, so which drums are played when does not look like drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.gates.alignment.hits import Ints

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MINUTE_S = 60.0
# The standard deviation of normal values is this many median absolute deviations.
_SIGMA = 1.4826
# A hit this many deviations from the line does not count; nor one a whole millisecond away, however
# widely the others lie: a clock does not do that.
_OUTLIER_SIGMAS = 5.0
_LEAST_LIMIT_SAMPLES = 1.0
_MOST_LIMIT_MS = 1.0
# What the lag of a hit is not known better than, in samples, even if all agree.
_ERROR_FLOOR_SAMPLES = 0.02
# Variance of a rank estimate over that of least squares, for normal values: pi / 3.
_RANK_COST = np.pi / 3.0
# A jump is the change of the median of this many hits before a moment to that of as many after it.
_JUMP_HITS = 5


@dataclass(frozen=True)
class Fit:
    """A straight line through delays over time.

    Attributes:
        drift: samples a minute; drift_error: its standard error; both NaN where nothing can be compared.
        used: which hits lie near the line, shape (hits,).
        jump: largest sudden change in samples, NaN with too few hits; jump_at_s: when.
    """

    drift: float
    drift_error: float
    used: BoolArray
    jump: float
    jump_at_s: float


def slope(times: FloatArray, values: FloatArray, groups: Ints) -> float:
    """Robust slope common to several groups, each at a level of its own.

    The median of the slopes of all pairs within a group, each weighted by its distance in time: the
    R-estimate of Jaeckel ("Estimating regression coefficients by minimizing the dispersion of the residuals",
    Annals of Mathematical Statistics 43, 1972), with Wilcoxon scores.

    Args:
        times, values, groups: shape (n,).

    Returns:
        Change of the value per unit of time; NaN without two moments in one group.

    >>> slope(np.array([0.0, 1, 2, 0, 1]), np.array([0.0, 2, 4, 9, 11]), np.array([0, 0, 0, 1, 1]))
    2.0
    """
    slopes, weights = [], []
    for group in np.unique(groups):
        inside = np.flatnonzero(groups == group)
        first, second = np.triu_indices(len(inside), 1)
        apart = times[inside[second]] - times[inside[first]]
        rise = values[inside[second]] - values[inside[first]]
        some = apart != 0
        slopes.append(rise[some] / apart[some])
        weights.append(np.abs(apart[some]))
    every = np.concatenate(slopes) if slopes else np.zeros(0)
    if not len(every):
        return float("nan")
    order = np.argsort(every)
    total = np.concatenate(weights)[order].cumsum()
    return float(every[order][np.searchsorted(total, total[-1] / 2.0)])


def _levelled(values: FloatArray, groups: Ints) -> FloatArray:
    """Values less the median of their group."""
    out = np.empty(len(values))
    for group in np.unique(groups):
        inside = groups == group
        out[inside] = values[inside] - np.median(values[inside])
    return out


def fit(times: FloatArray, delays: FloatArray, groups: Ints, rate: int) -> Fit:
    """Fit one drift to the delays of a microphone.

    Args:
        times: of the hits in seconds, rising, shape (n,).
        delays: in samples, shape (n,).
        groups: which hits are comparable, shape (n,).
        rate: sample rate in Hz.
    """
    per_second = slope(times, delays, groups)
    if np.isnan(per_second):
        return Fit(per_second, float("nan"), np.zeros(len(times), bool), float("nan"), float("nan"))
    residual = _levelled(delays - per_second * times, groups)
    spread = _SIGMA * float(np.median(np.abs(residual)))
    limit = max(_OUTLIER_SIGMAS * spread, _LEAST_LIMIT_SAMPLES)
    used = np.abs(residual) <= min(limit, _MOST_LIMIT_MS / 1000.0 * rate)
    jump, jump_at_s = largest_jump(times, residual)
    error = _slope_error(times[used], groups[used], max(spread, _ERROR_FLOOR_SAMPLES))
    return Fit(_MINUTE_S * per_second, _MINUTE_S * error, used, jump, jump_at_s)


def _slope_error(times: FloatArray, groups: Ints, spread: float) -> float:
    """Standard error of the slope from the spread of the values about the line."""
    lever = 0.0
    for group in np.unique(groups):
        inside = times[groups == group]
        lever += float(((inside - inside.mean()) ** 2).sum())
    return spread * float(np.sqrt(_RANK_COST / lever)) if lever > 0 else float("nan")


def largest_jump(times: FloatArray, residual: FloatArray) -> tuple[float, float]:
    """The largest sudden change of what a line leaves over, and when it happens.

    A line fitted through a jump takes up to a third of it, so a real one is a little larger than this.

    Args:
        times: rising, shape (n,).
        residual: shape (n,).

    Returns:
        (size, time); both NaN with less than ten hits.

    >>> print(*largest_jump(np.arange(20.0), np.repeat([0.0, 64.0], 10)))
    64.0 9.5
    """
    if len(times) < 2 * _JUMP_HITS:
        return float("nan"), float("nan")
    medians = np.median(np.lib.stride_tricks.sliding_window_view(residual, _JUMP_HITS), axis=1)
    change = np.abs(medians[_JUMP_HITS:] - medians[:-_JUMP_HITS])
    # A jump keeps the change at its highest for some moments; the middle one is where it is.
    top = np.flatnonzero(change >= change.max() - 1e-9)
    at = int(top[(len(top) - 1) // 2]) + _JUMP_HITS
    return float(change.max()), float((times[at - 1] + times[at]) / 2.0)


def coverage(measured: BoolArray) -> float:
    """1 - the longest run without a measurement, as a share of all.

    >>> coverage(np.array([True, False, False, True])), coverage(np.zeros(3, bool))
    (0.5, 0.0)
    """
    if not len(measured):
        return 0.0
    edges = np.flatnonzero(np.concatenate([[True], measured, [True]]))
    return 1.0 - float(np.diff(edges).max() - 1) / len(measured)
