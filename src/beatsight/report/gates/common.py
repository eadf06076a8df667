"""The page of any gate: the verdict, what failed and by how much, what to know, then the gate's own story."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from beatsight.gates.result import GateReport, GateResult
from beatsight.report.gates.results import margin_text, result_parts, tightness, worst
from beatsight.report.page import Column, Facts, Notes, Page, Section, Table, Verdict, write_page
from beatsight.report.text import plural

# Failures named beside the verdict; all of them stand below it.
_NAMED = 3


@dataclass(frozen=True)
class Story:
    """What one kind of report tells below the verdict.

    Attributes:
        title: the page's, e.g. "Alignment of session_001".
        question: what the gate asks, one sentence.
        sections: plots and tables.
        facts: a few numbers worth a tile each.
        verdict: given where the sections themselves hold every result; otherwise it follows from them.
    """

    title: str
    question: str
    sections: Sequence[Section]
    facts: Facts | None = None
    verdict: Verdict | None = None


def story_of(report: GateReport) -> Story:
    """The story of a report, told by the module that its tag names."""
    tag = type(report).__struct_config__.tag
    return importlib.import_module(f"beatsight.report.gates.{tag}").story(report)


def gate_page(report: GateReport) -> Page:
    """The whole page of a report."""
    story = story_of(report)
    first = [] if story.verdict is not None else [results_section(report)]
    return Page(
        title=story.title,
        subtitle=story.question,
        verdict=story.verdict or verdict_of(report),
        facts=story.facts,
        notes=Notes(report.notes) if report.notes else None,
        sections=[*first, *story.sections, _inputs(report)],
    )


def write_gate_page(report: GateReport, path: str | os.PathLike[str]) -> None:
    """Write the page of a report, one offline HTML file.

    Raises:
        InputError: the file cannot be written.
    """
    write_page(gate_page(report), path)


def verdict_of(report: GateReport) -> Verdict:
    """How many gates passed, and by how much the worst did not."""
    results = report.gating_results
    failed = sorted((result for result in results if not result.passed), key=tightness)
    if report.passed is None or not results:
        return Verdict(
            value="–",
            name="nothing was judged",
            passed=report.passed,
            ruling="No verdict: no threshold was given",
            detail="The numbers below are measured, and nobody said how good they must be.",
        )
    named = [f"{result.gate}: {margin_text(result)}" for result in failed[:_NAMED]]
    rest = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return Verdict(
        value=f"{len(results) - len(failed)}/{len(results)}",
        name="gates passed" if len(results) > 1 else "gate passed",
        passed=report.passed,
        ruling="Passed" if report.passed else f"Failed: {plural(len(failed), 'gate')}",
        detail="; ".join(named) + rest if named else _closest(results),
    )


def _closest(results: Sequence[GateResult]) -> str:
    # That nothing was found where nothing may be is no close call.
    least = worst([result for result in results if result.threshold or result.value])
    return f"Closest to its limit: {least.gate}, {margin_text(least)}" if least is not None else ""


def results_section(report: GateReport, title: str = "Gates") -> Section:
    """Every result against its threshold, failures first."""
    parts = result_parts(report.gating_results)
    return Section(title, parts, "" if parts else "No threshold was given, so nothing was judged.")


def _inputs(report: GateReport) -> Section:
    columns = (Column("input"), Column("file"))
    return Section(
        "What was read",
        [Table(columns, sorted(report.inputs.items()))] if report.inputs else [],
        f"Measured by beatsight {report.program_version}.",
    )
