"""Measures resampled by cluster: estimates with intervals, of one model or of two on the same resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from beatsight.gates.bootstrap.judging import worse_shares
from beatsight.gates.bootstrap.measures import Measures
from beatsight.gates.bootstrap.records import (
    ERRORS,
    METRICS,
    Baseline,
    BootstrapSettings,
    Difference,
    Estimate,
)
from beatsight.metrics.bootstrap import Bootstrap, cluster_bootstrap, cluster_sums

if TYPE_CHECKING:
    from beatsight.manifest.engine.table import Progress

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """The candidate's estimates, and the baseline's beside them where there is one."""

    metrics: dict[str, Estimate]
    per_class_f1: dict[str, Estimate]
    baseline: Baseline | None


def resample(
    candidate: Measures,
    baseline: Measures | None,
    index: IntArray,
    count: int,
    settings: BootstrapSettings,
    progress: Progress | None = None,
) -> Outcome:
    """Draw clusters and estimate.

    Args:
        candidate: its columns, a row a sample.
        baseline: of the same samples; its differences come from the same draws.
        index: (samples,), the cluster of each.
        count: how many clusters there are.
        settings: iterations, seed, confidence and method.
        progress: called with (resamples done, resamples in all).
    """
    models = [candidate] if baseline is None else [candidate, baseline]
    sums = [cluster_sums(model.columns, index, count) for model in models]
    cut = sums[0].shape[1]

    def statistic(both: FloatArray) -> FloatArray:
        parts = [both[:, :cut], both[:, cut:]][: len(models)]
        values = [model.values(part) for model, part in zip(models, parts, strict=True)]
        if len(values) == 2:
            values.append(values[0][:, : len(METRICS)] - values[1][:, : len(METRICS)])
        return np.hstack(values)

    result = cluster_bootstrap(
        np.hstack(sums), statistic, iterations=settings.iterations, seed=settings.seed,
        confidence=settings.confidence, method=settings.method, progress=progress,
    )  # fmt: skip
    metrics, per_class = _estimates(result, 0, candidate, sums[0], settings)
    if baseline is None:
        return Outcome(metrics, per_class, None)
    start = len(METRICS) + len(candidate.labels)
    old_metrics, old_per_class = _estimates(result, start, baseline, sums[1], settings)
    differences = _differences(
        result, start + len(METRICS) + len(baseline.labels), metrics, old_metrics, settings
    )
    return Outcome(
        metrics, per_class, Baseline(
            kind="predictions", same_truth=True, metrics=old_metrics, per_class_f1=old_per_class,
            differences=differences,
        ),
    )  # fmt: skip


def _estimates(
    result: Bootstrap, start: int, model: Measures, sums: FloatArray, settings: BootstrapSettings
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Metrics and F1 per label of the model whose values begin at ``start``; undefined ones left out."""
    names = [*METRICS, *model.labels]
    samples, clusters = model.counted(model.columns), model.counted(sums)
    found = [
        None
        if np.isnan(result.point[start + at])
        else _estimate(result, start + at, int(samples[at]), int(clusters[at]), settings)
        for at in range(len(names))
    ]
    return _there(METRICS, found[: len(METRICS)]), _there(model.labels, found[len(METRICS) :])


def _there(names: Sequence[str], found: Sequence[Estimate | None]) -> dict[str, Estimate]:
    return {name: estimate for name, estimate in zip(names, found, strict=True) if estimate is not None}


def _differences(
    result: Bootstrap,
    start: int,
    new: dict[str, Estimate],
    old: dict[str, Estimate],
    settings: BootstrapSettings,
) -> dict[str, Difference]:
    shares = worse_shares(
        result.resampled[:, start : start + len(METRICS)], np.array([name in ERRORS for name in METRICS])
    )
    found = {}
    for at, name in enumerate(METRICS):
        if name in new and name in old:
            clusters = min(new[name].clusters, old[name].clusters)
            estimate = _estimate(result, start + at, min(new[name].n, old[name].n), clusters, settings)
            share = float(shares[at]) if estimate.ci_lower is not None else None
            found[name] = Difference(**msgspec.structs.asdict(estimate), worse_share=share)
    return found


def _estimate(result: Bootstrap, at: int, n: int, clusters: int, settings: BootstrapSettings) -> Estimate:
    low, high = _known(result.low[at]), _known(result.high[at])
    why = ""
    if clusters < 2:
        why = "it rests on a single cluster, which shows no spread"
    elif low is None:
        why = "every resample lies on one side of the estimate, for which BCa has no interval"
    elif low == high:
        why = "every resample gives the same value"
    return Estimate(
        point_estimate=float(result.point[at]),
        mean=_known(result.mean[at]),
        ci_lower=low,
        ci_upper=high,
        standard_error=_known(result.standard_error[at]),
        method=settings.method,
        n=n,
        clusters=clusters,
        undefined_resamples=settings.iterations - int(result.defined[at]),
        why=why,
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
