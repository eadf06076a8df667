"""The page of ``beatsight evaluate``: how good a model is on a split, where it fails, and what to listen to.

:func:`evaluation_page` takes the record of ``evaluation.json`` and the sounds of the moments it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beatsight.report.clips import Sight
from beatsight.report.evaluation_clips import issues_section, mistakes_section
from beatsight.report.evaluation_data import EvaluationReport, Interval, Part
from beatsight.report.evaluation_plots import (
    calibration_section,
    histograms_section,
    openness_section,
    velocity_section,
)
from beatsight.report.page import (
    Column,
    Fact,
    Facts,
    Figure,
    Notes,
    Page,
    Section,
    SideBySide,
    Table,
    Verdict,
)
from beatsight.report.plots import Interval as IntervalRow
from beatsight.report.plots import interval_chart, matrix_chart
from beatsight.report.text import number, plural

# The last row and the last column of the confusion matrix.
_NOTHING = "(none)"
# Of kinds of mistakes in the table beside it; the rest stand in the matrix.
_MOST_PAIRS = 12


def evaluation_page(report: EvaluationReport, sights: Mapping[int, Sight]) -> Page:
    """The whole page.

    Args:
        report: the figures.
        sights: sound and picture of the rows that ``mistake_pairs`` and ``label_issues`` name.
    """
    sections = [_classes(report), _confusion(report), mistakes_section(report, sights)]
    if report.label_issues is not None:
        sections.append(issues_section(report.label_issues, report.split, sights))
    sections += [calibration_section(report.calibration, report.per_class), histograms_section(report)]
    if report.velocity is not None:
        sections.append(velocity_section(report.velocity))
    if report.openness is not None:
        sections.append(openness_section(report.openness))
    sections += _parts(report)
    sections.append(_method(report))
    return Page(
        title=f"Evaluation on {report.split}",
        subtitle=f"{report.model.architecture}, {report.model.parameters:,} parameters, on {report.dataset}",
        verdict=_verdict(report),
        facts=_facts(report),
        notes=Notes(report.notes) if report.notes else None,
        sections=sections,
    )


def between(interval: Interval | None) -> str:
    """An interval in words.

    >>> between((0.5, 0.75)), between(None)
    ('0.500 to 0.750', 'no interval')
    """
    return "no interval" if interval is None else " to ".join(number(end, 3) for end in interval)


def _verdict(report: EvaluationReport) -> Verdict:
    occurring = len(report.per_class) - len(report.classes_without_support)
    interval, ruling = report.intervals["macro_f1_present"], "No interval: all moments are of one session"
    if interval is not None:
        share, sessions = f"{report.resampling.confidence:.0%}", plural(report.sessions, "session")
        ruling = f"{between(interval)} ({share} interval over {sessions})"
    worst = [
        f"{label} {number(result.f1)}"
        for label, result in sorted(report.per_class.items(), key=lambda item: item[1].f1)
        if result.support
    ]
    classes = "the one class" if occurring == 1 else f"the {occurring} classes"
    return Verdict(
        value=number(report.macro_f1_present, 3),
        name=f"macro F1 over {classes} with true hits, {plural(report.moments, 'moment')} of {report.split}",
        passed=None,
        ruling=ruling,
        detail=f"Weakest: {', '.join(worst[:3])}." if worst else "No class has a true hit in this split.",
        share=report.macro_f1_present,
    )


def _facts(report: EvaluationReport) -> Facts:
    calibration = report.calibration
    precision, recall = number(report.micro_precision), number(report.micro_recall)
    facts = [
        _measured("micro F1", report.micro_f1, report.intervals["micro_f1"]),
        Fact("precision, recall", f"{precision}, {recall}", "of all hits together"),
        Fact("macro F1, all classes", number(report.macro_f1, 3), "absent ones count as 0"),
        _measured("calibration error", calibration.ece, calibration.ece_interval),
        Fact("mistakes", f"{report.mistakes:,}", f"in {plural(report.moments, 'moment')}"),
    ]
    for name, head in (("velocity error", report.velocity), ("openness error", report.openness)):
        if head is not None:
            facts.append(_measured(name, head.mae, head.interval))
    return Facts(facts)


def _measured(name: str, value: float | None, interval: Interval | None) -> Fact:
    return Fact(name, number(value, 3), between(interval))


def _classes(report: EvaluationReport) -> Section:
    rows = []
    for label, result in report.per_class.items():
        low, high = result.f1_interval or (None, None)
        rows.append(IntervalRow(label, low, result.f1 if result.support else None, high))
    chart = interval_chart("F1 of each class", rows, "F1 (0..1)", limits=(0.0, 1.0))
    columns = [
        Column("class"), Column("F1", 3, bar=True), Column("precision", 3), Column("recall", 3),
        Column("true"), Column("reported"), Column("threshold", 2),
    ]  # fmt: skip
    cells = [
        (
            label, result.f1 if result.support else None, result.precision if result.found else None,
            result.recall if result.support else None, result.support, result.found, result.threshold,
        )
        for label, result in report.per_class.items()
    ]  # fmt: skip
    caption = (
        f"Dots: F1 at the class's threshold. Lines: {report.resampling.confidence:.0%} intervals; a class "
        "that one session alone holds has none."
    )
    return Section("Classes", [SideBySide([Figure(chart, caption), Table(columns, cells)])])


def _confusion(report: EvaluationReport) -> Section:
    matrix = report.confusion
    counts = [[round(count) for count in row] for row in matrix.counts]
    svg = matrix_chart("What was heard as what", [*report.per_class, _NOTHING], counts, "true", "heard")
    rows: list[tuple[str | float, ...]] = [
        (name, *row) for name, row in zip(matrix.rows, matrix.counts, strict=True)
    ]
    table = Table([Column("true, heard →"), *(Column(name, 1) for name in matrix.columns)], rows)
    caption = (
        "The shade is the share of the row. Where a moment has several missed and several false labels, "
        f"each pairing counts in equal shares. Row {_NOTHING}: heard where no such drum is; column "
        f"{_NOTHING}: missed."
    )
    pairs = [
        (pair.true or _NOTHING, pair.heard or _NOTHING, pair.count)
        for pair in report.mistake_pairs[:_MOST_PAIRS]
    ]
    columns = (Column("true"), Column("heard"), Column("times"))
    often = Table(columns, pairs, "The most frequent mistakes.")
    return Section("Confusion", [SideBySide([Figure(svg, caption, table), often])])


def _parts(report: EvaluationReport) -> list[Section]:
    columns = [
        Column("moments"), Column("hits"), Column("classes"), Column("micro F1", 3, bar=True),
        Column("precision", 3), Column("recall", 3), Column("macro F1", 3),
    ]  # fmt: skip

    def table(name: str, parts: Sequence[Part]) -> Table:
        rows = [
            (p.name, p.moments, p.hits, p.classes, p.micro_f1, p.precision, p.recall, p.macro_f1)
            for p in parts
        ]
        return Table([Column(name), *columns], rows)

    tables = [
        table(name, parts)
        for name, parts in (
            ("source", report.by_source), ("kit", report.by_kit), ("session", report.by_session),
        )
        if parts
    ]  # fmt: skip
    intro = "The worst first; macro F1 is over the classes that the part holds."
    return [Section("By source, kit and session", tables, intro)] if tables else []


def _method(report: EvaluationReport) -> Section:
    how = report.resampling
    return Section(
        "How it was measured",
        [],
        f"By beatsight {report.program_version}: every moment of the split scored once, on its bare clip. "
        "A class is reported where its score is at or above its threshold. Intervals are the middle "
        f"{how.confidence:.0%} of {how.iterations:,} resamples that draw whole sessions with replacement "
        f"({plural(how.clusters, 'session')}, seed {how.seed}); they say how far the figures would move with "
        "other sessions of the same kind, not with recordings of another kind.",
    )
