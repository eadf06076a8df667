"""Confidence intervals by resampling clusters: sums per cluster in, intervals out.

Hits of one song are not independent, so whole clusters (songs, sessions) are drawn, as many as there are,
with replacement. Every statistic is a function of sums over clusters (hits, errors, counts): the sums of a
resample are how often each cluster was drawn times the clusters' sums, so that a thousand resamples are one
matrix product and no sample is looked at twice.

Conventions: ``sums`` is (clusters, columns); a statistic maps (rows, columns) of sums to (rows, values), each
row by itself, NaN where it is undefined. The draws are those of ``numpy.random.default_rng(seed).integers``,
the same that ``scipy.stats.bootstrap`` makes of one sample.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 (percentile) and 14 (BCa);
resampling of clusters as in Field and Welsh (2007).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from beatsight.errors import UsageError

FloatArray = npt.NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
Method = Literal["percentile", "bca"]
# Called with (resamples done, resamples in all).
Progress = Callable[[int, int], None]

METHODS: tuple[Method, ...] = get_args(Method)
# Draws and their counts held at a time: 3 arrays of 8 bytes each, 24 MB.
_CELLS = 1 << 20
# Values that differ by less are one value, reached by adding up in another order.
_TIE = 1e-12
# Whole numbers up to 2^53 are exact in float64; one bit is left for the sum of a sum.
_EXACT_BITS = 52


@dataclass(frozen=True)
class Bootstrap:
    """Estimates with their intervals; every array but ``resampled`` is (values,), NaN where undefined.

    Attributes:
        point: the statistic of all clusters, each counted once.
        mean: of the resamples in which it is defined.
        standard_error: their standard deviation (ddof 1).
        low, high: ends of the interval. NaN where there is none: the value rests on a single cluster, or BCa
            has no answer because every resample lies on one side of the point.
        defined: in how many resamples the statistic is defined; the others are left out.
        resampled: (iterations, values).
    """

    point: FloatArray
    mean: FloatArray
    standard_error: FloatArray
    low: FloatArray
    high: FloatArray
    defined: npt.NDArray[np.int64]
    resampled: FloatArray


def cluster_sums(columns: npt.ArrayLike, clusters: npt.ArrayLike, count: int) -> FloatArray:
    """Columns of samples summed by cluster.

    Args:
        columns: (samples, columns).
        clusters: (samples,), the cluster of each sample, 0 to ``count`` - 1.
        count: how many clusters there are.

    Returns:
        (count, columns).

    >>> cluster_sums([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [0, 1, 0], 2).tolist()
    [[6.0, 8.0], [3.0, 4.0]]
    """
    table, index = np.asarray(columns, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    out = np.empty((count, table.shape[1]))
    for column in range(table.shape[1]):
        out[:, column] = np.bincount(index, weights=table[:, column], minlength=count)
    return out


def exactly_summable(sums: npt.ArrayLike) -> FloatArray:
    """Sums rounded so little that every sum of as many rows is exact, in any order.

    Floating-point sums depend on their order, and a matrix product's order on block sizes and threads. Here
    each column is rounded to multiples of a power of two (about 2e-16 of the largest sum a resample can
    reach), coarse enough for float64 to hold every such sum exactly. Whole numbers stay as they are.

    >>> exactly_summable([[3.0, 0.1], [4.0, 0.2]]).tolist()
    [[3.0, 0.09999999999999998], [4.0, 0.19999999999999996]]
    """
    table = np.asarray(sums, dtype=np.float64)
    reach = len(table) * np.abs(table).max(axis=0, initial=0.0)
    exponent = np.frexp(reach)[1] - _EXACT_BITS
    return np.ldexp(np.rint(np.ldexp(table, -exponent)), exponent)


def resampled_sums(
    sums: FloatArray, iterations: int, seed: int, *, cells: int = _CELLS, progress: Progress | None = None
) -> FloatArray:
    """The sums of ``iterations`` resamples of clusters.

    Args:
        sums: (clusters, columns); from :func:`exactly_summable`, so that the result is the same to the last
            bit on any number of threads.
        iterations: resamples.
        seed: the same seed gives the same resamples.
        cells: iterations times clusters held in memory at a time; changes nothing else.
        progress: called with (resamples done, resamples in all).

    Returns:
        (iterations, columns).
    """
    clusters = len(sums)
    generator = np.random.default_rng(seed)
    out = np.empty((iterations, sums.shape[1]))
    size = max(1, cells // clusters)
    for start in range(0, iterations, size):
        rows = min(size, iterations - start)
        drawn = generator.integers(0, clusters, (rows, clusters))
        drawn += np.arange(rows)[:, None] * clusters
        times = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        np.matmul(times.astype(np.float64), sums, out=out[start : start + rows])
        if progress is not None:
            progress(start + rows, iterations)
    return out


def cluster_bootstrap(
    sums: npt.ArrayLike,
    statistic: Statistic,
    *,
    iterations: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    method: Method = "percentile",
    progress: Progress | None = None,
) -> Bootstrap:
    """Estimates and intervals of statistics of clustered samples.

    Args:
        sums: (clusters, columns), what each cluster adds to the sums that the statistic is made of.
        statistic: sums (rows, columns) to values (rows, values).
        iterations: resamples, at least 2.
        seed: the same seed gives the same result.
        confidence: share of the resamples between the ends, e.g. 0.95.
        method: ``percentile`` or ``bca`` (corrected for bias and skewness by leaving out one cluster at a
            time).
        progress: called with (resamples done, resamples in all).

    Raises:
        UsageError: there is no cluster, or an argument is out of range.

    The mean error of four songs; column 0 adds up errors, column 1 counts them:

    >>> songs = [[0.5, 5], [0.2, 4], [1.2, 6], [0.4, 5]]
    >>> result = cluster_bootstrap(songs, lambda sums: sums[:, :1] / sums[:, 1:])
    >>> [round(float(value[0]), 3) for value in (result.low, result.point, result.high)]
    [0.065, 0.115, 0.174]
    """
    table = exactly_summable(sums)
    if not len(table):
        raise UsageError("a bootstrap needs at least one cluster")
    if iterations < 2 or not 0.0 < confidence < 1.0 or method not in METHODS:
        raise UsageError(
            f"a bootstrap needs 2 iterations or more, a confidence between 0 and 1 and a method of "
            f"{', '.join(METHODS)}; got {iterations}, {confidence} and {method!r}"
        )
    total = table.sum(axis=0, keepdims=True)
    point = statistic(total)[0]
    without_one = statistic(total - table)
    resampled = statistic(resampled_sums(table, iterations, seed, progress=progress))
    there = ~np.isnan(resampled)
    defined = there.sum(axis=0)
    kept = [resampled[there[:, value], value] for value in range(len(point))]
    low, high = np.full(len(point), np.nan), np.full(len(point), np.nan)
    # Where leaving out one cluster leaves nothing, the value rests on that cluster alone: no spread to see.
    alone = np.isnan(without_one).any(axis=0) | np.isnan(point)
    for value in np.flatnonzero(~alone & (defined > 1)):
        ends = _levels(method, confidence, point[value], kept[value], without_one[:, value])
        if np.isfinite(ends).all():
            low[value], high[value] = np.quantile(kept[value], ends)
    return Bootstrap(
        point=point,
        mean=np.array([values.mean() if len(values) else np.nan for values in kept]),
        standard_error=np.array(
            [
                np.nan if len(values) < 2 or lone else values.std(ddof=1)
                for values, lone in zip(kept, alone, strict=True)
            ]
        ),
        low=low,
        high=high,
        defined=defined,
        resampled=resampled,
    )


def _levels(
    method: Method, confidence: float, point: float, resampled: FloatArray, without_one: FloatArray
) -> FloatArray:
    """The two levels (0..1) at which the resamples' quantiles are the ends of the interval."""
    tails = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]
    if method == "percentile":
        return np.array(tails)
    # Bias: where the point lies among the resamples, half of those equal to it below.
    tie = _TIE * max(1.0, abs(point))
    below = ((resampled < point - tie).mean() + (resampled <= point + tie).mean()) / 2.0
    if not 0.0 < below < 1.0:
        return np.array([np.nan, np.nan])
    normal = NormalDist()
    bias = normal.inv_cdf(below)
    spread = without_one.mean() - without_one
    square = (spread**2).sum()
    # Without any spread there is no skewness either.
    skew = (spread**3).sum() / (6.0 * square**1.5) if square > 0 else 0.0
    shifted = [bias + normal.inv_cdf(tail) for tail in tails]
    return np.array([normal.cdf(bias + shift / (1.0 - skew * shift)) for shift in shifted])
