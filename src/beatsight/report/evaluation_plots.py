"""Sections of an evaluation's page: calibration, scores and thresholds, errors of velocity and openness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beatsight.report.evaluation_data import Calibration, ClassResult, Estimates, EvaluationReport, Spread
from beatsight.report.page import Column, Figure, Section, SideBySide, Table, Text
from beatsight.report.palette import family
from beatsight.report.plots import Bar, Group, Reference, Series, bar_chart, histogram, xy_chart
from beatsight.report.text import number, plural


def calibration_section(calibration: Calibration, classes: Mapping[str, ClassResult]) -> Section:
    """The reliability diagram over all cells, and the calibration error of every class."""
    bins = calibration.reliability
    line = Series(
        "all classes",
        [(b.low + b.high) / 2 if b.mean_score is None else b.mean_score for b in bins],
        [b.mean_truth for b in bins],
    )
    svg = xy_chart(
        "Reliability of scores", [line], "mean score of the bin", "share of the bin that is true",
        x_limits=(0.0, 1.0), y_limits=(0.0, 1.0), diagonal=True,
    )  # fmt: skip
    columns = [
        Column("from", 3), Column("to", 3), Column("scores"), Column("true"), Column("mean score", 3),
        Column("share true", 3),
    ]  # fmt: skip
    rows = [(b.low, b.high, b.count, b.positives, b.mean_score, b.mean_truth) for b in bins if b.count]
    caption = (
        f"{calibration.cells:,} scores (moments × classes). On the dotted line scores are probabilities."
    )
    worst = sorted(classes.items(), key=lambda item: -(item[1].ece or 0.0))
    bars = [Bar(label, result.ece, number(result.ece, 3), family(label)) for label, result in worst]
    error = bar_chart("Calibration error by class", bars, "ECE")
    return Section(
        "Calibration",
        [
            SideBySide(
                [
                    Figure(svg, caption, Table(columns, rows)),
                    Figure(error, "Worst first: the mean gap between score and truth."),
                ]
            )
        ],
        f"Expected calibration error {number(calibration.ece, 4)}, of scores of 0.5 or above alone "
        f"{number(calibration.ece_asserted, 4)}; Brier score {number(calibration.brier, 4)}. Below the line "
        "the model is too sure of itself.",
    )


def histograms_section(report: EvaluationReport) -> Section:
    """Scores where a label is true and where it is not: all together, then by class with its threshold."""
    whole = _histogram("all classes", report.calibration.true_scores, report.calibration.other_scores, None)
    of_classes = [
        _histogram(label, result.true_scores, result.other_scores, result.threshold)
        for label, result in report.per_class.items()
        if result.support
    ]
    absent = report.classes_without_support
    intro = "Each group adds up to 100 %. The better a class is told apart, the less the two overlap."
    if absent:
        intro += f" Without a true moment: {', '.join(absent)}."
    return Section("Scores and thresholds", [whole, SideBySide(of_classes)], intro)


def _histogram(name: str, true: Sequence[int], other: Sequence[int], threshold: float | None) -> Figure:
    edges = [index / len(true) for index in range(len(true) + 1)]
    groups = [
        Group(group, [100.0 * count / (sum(counts) or 1) for count in counts])
        for group, counts in (("true", true), ("not true", other))
    ]
    lines = [] if threshold is None else [Reference(threshold, f"threshold {threshold:.2f}", "x")]
    svg = histogram(
        f"Scores of {name}", edges, groups, "score", f"{name}: share of its group in %", references=lines
    )
    rows = list(zip(edges[:-1], edges[1:], true, other, strict=True))
    table = Table([Column("from"), Column("to"), Column("true"), Column("not true")], rows)
    return Figure(svg, f"{name}: {sum(true):,} true, {sum(other):,} not.", table)


def velocity_section(estimates: Estimates) -> Section:
    """Errors of the velocity head by dynamic bucket and by class."""
    if not estimates.hits:
        return Section("Velocity", [Text("No true hit of this split has a velocity.")])
    return Section(
        "Velocity",
        [SideBySide([_errors("Velocity error by dynamics", estimates.by_level), _table(estimates.by_level)]),
         SideBySide([_errors("Velocity error by class", estimates.by_class), _table(estimates.by_class)])],
        f"Mean absolute error {number(estimates.mae, 3)} over {plural(estimates.hits, 'true hit')} whose "
        f"velocity is known, mean difference {number(estimates.bias, 3)} (above 0: heard too loud), whether "
        "or not the hit was found.",
    )  # fmt: skip


def openness_section(estimates: Estimates) -> Section:
    """Errors of the openness head, from shut to open."""
    if not estimates.hits:
        return Section("Hi-hat openness", [Text("No hi-hat of this split has a known openness.")])
    there = [spread for spread in estimates.by_level if spread.hits]
    line = Series("mean", [s.mean_true or 0.0 for s in there], [s.mean_found for s in there])
    svg = xy_chart(
        "Openness heard against true openness", [line], "true openness", "openness heard",
        x_limits=(0.0, 1.0), y_limits=(0.0, 1.0), diagonal=True,
    )  # fmt: skip
    return Section(
        "Hi-hat openness",
        [SideBySide([Figure(svg, "Means of five levels from shut to open."), _table(estimates.by_level)])],
        f"Mean absolute error {number(estimates.mae, 3)} over {plural(estimates.hits, 'moment')} whose "
        f"openness is known, mean difference {number(estimates.bias, 3)} (above 0: heard too open).",
    )


def _errors(title: str, spreads: Sequence[Spread]) -> Figure:
    bars = [Bar(s.name, s.mae, f"{number(s.mae, 3)} ({plural(s.hits, 'hit')})") for s in spreads]
    return Figure(bar_chart(title, bars, "mean absolute error (0..1)"), f"{title}; 0 is perfect.")


def _table(spreads: Sequence[Spread]) -> Table:
    columns = [
        Column("group"), Column("hits"), Column("error", 3), Column("difference", 3), Column("true", 3),
        Column("heard", 3),
    ]  # fmt: skip
    rows = [(s.name, s.hits, s.mae, s.bias, s.mean_true, s.mean_found) for s in spreads]
    return Table(columns, rows, "Means; difference is heard minus true.")
