"""The page of a whole run of gates: is it ready, what is in the way, then each gate's own story."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from beatsight.gates.result import GateResult
from beatsight.report.gates.common import Story, results_section, story_of, verdict_of
from beatsight.report.gates.results import check, margin_text, tightness, worst
from beatsight.report.page import (
    Cell,
    Checks,
    Column,
    Link,
    Notes,
    Section,
    Status,
    Table,
    Verdict,
)
from beatsight.report.page import Part as PagePart

if TYPE_CHECKING:
    from beatsight.gates.readiness import Part, ReadinessReport

_STATUS = {
    "passed": Status(True, "passed"),
    "failed": Status(False, "failed"),
    "not_judged": Status(None, "not judged"),
    "error": Status(False, "could not run"),
    "not_run": Status(None, "not run"),
}
_NOT_RUN = "An earlier gate did not pass, and the run was told to stop there."
_NOT_JUDGED = "No threshold was given, so it cannot pass."


def story(report: ReadinessReport) -> Story:
    """Summary, what is in the way, and a section for every gate that ran or could not."""
    anchors = [f"gate-{number}" for number, _ in enumerate(report.parts, start=1)]
    obstacles = _obstacles(report)
    return Story(
        title="Readiness",
        question="May this data be trained on, may this model be shipped?",
        verdict=_verdict(report),
        sections=[
            _summary(report, anchors),
            *([obstacles] if obstacles.parts else []),
            *(_section(part, anchor) for part, anchor in zip(report.parts, anchors, strict=True)),
        ],
    )


def _verdict(report: ReadinessReport) -> Verdict:
    statuses = [part.status for part in report.parts]
    counts = [
        f"{statuses.count(name)} {status.text}"
        for name, status in _STATUS.items()
        if name != "passed" and name in statuses
    ]
    missing = f"Not configured: {', '.join(report.not_configured)}." if report.not_configured else ""
    return Verdict(
        value=f"{statuses.count('passed')}/{len(statuses)}",
        name="gates passed",
        passed=report.passed,
        ruling="Ready" if report.passed else f"Not ready: {', '.join(counts)}",
        detail=missing or "Every gate was configured.",
    )


def _summary(report: ReadinessReport, anchors: Sequence[str]) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (Link(part.name, anchor), _STATUS[part.status], _passed(part), _worst(part))
        for part, anchor in zip(report.parts, anchors, strict=True)
    ]
    rows += [(name, Status(None, "not configured"), "", "") for name in report.not_configured]
    columns = [Column("gate"), Column("verdict"), Column("results passed"), Column("worst result")]
    return Section("Summary", [Table(columns, rows)])


def _passed(part: Part) -> str:
    results = part.report.gating_results if part.report else []
    return f"{sum(result.passed for result in results)} of {len(results)}" if results else ""


def _worst(part: Part) -> str:
    if part.status == "error":
        return part.error
    if part.status == "not_run":
        return _NOT_RUN
    least = worst(part.report.gating_results) if part.report else None
    return _NOT_JUDGED if least is None else f"{least.gate}: {margin_text(least)}"


def _obstacles(report: ReadinessReport) -> Section:
    """What failed in any gate, worst first, and what could not run."""
    failed: list[GateResult] = sorted((r for r in report.gating_results if not r.passed), key=tightness)
    parts: list[PagePart] = []
    others: list[tuple[Cell, ...]] = [
        (part.name, _STATUS[part.status], _worst(part))
        for part in report.parts
        if part.status in ("error", "not_judged", "not_run")
    ]
    if others:
        parts.append(Table([Column("gate"), Column("verdict"), Column("why")], others))
    if failed:
        parts.append(Checks([check(result) for result in failed]))
    return Section("What is in the way", parts)


def _section(part: Part, anchor: str) -> Section:
    """A gate's own page, one level down."""
    if part.report is None:
        reason = part.error if part.status == "error" else _NOT_RUN
        text = _STATUS[part.status].text.capitalize()
        verdict = Verdict("–", "no result", _STATUS[part.status].passed, text, reason)
        return Section(part.name, [verdict], anchor=anchor)
    told = story_of(part.report)
    parts: list[PagePart] = [told.verdict or verdict_of(part.report)]
    if told.facts is not None:
        parts.append(told.facts)
    if part.report.notes:
        parts.append(Notes(part.report.notes))
    parts.append(results_section(part.report, "Results"))

    return Section(part.name, [*parts, *told.sections], told.question, anchor)
