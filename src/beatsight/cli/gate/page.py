"""``beatsight gate page``: draw the page of a report again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beatsight.cli.console import say
from beatsight.cli.gate.options import Json
from beatsight.errors import InputError, UsageError

if TYPE_CHECKING:
    from beatsight.gates.result import GateReport

# What drawing stumbles over where the lists and keys of a report do not belong together.
_MISFITS = (
    ArithmeticError, AssertionError, LookupError, StopIteration, TypeError, ValueError, UsageError,
)  # fmt: skip


def page(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="Report of any gate (JSON).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Page to write (one offline HTML file).")],
    as_json: Json = False,
) -> None:
    """Draw the page of a gate's report from its JSON: same report, same page.

    Example: beatsight gate page reports/readiness.json -o readiness.html
    """
    from beatsight.gates.readiness import AnyGateReport
    from beatsight.gates.result import read_report
    from beatsight.report.gates import write_gate_page

    if output.resolve() == report.resolve():
        raise UsageError(f"{output}: is the report itself, which the page would replace")
    found: GateReport = read_report(report, AnyGateReport)
    _check(found, report)
    try:
        write_gate_page(found, output)
    except _MISFITS as error:
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        raise InputError(
            f"{report}: its parts do not fit together, so no page can be drawn of it ({why})"
        ) from error
    tag = type(found).__struct_config__.tag
    answer = {"report": tag, "passed": found.passed, "page": str(output)}
    say(as_json, answer, f"{output}: the page of a report of gate {tag}")


def _check(found: GateReport, path: Path) -> None:
    """Refuse a report whose verdict is better than its results, as only an edited one is.

    Raises:
        InputError: the verdict or a result contradicts what it rests on.
    """
    parts = [part.report for part in getattr(found, "parts", []) if part.report is not None]
    for report in (found, *parts):
        for result in report.gating_results:
            if result.passed and (result.margin is None or result.margin < 0):
                raise InputError(
                    f"{path}: {result.gate}: is said to have passed, against its value and threshold"
                )
        if report.passed and not all(result.passed for result in report.gating_results):
            raise InputError(f"{path}: passed: is true, although a result of it failed")
    for part in getattr(found, "parts", []):
        if part.status == "passed" and not (part.report and part.report.passed):
            raise InputError(f"{path}: parts: {part.name} is said to have passed, against its report")
    if found.passed and any(part.status != "passed" for part in getattr(found, "parts", [])):
        raise InputError(f"{path}: passed: is true, although a part of it did not pass")
