"""The page of gate ``boundary``: recall of each class against the gate, leading beside trailing edges."""

from __future__ import annotations

from beatsight.gates.boundary import EDGES, Averages, BoundaryReport, Edge, Scores
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Bar, bar_chart
from beatsight.report.text import number, plural

_RATES = ("precision", "recall", "F1")


def story(report: BoundaryReport) -> Story:
    """What the page tells below the verdict."""
    minimum = next(r.threshold for r in report.gating_results if r.gate == "macro_recall")
    overall = Scores(**{name: getattr(report, name) for name in Scores.__struct_fields__})
    order = _worst_first(overall)
    return Story(
        title="Streaming boundaries",
        question="Is a hit found that lies at the edge of a streaming recogniser's window?",
        facts=_facts(report),
        sections=[
            Section(
                "Recall of each class",
                [_recall("Recall at both edges", overall, minimum, order)],
                "Lowest first. The gate is on the mean of these bars; a label that is predicted and never "
                "true counts as 0.",
            ),
            Section(
                "Leading and trailing edges",
                [SideBySide([_edge(report, edge, minimum, order) for edge in EDGES]), _by_edge(report)],
                "A leading hit has little sound before it in its window, a trailing one little after it.",
            ),
            Section("All scores", [_classes(report, overall)], _thresholds(report)),
        ],
    )


def _facts(report: BoundaryReport) -> Facts:
    true = sum(count > 0 for count in report.support.values())
    missing = f"{report.missing:,} without a prediction" if report.missing else "each with a prediction"
    return Facts(
        (
            Fact("macro recall", number(report.macro.recall, 3), plural(len(report.support), "label")),
            Fact("of true labels alone", number(report.true_class_recall, 3), plural(true, "label")),
            Fact("macro F1", number(report.macro.f1, 3), f"precision {number(report.macro.precision, 3)}"),
            Fact("micro F1", number(report.micro.f1, 3), f"recall {number(report.micro.recall, 3)}"),
            Fact("rows", number(report.rows), missing),
        )
    )


def _worst_first(scores: Scores) -> list[str]:
    return sorted(scores.support, key=lambda label: (scores.per_class_recall[label], label))


def _recall(title: str, scores: Scores, minimum: float, order: list[str]) -> Figure:
    bars, rows = [], []
    for label in (name for name in order if name in scores.support):
        value, support = scores.per_class_recall[label], scores.support[label]
        found = round(value * support)
        text = f"{value:.3f} ({found:,} of {support:,})" if support else "predicted, never true"
        # Colour repeats what the text and the line say: below the gate, or not.
        bars.append(Bar(label, value, text, css="bad-mark" if value < minimum else "series-a"))
        rows.append((label, support, found, value))
    columns = [Column("label"), Column("hits"), Column("found"), Column("recall", 3)]
    drawn = bar_chart(f"{title}, by label", bars, "recall", 1.0, (minimum, f"gate {minimum:g}"))
    caption = f"{title}: share of the true hits of a label that were found."
    return Figure(drawn, caption, Table(columns, rows))


def _edge(report: BoundaryReport, edge: Edge, minimum: float, order: list[str]) -> Figure | Text:
    scores = report.by_edge.get(edge)
    if scores is None:
        return Text(f"The truth has no row at a {edge} edge.")
    return _recall(f"Recall at {edge} edges", scores, minimum, order)


def _by_edge(report: BoundaryReport) -> Table:
    columns = [Column("edge"), Column("rows"), Column("without prediction")]
    columns += [Column(f"{kind} {rate}", 3) for kind in ("macro", "micro") for rate in _RATES]
    rows = [
        (edge, scores.rows, scores.missing, *_three(scores.macro), *_three(scores.micro))
        for edge, scores in report.by_edge.items()
    ]
    both = ("both", report.rows, report.missing, *_three(report.macro), *_three(report.micro))
    return Table(
        columns, rows, footer=both, caption="Macro averages of an edge are over the labels seen there."
    )


def _three(rates: Averages) -> tuple[float, float, float]:
    return rates.precision, rates.recall, rates.f1


def _classes(report: BoundaryReport, scores: Scores) -> Table:
    columns = [Column("label"), Column("true"), Column("predicted"), *(Column(rate, 3) for rate in _RATES)]
    columns += [Column(f"recall, {edge}", 3) for edge in EDGES] + [Column("threshold", 3)]
    rows = [
        (
            label,
            scores.support[label],
            scores.predicted[label],
            scores.per_class_precision[label] if scores.predicted[label] else None,
            scores.per_class_recall[label] if scores.support[label] else None,
            scores.per_class_f1[label],
            *(_recall_at(report, edge, label) for edge in EDGES),
            report.thresholds[label],
        )
        for label in _worst_first(scores)
    ]
    return Table(
        columns, rows, caption="– is undefined (never true, or never predicted) and counts as 0 in the means."
    )


def _recall_at(report: BoundaryReport, edge: Edge, label: str) -> float | None:
    scores = report.by_edge.get(edge)
    return scores.per_class_recall[label] if scores and scores.support.get(label) else None


def _thresholds(report: BoundaryReport) -> str:
    if "thresholds_file" in report.inputs:
        return (
            f"A label is predicted at or above its threshold, {report.threshold:g} where the file has none."
        )
    return f"A label is predicted at or above a score of {report.threshold:g}."
