"""Cluster bootstrap: scipy's own bootstrap on the same draws, planted answers, coverage, degenerate cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from beatsight.errors import UsageError
from beatsight.metrics.bootstrap import (
    FloatArray,
    Method,
    cluster_bootstrap,
    cluster_sums,
    exactly_summable,
    resampled_sums,
)


def ratio(sums: FloatArray) -> FloatArray:
    """Column 0 over column 1."""
    part, whole = sums[:, :1], sums[:, 1:2]
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def songs(seed: int, clusters: int) -> FloatArray:
    """Errors and counts of songs of different length and difficulty."""
    random = np.random.default_rng(seed)
    count = random.integers(1, 30, clusters)
    return np.column_stack((count * random.random(clusters) ** 3, count)).astype(float)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("clusters", [2, 3, 7, 60, 300])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_intervals_are_scipys_on_the_same_draws(method: Any, clusters: int, confidence: float) -> None:
    sums = songs(clusters, clusters)

    def of_drawn(index: Any, axis: int = -1) -> Any:
        return sums[index, 0].sum(axis=axis) / sums[index, 1].sum(axis=axis)

    theirs = stats.bootstrap(
        (np.arange(clusters),), of_drawn, n_resamples=500, method=method, confidence_level=confidence,
        rng=np.random.default_rng(11), vectorized=True,
    )  # fmt: skip
    ours = cluster_bootstrap(sums, ratio, iterations=500, seed=11, method=method, confidence=confidence)
    assert ours.resampled[:, 0] == pytest.approx(theirs.bootstrap_distribution, abs=1e-12)
    assert ours.standard_error[0] == pytest.approx(theirs.standard_error, abs=1e-12)
    assert ours.low[0] == pytest.approx(theirs.confidence_interval.low, abs=1e-9)
    assert ours.high[0] == pytest.approx(theirs.confidence_interval.high, abs=1e-9)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_mean_of_whole_numbers_with_many_ties_is_scipys(method: Any) -> None:
    values = np.random.default_rng(3).integers(0, 3, 40).astype(float)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=999, method=method, rng=np.random.default_rng(5))
    ours = cluster_bootstrap(
        np.column_stack((values, np.ones(40))), ratio, iterations=999, seed=5, method=method
    )
    assert ours.low[0] == pytest.approx(theirs.confidence_interval.low, abs=1e-12)
    assert ours.high[0] == pytest.approx(theirs.confidence_interval.high, abs=1e-12)


def test_resamples_are_those_of_drawing_one_by_one() -> None:
    sums = exactly_summable(songs(1, 13))
    drawn = np.random.default_rng(4).integers(0, 13, (50, 13))
    expected = np.array([sums[row].sum(axis=0) for row in drawn])
    assert np.array_equal(resampled_sums(sums, 50, 4), expected)


@pytest.mark.parametrize("cells", [1, 13, 14, 100, 1 << 20])
def test_blocks_change_no_bit(cells: int) -> None:
    sums = exactly_summable(np.random.default_rng(0).random((13, 9)) * np.geomspace(1e-6, 1e6, 9))
    assert np.array_equal(resampled_sums(sums, 77, 1, cells=cells), resampled_sums(sums, 77, 1))


def test_sums_do_not_depend_on_the_order_of_adding() -> None:
    random = np.random.default_rng(2)
    values = exactly_summable(random.random((5000, 1)) - 0.5)[:, 0]
    forwards, backwards, shuffled = sum(values), sum(values[::-1]), sum(random.permutation(values))
    assert forwards == backwards == shuffled == values.sum()
    assert np.array_equal(exactly_summable([[3.0, 1e9], [0.0, 7.0]]), [[3.0, 1e9], [0.0, 7.0]])
    assert values.mean() == pytest.approx(np.random.default_rng(2).random(5000).mean() - 0.5, abs=1e-12)


def test_the_seed_decides() -> None:
    sums = songs(8, 20)
    first, again, other = (cluster_bootstrap(sums, ratio, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.resampled, again.resampled)
    assert not np.array_equal(first.resampled, other.resampled)


def test_samples_are_summed_by_cluster() -> None:
    random = np.random.default_rng(6)
    table, index = random.random((100, 3)), random.integers(0, 7, 100)
    expected = np.zeros((8, 3))
    np.add.at(expected, index, table)
    assert cluster_sums(table, index, 8) == pytest.approx(expected)


def test_hits_that_go_together_do_not_make_an_estimate_surer() -> None:
    """Fifty copies of every song: drawn by song the interval stays, drawn by hit it shrinks by sqrt(50)."""
    sums = songs(9, 40)
    by_song = cluster_bootstrap(sums * 50, ratio, iterations=2000)
    by_hit = cluster_bootstrap(np.repeat(sums, 50, axis=0), ratio, iterations=2000)
    once = cluster_bootstrap(sums, ratio, iterations=2000)
    assert by_song.standard_error[0] == pytest.approx(once.standard_error[0])
    assert once.standard_error[0] / by_hit.standard_error[0] == pytest.approx(50**0.5, rel=0.1)


@pytest.mark.parametrize(("method", "clusters", "least", "most"), [
    ("percentile", 60, 0.90, 0.98), ("bca", 60, 0.90, 0.98),
    # Few clusters: too narrow, which is why the gate warns below 20.
    ("percentile", 5, 0.70, 0.90),
])  # fmt: skip
def test_intervals_hold_the_truth_as_often_as_they_say(
    method: Method, clusters: int, least: float, most: float
) -> None:
    """F1 over simulated songs whose hit rates scatter: 300 tests, nominal 95 %, +- 2.5 % by chance."""
    random = np.random.default_rng(12)

    def simulated(count: int) -> FloatArray:
        rate = random.beta(8, 2, count)
        tp = random.binomial(30, rate)
        return np.column_stack((2.0 * tp, 30.0 + tp + random.binomial(30, 0.2 * (1 - rate))))

    truth = ratio(simulated(400_000).sum(axis=0, keepdims=True))[0, 0]
    inside = 0
    for seed in range(300):
        found = cluster_bootstrap(simulated(clusters), ratio, iterations=300, seed=seed, method=method)
        inside += bool(found.low[0] <= truth <= found.high[0])
    assert least <= inside / 300 <= most


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_one_cluster_has_no_interval(method: Method) -> None:
    found = cluster_bootstrap([[1.0, 4.0]], ratio, method=method)
    assert found.point[0] == 0.25 and found.mean[0] == 0.25
    assert np.isnan([found.low[0], found.high[0], found.standard_error[0]]).all()


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_value_that_rests_on_one_of_many_clusters_has_no_interval(method: Method) -> None:
    """Resamples that hold it all say the same: an interval would have no width and no meaning."""
    found = cluster_bootstrap([[1.0, 4.0], [0.0, 0.0], [0.0, 0.0]], ratio, method=method)
    assert found.point[0] == 0.25 and np.isnan(found.low[0])
    assert 0.6 < found.defined[0] / 1000 < 0.8  # 1 - (2/3)^3 = 0.70


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_resamples_without_a_value_are_left_out_and_counted(method: Method) -> None:
    found = cluster_bootstrap([[1.0, 4.0], [3.0, 4.0], [0.0, 0.0]], ratio, method=method)
    undefined = np.isnan(found.resampled[:, 0]).sum()
    assert 10 < undefined < 70 and found.defined[0] == 1000 - undefined  # expected: 1000 / 27
    assert found.mean[0] == pytest.approx(np.nanmean(found.resampled))
    assert (found.low[0], found.high[0]) == (0.25, 0.75)


def test_a_statistic_that_is_never_defined() -> None:
    found = cluster_bootstrap([[0.0, 0.0], [0.0, 0.0]], ratio)
    assert np.isnan([found.point[0], found.mean[0], found.low[0]]).all() and found.defined[0] == 0


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_constant_is_constant_to_the_last_bit(method: Method) -> None:
    sums = np.column_stack((np.full(7, 0.1) * np.arange(1, 8), np.arange(1.0, 8.0)))
    found = cluster_bootstrap(sums, ratio, method=method)
    assert found.point[0] == pytest.approx(0.1, abs=1e-12)
    assert found.high[0] - found.low[0] < 1e-14
    equal = cluster_bootstrap(np.ones((7, 2)) * [0.1, 1.0], ratio, method=method)
    assert equal.low[0] == equal.point[0] == equal.high[0]


def test_several_values_at_once_are_those_of_each_alone() -> None:
    sums = np.hstack((songs(1, 30), songs(2, 30)))
    both = cluster_bootstrap(sums, lambda s: np.hstack((ratio(s), ratio(s[:, 2:]))), method="bca")
    for value, columns in enumerate((sums[:, :2], sums[:, 2:])):
        alone = cluster_bootstrap(columns, ratio, method="bca")
        assert (both.low[value], both.high[value]) == (alone.low[0], alone.high[0])


def test_progress_reaches_the_end() -> None:
    seen: list[tuple[int, int]] = []
    resampled_sums(
        np.ones((10, 1)), 25, 0, cells=100, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_senseless_arguments() -> None:
    with pytest.raises(UsageError, match="at least one cluster"):
        cluster_bootstrap(np.zeros((0, 2)), ratio)
    for arguments in ({"iterations": 1}, {"confidence": 95.0}, {"confidence": float("nan")}, {"method": "t"}):
        with pytest.raises(UsageError, match="2 iterations or more, a confidence between 0 and 1"):
            cluster_bootstrap(np.ones((3, 2)), ratio, **arguments)  # type: ignore[arg-type]
