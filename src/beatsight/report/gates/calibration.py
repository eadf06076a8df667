"""The page of gate ``calibration``: reliability diagrams over all cells, by class and by loudness."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from beatsight.gates.calibration import Bin, CalibrationReport
from beatsight.metrics import DEFAULT_THRESHOLD
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Bar, Group, Series, bar_chart, histogram, xy_chart
from beatsight.report.text import number, plural

# The share of truths of fewer forecasts is mostly chance; drawings by class and loudness leave such bins out.
_DRAWN_FROM = 10
_LINES_A_CHART = 4
_BIN_COLUMNS = [
    Column("from", 3), Column("to", 3), Column("forecasts"), Column("true"), Column("mean score", 3),
    Column("share true", 3),
]  # fmt: skip


def story(report: CalibrationReport) -> Story:
    """What the page tells below the verdict."""
    return Story(
        title="Calibration of scores",
        question="Can a score be taken at its word, so that of all 0.8s eight in ten are true?",
        facts=_facts(report),
        sections=[
            Section(
                "All forecasts",
                [SideBySide([_overall(report), _scores(report)])],
                "On the diagonal, scores are probabilities. Below it the model is too sure of itself, above "
                "it not sure enough.",
            ),
            Section(
                "By class",
                [SideBySide([_class_errors(report), _classes(report)]), SideBySide(_class_lines(report))],
            ),
            _by_loudness(report),
            Section("How it was measured", [Text(text) for text in _method(report)]),
        ],
    )


def _facts(report: CalibrationReport) -> Facts:
    asserted = f"{plural(report.asserted_cells, 'forecast')} of {DEFAULT_THRESHOLD:g} or above"
    return Facts(
        (
            Fact("ECE", number(report.ece, 4), f"all {report.cells:,} forecasts"),
            Fact("ECE of what it reports", number(report.ece_asserted, 4), asserted),
            Fact("ECE, equal-mass bins", number(report.ece_equal_mass, 4), "all forecasts"),
            Fact("Brier score", number(report.brier, 4), "0 is perfect"),
            Fact("samples", number(report.samples), f"{report.missing:,} without a prediction"),
        )
    )


def _table(bins: Sequence[Bin], caption: str = "") -> Table:
    rows = [(b.low, b.high, b.count, b.positives, b.mean_score, b.mean_truth) for b in bins if b.count]
    return Table(_BIN_COLUMNS, rows, caption or "Bins without forecasts are left out.")


def _diagram(title: str, lines: Sequence[tuple[str, Sequence[Bin]]], least: int) -> Markup:
    series = []
    for name, bins in lines:
        # A bin that is left out is a gap: no line bridges it.
        xs = [(b.low + b.high) / 2 if b.mean_score is None else b.mean_score for b in bins]
        series.append(Series(name, xs, [b.mean_truth if b.count >= least else None for b in bins]))
    return xy_chart(
        title,
        series,
        "mean score of the bin",
        "share of the bin that is true",
        x_limits=(0.0, 1.0),
        y_limits=(0.0, 1.0),
        diagonal=True,
    )


def _overall(report: CalibrationReport) -> Figure:
    svg = _diagram("Reliability over all forecasts", [("all classes", report.reliability)], 1)
    count = sum(b.count > 0 for b in report.reliability)
    caption = f"{plural(report.cells, 'forecast')} in {plural(count, 'bin')} that hold any."
    return Figure(svg, caption, _table(report.reliability))


def _scores(report: CalibrationReport) -> Figure:
    bins = report.reliability
    edges = [*(b.low for b in bins), bins[-1].high]
    groups = []
    for name, counts in (
        ("label is true", [b.positives for b in bins]),
        ("label is not true", [b.count - b.positives for b in bins]),
    ):
        total = sum(counts) or 1
        groups.append(Group(name, [100 * count / total for count in counts]))
    svg = histogram("Scores of true and of false labels", edges, groups, "score", "share of its group in %")
    true = sum(b.positives for b in bins)
    caption = (
        f"{plural(true, 'forecast')} about a label that is true, {report.cells - true:,} about one that is "
        "not; each group adds up to 100 %."
    )
    rows = [(b.low, b.high, b.positives, b.count - b.positives) for b in bins]
    columns = [Column("from", 3), Column("to", 3), Column("true"), Column("not true")]
    return Figure(svg, caption, Table(columns, rows))


def _class_errors(report: CalibrationReport) -> Figure:
    worst = sorted(report.per_class, key=lambda row: (-row.ece, row.label))
    limit = next(r.threshold for r in report.gating_results if r.gate == "ece")
    bars = [
        Bar(row.label, row.ece, f"{row.ece:.3f}", css="series-b" if row.ece > limit else "series-a")
        for row in worst
    ]
    high = 1.1 * max(limit, worst[0].ece)
    line = (limit, f"gate on all {limit:g}")
    svg = bar_chart("Calibration error by class", bars, "ECE", high, line)
    columns = [Column("class"), Column("ECE", 4)]
    caption = "Worst first. The gate is on all forecasts together; the line is drawn for comparison."
    return Figure(svg, caption, Table(columns, [(row.label, row.ece) for row in worst]))


def _class_lines(report: CalibrationReport) -> list[Figure]:
    worst = sorted(report.per_class, key=lambda row: (-row.ece, row.label))
    figures = []
    for start in range(0, len(worst), _LINES_A_CHART):
        some = worst[start : start + _LINES_A_CHART]
        names = ", ".join(row.label for row in some)
        svg = _diagram(f"Reliability of {names}", [(row.label, row.reliability) for row in some], _DRAWN_FROM)
        rows = [
            (row.label, b.low, b.high, b.count, b.positives, b.mean_score, b.mean_truth)
            for row in some
            for b in row.reliability
            if b.count
        ]
        caption = f"{names}: bins of {_DRAWN_FROM} forecasts or more."
        figures.append(Figure(svg, caption, Table([Column("class"), *_BIN_COLUMNS], rows)))
    return figures


def _classes(report: CalibrationReport) -> Table:
    columns = [
        Column("class"), Column("true samples"), Column("prevalence", 3), Column("mean score", 3),
        Column("ECE", 4), Column("Brier", 4),
    ]  # fmt: skip
    rows = [
        (row.label, row.support, row.prevalence, row.mean_score, row.ece, row.brier)
        for row in report.per_class
    ]
    return Table(columns, rows, "A mean score above the prevalence: the model says the label too often.")


def _by_loudness(report: CalibrationReport) -> Section:
    title, unknown = "By loudness", report.samples_without_dynamics
    if unknown == report.samples:
        return Section(title, [Text("No sample of the truth says how loud its hits are.")])
    intro = (
        "Reliability, ECE and Brier score of a bucket are over all forecasts of the samples whose loudest "
        "hit is in it."
    )
    if unknown:
        intro += f" Samples without a hit of known loudness are in none: {unknown:,}."
    return Section(
        title, [SideBySide([_loudness_lines(report), _of_true_hits(report)]), _loudness(report)], intro
    )


def _loudness_lines(report: CalibrationReport) -> Figure:
    svg = _diagram(
        "Reliability by loudness of the loudest hit",
        [(row.bucket, row.reliability) for row in report.dynamics if row.samples],
        _DRAWN_FROM,
    )
    rows = [
        (row.bucket, b.low, b.high, b.count, b.positives, b.mean_score, b.mean_truth)
        for row in report.dynamics
        for b in row.reliability
        if b.count
    ]
    caption = f"Samples by their loudest hit: bins of {_DRAWN_FROM} forecasts or more."
    return Figure(svg, caption, Table([Column("loudness"), *_BIN_COLUMNS], rows))


def _of_true_hits(report: CalibrationReport) -> Figure:
    bars = [
        Bar(row.bucket, row.mean_score, f"{number(row.mean_score, 3)} ({plural(row.hits, 'hit')})")
        for row in report.dynamics
    ]
    svg = bar_chart("Mean score of the true label by loudness", bars, "mean score of the true label", 1.0)
    columns = [Column("loudness"), Column("hits"), Column("mean score", 3)]
    rows = [(row.bucket, row.hits, row.mean_score) for row in report.dynamics]
    return Figure(
        svg, "Of true hits, by their own loudness: how sure the model is of them.", Table(columns, rows)
    )


def _loudness(report: CalibrationReport) -> Table:
    columns = [
        Column("loudness"), Column("true hits"), Column("mean score", 3),
        Column(f"scored {DEFAULT_THRESHOLD:g} or above", 3), Column("samples"), Column("ECE", 4),
        Column("Brier", 4),
    ]  # fmt: skip
    return Table(
        columns,
        [
            (row.bucket, row.hits, row.mean_score, row.found, row.samples, row.ece, row.brier)
            for row in report.dynamics
        ],
    )


def _method(report: CalibrationReport) -> list[str]:
    return [
        f"Every cell (sample, class) is one forecast: {report.samples:,} samples × {len(report.per_class)} "
        "classes, which are all labels that are true of a sample or have a score. ECE is the mean gap "
        f"between mean score and share of truths in {len(report.reliability)} equal bins, weighted by their "
        "counts; the Brier score is the mean squared difference of score and truth.",
        "Most forecasts are easy, a score near 0 for a drum that is not there, and pull every figure over "
        f"all forecasts down. The ECE of what the model reports, scores of {DEFAULT_THRESHOLD:g} or above, "
        "is the figure to read beside it.",
    ]
