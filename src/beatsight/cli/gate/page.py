"""``beatsight gate page``: draw the page of a report again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import say
from beatsight.cli.gate.options import Json
from beatsight.errors import UsageError


def page(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="Report of any gate (JSON).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write (one offline HTML file).")],
    as_json: Json = False,
) -> None:
    """Draw the page of a gate's report from its JSON: same report, same page.

    Example: beatsight gate page reports/readiness.json -o readiness.html
    """
    from beatsight.gates.readiness import AnyGateReport
    from beatsight.gates.result import GateReport, read_report
    from beatsight.report.gates import write_gate_page

    if output.resolve() == report.resolve():
        raise UsageError(f"{output}: is the report itself, which the page would replace")
    found: GateReport = read_report(report, AnyGateReport)
    write_gate_page(found, output)
    tag = type(found).__struct_config__.tag
    answer = {"report": tag, "passed": found.passed, "page": str(output)}
    say(as_json, answer, f"{output}: the page of a report of gate {tag}")
