"""Options that all gates share, and how each of them ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from beatsight.cli.console import note, printable, prose_console, say, unpadded
from beatsight.gates.result import GateReport, GateResult, write_report

FAILED = 1

Report = Annotated[
    Path | None,
    typer.Option("--report", help="Where to write the report (JSON); its page goes beside it."),
]
Html = Annotated[
    Path | None,
    typer.Option("--html-output", help="Where to write the page (one offline HTML file)."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 unless every gate passed.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object: the report.")]


def finish(
    report: GateReport, *, json_path: Path | None, html_path: Path | None, strict: bool, as_json: bool
) -> None:
    """Write the report and its page, print the results, and exit 1 where that was asked for.

    Raises:
        InputError: a file cannot be written.
        typer.Exit: 1 under ``strict`` unless every gate passed.
    """
    if html_path is None and json_path is not None:
        html_path = json_path.with_suffix(".html")
    if json_path is not None:
        write_report(report, json_path)
    if html_path is not None:
        # jinja2 and the drawings take a while to load; a run without a page does without them.
        from beatsight.report.gates import write_gate_page

        write_gate_page(report, html_path)
    say(as_json, report, "" if as_json else prose(report, json_path, html_path))
    if strict and not report.passed:
        if report.passed is None:
            note("no threshold was given, so nothing was judged; --strict needs at least one")
        raise typer.Exit(FAILED)


def prose(report: GateReport, json_path: Path | None = None, html_path: Path | None = None) -> str:
    """The results as a table, failures first, then what to know about them."""
    console = prose_console()
    failed = [result for result in report.gating_results if not result.passed]
    with console.capture() as capture:
        if report.gating_results:
            console.print(_table(report.gating_results))
        for remark in report.notes:
            console.print(f"Note: {printable(remark)}", soft_wrap=True)
        if report.passed is None:
            console.print("Nothing was judged: no threshold was given.")
        elif report.passed:
            count = len(report.gating_results)
            console.print("passed: the only gate" if count == 1 else f"passed: all {count} gates")
        else:
            console.print(f"FAILED: {len(failed)} of {len(report.gating_results)} gates")
        for path in (json_path, html_path):
            if path is not None:
                console.print(f"report: {printable(str(path))}", soft_wrap=True)
    return unpadded(capture.get())


def _table(results: list[GateResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("gate", "", "value", "threshold", "detail"):
        table.add_column(name, justify="right" if name in ("value", "threshold") else "left")
    for result in sorted(results, key=lambda result: result.passed):
        sign = ">=" if result.rule == "at_least" else "<="
        value, threshold = figures(result.value, result.threshold)
        table.add_row(
            printable(result.gate),
            "ok" if result.passed else "FAILED",
            value,
            f"{sign} {threshold} {result.unit}".rstrip(),
            printable(result.detail),
        )
    return table


_MOST_DIGITS = 12


def figures(value: float | None, threshold: float) -> tuple[str, str]:
    """Value and threshold with as many digits as matter, and enough to tell them apart.

    >>> figures(0.95, 0.9), figures(12000, 300.0), figures(None, 0.1), figures(0.949996, 0.95)
    (('0.95', '0.9'), ('12,000', '300'), ('–', '0.1'), ('0.949996', '0.95'))
    """
    limit = _figure(threshold, 4)
    if value is None:
        return "–", limit
    digits = 4
    while value != threshold and _figure(value, digits) == limit and digits < _MOST_DIGITS:
        digits += 1
    return _figure(value, digits), limit


def _figure(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".rstrip("0").rstrip(".")
