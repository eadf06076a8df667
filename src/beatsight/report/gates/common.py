"""What the page of every gate begins with: the verdict, then each result against its threshold."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from beatsight.gates.result import GateReport, GateResult
from beatsight.report.page import Column, Facts, Page, Section, Table, Text, Verdict, write_page
from beatsight.report.text import number, plural


@dataclass(frozen=True)
class Story:
    """What one kind of report tells below the verdict.

    Attributes:
        title: the page's, e.g. "Alignment of session_001".
        question: what the gate asks, one sentence.
        facts: a few numbers worth a tile each.
        sections: plots and tables.
    """

    title: str
    question: str
    sections: Sequence[Section]
    facts: Facts | None = None


def story_of(report: GateReport) -> Story:
    """The story of a report, told by the module that its tag names."""
    tag = type(report).__struct_config__.tag
    return importlib.import_module(f"beatsight.report.gates.{tag}").story(report)


def gate_page(report: GateReport) -> Page:
    """The whole page of a report."""
    story = story_of(report)
    return Page(
        title=story.title,
        subtitle=story.question,
        verdict=_verdict(report),
        facts=story.facts,
        sections=[_results(report), *story.sections],
    )


def write_gate_page(report: GateReport, path: str | os.PathLike[str]) -> None:
    """Write the page of a report, one offline HTML file.

    Raises:
        InputError: the file cannot be written.
    """
    write_page(gate_page(report), path)


def _verdict(report: GateReport) -> Verdict:
    failed = [result for result in report.gating_results if not result.passed]
    total = len(report.gating_results)
    if report.passed is None:
        return Verdict("–", "nothing was judged", None, "No threshold was given")
    return Verdict(
        value=f"{total - len(failed)}/{total}",
        name="gates passed",
        passed=report.passed,
        ruling="All gates passed" if report.passed else f"{plural(len(failed), 'gate')} failed",
    )


def _row(result: GateResult) -> tuple[str, ...]:
    sign = "≥" if result.rule == "at_least" else "≤"
    return (
        result.gate,
        "✓ passed" if result.passed else "✕ failed",
        number(result.value, 3),
        f"{sign} {number(result.threshold, 3)} {result.unit}".rstrip(),
        result.detail,
    )


def _results(report: GateReport) -> Section:
    rows = sorted(report.gating_results, key=lambda result: result.passed)
    columns = [Column(name) for name in ("gate", "verdict", "value", "threshold", "why")]
    return Section(
        "Gates",
        [Table(columns, [_row(result) for result in rows]), *(Text(note) for note in report.notes)],
    )
