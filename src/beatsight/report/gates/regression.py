"""The page of gate ``regression``: what each label lost, worst first, and what became of every gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from beatsight.gates.regression import Change, GateChange, RegressionReport
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, Status, Table, Text
from beatsight.report.plots import Bar, bar_chart
from beatsight.report.text import number, plural

_BASE = 100.0
# A label that grew tenfold must not squeeze the others; its text says how much there is.
_MOST_DRAWN = 150.0
_STATUS = {
    "kept": Status(True, "kept"),
    "dropped": Status(False, "dropped"),
    "unmeasured": Status(False, "not measured"),
    "new": Status(None, "new"),
    "ignored": Status(None, "ignored"),
    "unknown": Status(None, "unknown label"),
}
_SEEN = {
    "passed": Status(True, "passed"),
    "failed": Status(False, "failed"),
    "absent": Status(None, "absent"),
}
_COMPARED = ("kept", "dropped", "unmeasured")


def story(report: RegressionReport) -> Story:
    """What the page tells below the verdict."""
    health = report.kind == "health"
    what = "data set" if health else "model"
    sections = [_hits(report), *_gates(report), *_unknown(report)] if health else [_scores(report)]
    return Story(
        title="Health regression" if health else "Evaluation regression",
        question=f"Is the candidate {what} worse than the baseline?",
        facts=_facts(report),
        sections=sections,
    )


def _limit(report: RegressionReport) -> str:
    return f"{report.max_drop:g}%" if report.unit == "%" else f"{report.max_drop:g} {report.unit}"


def _facts(report: RegressionReport) -> Facts:
    changes = list(report.labels.values())
    compared = sum(change.status in _COMPARED for change in changes)
    failed = sum(change.status in ("dropped", "unmeasured") for change in changes)
    ignored = f"{len(report.ignored):,} ignored" if report.ignored else "none ignored"
    facts = [
        Fact("labels compared", number(compared), ignored),
        Fact("fell too far", number(failed), f"allowed: {_limit(report)}"),
    ]
    if report.macro_f1 is not None:
        was = f"was {number(report.macro_f1.baseline, 3)}"
        facts.append(Fact("macro F1", number(report.macro_f1.candidate, 3), was))
    if report.kind == "health":
        facts += [
            Fact("gates newly failing", number(len(report.new_failures)), "none may"),
            Fact("still failing", number(len(report.still_failing)), "does not block"),
            Fact("fixed", number(len(report.fixed))),
        ]
    return Facts(facts)


def _hits(report: RegressionReport) -> Section:
    bars, drawn = [], []
    for label, change in report.labels.items():
        if change.status not in _COMPARED or not change.baseline:
            continue
        share = _BASE * (change.candidate or 0) / change.baseline
        lost = report.max_drop if report.unit == "%" else _BASE * report.max_drop / change.baseline
        text = f"{number(share, 1)}% ({change.baseline:,} → {change.candidate or 0:,})"
        css = "series-a" if change.status == "kept" else "bad-mark"
        least = max(0.0, _BASE - lost)
        bars.append(Bar(label, min(share, _MOST_DRAWN), text, css=css, target=least))
        drawn.append((label, change.baseline, change.candidate or 0, share, least))
    high = max((_BASE, *(bar.value or 0.0 for bar in bars)))
    unit = "candidate's hits, % of the baseline's"
    svg = bar_chart("Hits of each label against the baseline", bars, unit, high, target_name="least allowed")
    names = ("label", "baseline", "candidate", "% of baseline", "least allowed, %")
    caption = f"A label may lose {_limit(report)}. Bars end at {_MOST_DRAWN:g}%; the text has the figure."
    figure = Figure(svg, caption, Table([Column(name, 1) for name in names], drawn))
    return Section("Hits of each label", [figure, _hit_table(report)])


def _hit_table(report: RegressionReport) -> Table:
    columns = [Column(name) for name in ("label", "verdict", "baseline", "candidate", "change")]
    columns += [Column("change, %", 1), Column("recorded before"), Column("recorded now")]
    rows = []
    for label, change in report.labels.items():
        gain, percent = _gain(change)
        counts = (
            change.baseline,
            change.candidate,
            gain,
            percent,
            change.baseline_real,
            change.candidate_real,
        )
        rows.append((label, _STATUS[change.status], *counts))
    return Table(columns, rows, caption="Worst first. Recorded: hits that are not synthetic.")


def _gain(change: Change) -> tuple[float | None, float | None]:
    """What was gained (negative: lost), and its share of the baseline in percent."""
    if change.baseline is None or change.candidate is None:
        lost = change.drop is not None and change.baseline is not None
        return (-change.baseline, -_BASE) if lost and change.baseline is not None else (None, None)
    gain = change.candidate - change.baseline
    return gain, _BASE * gain / change.baseline if change.baseline else None


def _scores(report: RegressionReport) -> Section:
    changes = report.labels if report.macro_f1 is None else {"macro F1": report.macro_f1, **report.labels}
    bars, drawn = [], []
    for label, change in changes.items():
        if change.status not in _COMPARED or change.baseline is None:
            continue
        least = max(0.0, change.baseline - report.max_drop / _BASE)
        text = f"{number(change.candidate, 3)} (was {number(change.baseline, 3)})"
        css = "series-a" if change.status == "kept" else "bad-mark"
        bars.append(Bar(label, change.candidate, text, css=css, target=least))
        drawn.append((label, change.baseline, change.candidate, least))
    title, unit = "F1 of each label against the baseline", "F1 of the candidate"
    svg = bar_chart(title, bars, unit, 1.0, target_name="least allowed")
    caption = f"F1 may fall {_limit(report)} below the baseline's; a point is a hundredth of F1."
    names = ("label", "baseline F1", "candidate F1", "least allowed")
    figure = Figure(svg, caption, Table([Column(name, 4) for name in names], drawn))
    return Section("F1 of each label", [figure, _score_table(changes)])


def _score_table(changes: Mapping[str, Change]) -> Table:
    columns = [Column(name, 4) for name in ("label", "verdict", "baseline F1", "candidate F1")]
    columns += [Column("change, points"), Column("true hits before"), Column("true hits now")]
    rows = []
    for label, change in changes.items():
        points = None if change.drop is None else -change.drop
        support = (change.baseline_support, change.candidate_support)
        rows.append((label, _STATUS[change.status], change.baseline, change.candidate, points, *support))
    return Table(columns, rows, caption="Worst first.")


def _gates(report: RegressionReport) -> list[Section]:
    groups = (
        ("Newly failing", report.new_failures),
        ("Not judged any more", report.missing_gates),
        ("Still failing", report.still_failing),
        ("Fixed", report.fixed),
    )
    tables = [_gate_table(name, changes) for name, changes in groups if changes]
    if not tables:
        return [Section("Gates of the two reports", [Text("No gate failed in either report.")])]
    intro = "A gate that fails in both reports does not block here; the report of the candidate shows it."
    return [Section("Gates of the two reports", tables, intro)]


def _gate_table(name: str, changes: Sequence[GateChange]) -> Table:
    columns = [
        Column("gate"),
        Column("baseline"),
        Column("candidate"),
        Column("value", 3),
        Column("threshold", 3),
    ]
    columns.append(Column("why"))
    rows = [(c.gate, _SEEN[c.baseline], _SEEN[c.candidate], c.value, c.threshold, c.detail) for c in changes]
    return Table(columns, rows, caption=f"{name}: {plural(len(changes), 'gate')}")


def _unknown(report: RegressionReport) -> list[Section]:
    if not report.unknown_labels:
        return []
    columns = [Column(name) for name in ("label", "baseline", "candidate", "more")]
    rows = [
        (label, count.baseline, count.candidate, max(0, count.candidate - count.baseline))
        for label, count in report.unknown_labels.items()
    ]
    return [Section("Labels that the taxonomy does not know", [Table(columns, rows)])]
