"""The page of gate ``bootstrap``: every number with its interval, beside the baseline, and what decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from beatsight.gates.bootstrap import Baseline, BootstrapReport, Difference, Estimate
from beatsight.gates.bootstrap.records import ERRORS, METRICS
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Interval, interval_chart
from beatsight.report.text import number, plural

NAMES = {
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "example_f1": "example F1",
    "onset_f1_20ms": "onset F1, 20 ms",
    "onset_f1_50ms": "onset F1, 50 ms",
    "openness_mae": "openness error",
    "velocity_mae": "velocity error",
    "ece": "ECE",
}
_KINDS = (
    (tuple(name for name in METRICS if name not in ERRORS), "Scores", "score (more is better)"),
    (ERRORS, "Errors", "error (less is better)"),
)


def story(report: BootstrapReport) -> Story:
    """What the page tells below the verdict."""
    sections = [
        Section("Scores and errors", _overall(report), _how(report)),
        *([_comparison(report, report.baseline)] if report.baseline else []),
    ]
    if report.per_class_f1:
        sections.append(_classes(report))
    sections.append(Section("How it was measured", [_details(report)]))
    return Story(
        title="Confidence of the scores",
        question="How good is the model, how sure is that, and is it worse than the one before?",
        facts=_facts(report),
        sections=sections,
    )


def _facts(report: BootstrapReport) -> Facts:
    tiles = [
        Fact(NAMES[name], number(estimate.point_estimate, 3), _range(estimate))
        for name, estimate in report.metrics.items()
        if name in ("macro_f1", "micro_f1", "onset_f1_50ms", "openness_mae")
    ]
    missing = report.samples - report.predicted
    said = f"{missing:,} without a prediction" if missing else "each with a prediction"
    tiles.append(Fact("samples", number(report.samples), said))
    tiles.append(Fact(f"{report.cluster}s drawn from", number(report.clusters)))
    return Facts(tiles)


def _range(estimate: Estimate) -> str:
    if estimate.ci_lower is None:
        return "no interval"
    return f"{number(estimate.ci_lower, 3)} to {number(estimate.ci_upper, 3)}"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:.4g} %"


def _how(report: BootstrapReport) -> str:
    drawn = plural(report.clusters, report.cluster)
    return (
        f"Bars are {_percent(report.confidence)} intervals: of intervals made so, that share holds the value "
        f"over all {report.cluster}s of this kind. From {plural(report.iterations, 'resample')} of {drawn}."
    )


def _intervals(
    estimates: Mapping[str, Estimate], names: Iterable[str], earlier: Mapping[str, Estimate]
) -> list[Interval]:
    return [
        Interval(
            NAMES.get(name, name),
            estimates[name].ci_lower,
            estimates[name].point_estimate,
            estimates[name].ci_upper,
            earlier[name].point_estimate if name in earlier else None,
        )
        for name in names
        if name in estimates
    ]


def _overall(report: BootstrapReport) -> list[SideBySide | Text]:
    metrics = report.metrics
    earlier = report.baseline.metrics if report.baseline else {}
    figures = []
    for names, title, axis in _KINDS:
        if rows := _intervals(metrics, names, earlier):
            drawn = interval_chart(f"{title} with intervals", rows, axis)
            figures.append(Figure(drawn, f"{title}.", _table(metrics, names, earlier)))
    return [SideBySide(figures)] if figures else [Text("Nothing could be measured.")]


def _table(estimates: Mapping[str, Estimate], names: Sequence[str], earlier: Mapping[str, Estimate]) -> Table:
    columns = [Column("metric"), Column("value", 4), Column("from", 4), Column("to", 4)]
    columns += [Column("mean of resamples", 4), Column("standard error", 4), Column("samples")]
    columns += [Column("clusters"), *([Column("baseline", 4)] if earlier else [])]
    rows: list[list[str | int | float | None]] = []
    for name in (name for name in names if name in estimates):
        one = estimates[name]
        row: list[str | int | float | None] = [NAMES.get(name, name), one.point_estimate]
        row += [one.ci_lower, one.ci_upper, one.mean, one.standard_error, one.n, one.clusters]
        if earlier:
            row.append(earlier[name].point_estimate if name in earlier else None)
        rows.append(row)
    reasons = [
        f"{NAMES.get(name, name)}: {estimates[name].why}" for name in names if _reason(estimates, name)
    ]
    return Table(columns, rows, caption="; ".join(reasons))


def _reason(estimates: Mapping[str, Estimate], name: str) -> bool:
    return name in estimates and bool(estimates[name].why)


def _classes(report: BootstrapReport) -> Section:
    names = sorted(report.per_class_f1, key=lambda name: (report.per_class_f1[name].point_estimate, name))
    earlier = report.baseline.per_class_f1 if report.baseline else {}
    rows = _intervals(report.per_class_f1, names, earlier)
    drawn = interval_chart("F1 of each label with intervals", rows, "F1")
    figure = Figure(drawn, "F1 of each label, lowest first.", _table(report.per_class_f1, names, earlier))
    return Section(
        "Each label",
        [figure],
        "Macro F1 is the mean of these values. A wide bar is a label with few samples, or one that lives in "
        f"few {report.cluster}s.",
    )


def _comparison(report: BootstrapReport, baseline: Baseline) -> Section:
    parts: list[Figure | SideBySide | Table | Text] = [Text(rule(report))]
    if baseline.kind == "predictions":
        parts += _differences(report, baseline.differences)
    else:
        parts.append(SideBySide(_both(report.metrics, baseline)))
    return Section("Against the baseline", parts)


def _both(metrics: Mapping[str, Estimate], baseline: Baseline) -> list[Figure]:
    """Each model's own interval, one below the other."""
    columns = [Column("metric"), *(Column(name, 4) for name in ("value", "from", "to", "difference"))]
    figures = []
    for names, title, axis in _KINDS:
        bars, rows = [], []
        for name in (name for name in names if name in baseline.differences):
            change = baseline.differences[name].point_estimate
            for who, one in (("this model", metrics[name]), ("baseline", baseline.metrics[name])):
                label = f"{NAMES[name]}, {who}"
                bars.append(Interval(label, one.ci_lower, one.point_estimate, one.ci_upper))
                difference = change if who == "this model" else None
                rows.append((label, one.point_estimate, one.ci_lower, one.ci_upper, difference))
        if bars:
            drawn = interval_chart(f"{title} of this model and the baseline", bars, axis)
            caption = f"{title}, each with the interval of its own report."
            figures.append(Figure(drawn, caption, Table(columns, rows)))
    return figures


def rule(report: BootstrapReport) -> str:
    """What decides, in words."""
    text = (
        f"What decides: macro F1 may lie at most {report.max_macro_f1_drop:g} below the baseline's, and the "
        f"openness error at most {report.max_openness_mae_rise:g} above it, both measured on all samples. "
    )
    if report.baseline is not None and report.baseline.kind == "report":
        return text + (
            "The baseline is a report, whose samples are not at hand, so the difference has no interval of "
            "its own: where the bars of the two overlap widely, chance may have made it. The earlier model's "
            "predictions in place of its report would tell."
        )
    return text + (
        "The intervals of the differences do not decide; they say how far chance may have made them: an "
        "interval that holds 0 is a difference that other songs could turn round."
    )


def _differences(
    report: BootstrapReport, differences: Mapping[str, Difference]
) -> list[Figure | Table | Text]:
    limits = {"macro_f1": -report.max_macro_f1_drop, "openness_mae": report.max_openness_mae_rise}
    judged = {
        name: next((r.passed for r in report.gating_results if r.gate == gate), None)
        for name, gate in (("macro_f1", "macro_f1_drop"), ("openness_mae", "openness_mae_rise"))
    }
    bars = [
        Interval(NAMES[name], one.ci_lower, one.point_estimate, one.ci_upper, good=judged.get(name))
        for name, one in differences.items()
    ]
    columns = [Column("metric"), Column("difference", 4), Column("from", 4), Column("to", 4)]
    columns += [Column("allowed", 3), Column("worse in % of resamples", 1)]
    rows = [
        (
            NAMES[name],
            one.point_estimate,
            one.ci_lower,
            one.ci_upper,
            limits.get(name),
            None if one.worse_share is None else 100 * one.worse_share,
        )
        for name, one in differences.items()
    ]
    drawn = interval_chart("Differences with intervals", bars, "this model minus the baseline")
    caption = (
        "Differences on the same resamples. Scores: above 0 is better; errors and ECE: below 0 is better."
    )
    return [Figure(drawn, caption), Table(columns, rows)]


def _details(report: BootstrapReport) -> Table:
    thresholds = ", ".join(f"{label} {value:g}" for label, value in sorted(report.thresholds.items()))
    rows = [
        ("threshold", f"{report.threshold:g}"),
        *([("thresholds of their own", thresholds)] if thresholds else []),
        ("resamples", f"{report.iterations:,}, seed {report.seed}"),
        ("drawn", f"{plural(report.clusters, report.cluster)}, with replacement"),
        ("interval", f"{_percent(report.confidence)}, {report.method}"),
    ]
    return Table([Column("what"), Column("value")], rows)
