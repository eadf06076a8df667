"""The comparison with a baseline, and what it decides.

Blocking rule (docs/formats.md): held when worse than the baseline by more than 3 points of macro F1 or 0.02
of openness error, by the point estimates. The interval of the difference tells how sure that is; it does not
decide, since a rule that waits for certainty lets every small test set pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from beatsight.gates.bootstrap.records import (
    ERRORS,
    METRICS,
    Baseline,
    BootstrapReport,
    BootstrapSettings,
    Difference,
    Estimate,
)
from beatsight.gates.result import GateResult, at_least, at_most

# 0.78 - 0.75 is 0.030000000000000027 in floating point, and "more than 0.03" does not mean that.
DUST = 1e-9
# From one cluster every resample is the same, and nothing is known of how sure the scores are.
LEAST_CLUSTERS = 2
# A candidate that gives openness for fewer samples than this share of its baseline's may have left out the
# hard ones: its error is not comparable, and what cannot be compared does not pass.
MIN_COVERAGE = 0.9


def judge(
    metrics: Mapping[str, Estimate], baseline: Baseline | None, settings: BootstrapSettings
) -> list[GateResult]:
    """Whether there is an interval at all, and every result that was asked for."""
    results = []
    if settings.min_macro_f1 is not None:
        macro = metrics.get("macro_f1")
        results.append(
            at_least(
                "macro_f1",
                _snapped(macro.point_estimate if macro else None, settings.min_macro_f1),
                settings.min_macro_f1,
                _interval(macro, settings.confidence) if macro else "no label is true or predicted",
            )
        )
    if baseline is not None:
        drop, why = _worsening("macro_f1", metrics, baseline, settings)
        limit = settings.max_macro_f1_drop
        results.append(at_most("macro_f1_drop", _snapped(drop, limit), limit, why))
        if "openness_mae" in baseline.metrics:
            rise, why = _worsening("openness_mae", metrics, baseline, settings)
            limit = settings.max_openness_mae_rise
            results.append(at_most("openness_mae_rise", _snapped(rise, limit), limit, why))
    drawn = metrics["macro_f1"].clusters if "macro_f1" in metrics else None
    results.append(
        at_least("clusters", drawn, LEAST_CLUSTERS, "sessions or samples to draw an interval from")
    )
    return results


def _worsening(
    name: str, metrics: Mapping[str, Estimate], baseline: Baseline, settings: BootstrapSettings
) -> tuple[float | None, str]:
    """How much worse the candidate is (below 0: better), None where that cannot be said; and a sentence."""
    if name not in metrics or name not in baseline.metrics:
        lacking = "the predictions give" if name not in metrics else "the baseline gives"
        return None, f"{lacking} no {name}, so it cannot be compared"
    new, old = metrics[name], baseline.metrics[name]
    if name == "openness_mae" and baseline.same_truth and new.n < MIN_COVERAGE * old.n:
        return None, f"given for {new.n} samples where the baseline gives it for {old.n}: not comparable"
    difference = baseline.differences[name]
    sentence = f"{new.point_estimate:.4f} against the baseline's {old.point_estimate:.4f}"
    if difference.worse_share is not None:
        sentence += f"; {_change(name, difference, settings.confidence)}; "
        sentence += f"worse in {100 * difference.worse_share:.1f} % of the resamples"
    else:
        sentence += f"; {_interval(new, settings.confidence)}, the baseline's {_range(old)}"
    change = difference.point_estimate
    return (-change if name == "macro_f1" else change), sentence


def _interval(estimate: Estimate, confidence: float) -> str:
    return f"{100 * confidence:.4g} % interval {_range(estimate)}"


def _change(name: str, difference: Difference, confidence: float) -> str:
    """The interval of what the gate holds against its limit: a drop of macro F1, a rise of an error."""
    low, high = difference.ci_lower, difference.ci_upper
    if name == "macro_f1":
        low, high = (None if end is None else -end for end in (high, low))
    what = "drop" if name == "macro_f1" else "rise"
    ends = "unknown" if low is None or high is None else f"{low:.4f} to {high:.4f}"
    return f"{100 * confidence:.4g} % interval of the {what} {ends}"


def _range(estimate: Estimate) -> str:
    if estimate.ci_lower is None or estimate.ci_upper is None:
        return "unknown"
    return f"{estimate.ci_lower:.4f} to {estimate.ci_upper:.4f}"


def _snapped(value: float | None, limit: float) -> float | None:
    """The limit itself where the value differs from it by dust."""
    return limit if value is not None and abs(value - limit) <= DUST else value


def worse_shares(differences: np.ndarray, less_is_better: np.ndarray) -> np.ndarray:
    """The share of resamples in which the candidate is worse, per metric; NaN without any.

    Args:
        differences: (resamples, metrics), candidate minus baseline, NaN where undefined.
        less_is_better: (metrics,) booleans.
    """
    there = ~np.isnan(differences)
    signed = np.where(less_is_better, differences, -differences)
    worse = (np.where(there, signed, 0.0) > DUST).sum(axis=0)
    return np.divide(worse, there.sum(axis=0), out=np.full(len(worse), np.nan), where=there.any(axis=0))


def against_report(metrics: Mapping[str, Estimate], earlier: BootstrapReport, truth_digest: str) -> Baseline:
    """The comparison of point estimates with an earlier report: its samples are not at hand to resample."""
    return Baseline(
        kind="report",
        same_truth=earlier.truth_digest == truth_digest,
        metrics=earlier.metrics,
        per_class_f1=earlier.per_class_f1,
        differences={
            name: Difference(
                point_estimate=new.point_estimate - old.point_estimate, mean=None, ci_lower=None,
                ci_upper=None, standard_error=None, method=new.method, n=new.n, clusters=new.clusters,
                why="a report holds no samples to resample",
            )
            for name, new in metrics.items()
            if (old := earlier.metrics.get(name)) is not None
        },
    )  # fmt: skip


def report_notes(earlier: BootstrapReport, baseline: Baseline, settings: BootstrapSettings) -> list[str]:
    """What makes an earlier report hard to compare with."""
    notes = []
    if not baseline.same_truth:
        notes.append(
            "the baseline report is of other samples or labels, so the difference is not only the model's"
        )
    if earlier.threshold != settings.threshold:
        notes.append(
            f"the baseline report used the threshold {earlier.threshold:g}, this one {settings.threshold:g}"
        )
    return notes


def unpaired_notes(metrics: Mapping[str, Estimate], baseline: Baseline) -> list[str]:
    """What one side has and the other lacks."""
    notes = []
    for name in (name for name in METRICS if (name in metrics) != (name in baseline.metrics)):
        only = "the predictions" if name in metrics else "the baseline"
        notes.append(f"{name}: measured for {only} only, so it is not compared")
    for name, new in metrics.items():
        old = baseline.metrics.get(name)
        if name in ERRORS and old is not None and baseline.same_truth and old.n != new.n:
            notes.append(f"{name}: over {new.n} samples, the baseline's over {old.n}")
    return notes
