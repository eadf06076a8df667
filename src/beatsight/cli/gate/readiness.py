"""``beatsight gate all``: every gate of a release in one run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from beatsight.cli.console import note, printable, progress_bar, prose_console, say, unpadded
from beatsight.cli.gate.options import FAILED, Html, Json, Report, Strict
from beatsight.errors import InputError, UsageError, harmless

if TYPE_CHECKING:
    from beatsight.gates.readiness import Job, ReadinessReport
    from beatsight.gates.result import GateReport

# Where GitHub takes a step's summary from.
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
# The gates that flags can configure; of the first there may be several.
_SESSIONS, _GATES = "alignment", ("health", "boundary", "openset", "bootstrap")


def _file(name: str, text: str) -> Any:
    return typer.Option(name, help=text, rich_help_panel="Gates by flags")


def readiness(
    config: Annotated[
        Path | None, typer.Option("--config", help="readiness.toml: a section a gate; flags win over it.")
    ] = None,
    alignment_manifest: Annotated[
        list[Path] | None, _file("--alignment-manifest", "Session manifest; repeat for more sessions.")
    ] = None,
    alignment_report: Annotated[
        list[Path] | None, _file("--alignment-report", "Its report (JSON); one for each manifest, or none.")
    ] = None,
    boundary_ground_truth: Annotated[Path | None, _file("--boundary-ground-truth", "Boundary pack.")] = None,
    boundary_predictions: Annotated[Path | None, _file("--boundary-predictions", "Scores.")] = None,
    boundary_report: Annotated[Path | None, _file("--boundary-report", "Its report (JSON).")] = None,
    openset_ground_truth: Annotated[Path | None, _file("--openset-ground-truth", "Known or not.")] = None,
    openset_predictions: Annotated[Path | None, _file("--openset-predictions", "Scores.")] = None,
    openset_report: Annotated[Path | None, _file("--openset-report", "Its report (JSON).")] = None,
    bootstrap_ground_truth: Annotated[Path | None, _file("--bootstrap-ground-truth", "Labels.")] = None,
    bootstrap_predictions: Annotated[Path | None, _file("--bootstrap-predictions", "Scores.")] = None,
    bootstrap_iterations: Annotated[int | None, _file("--bootstrap-iterations", "Resamples.")] = None,
    bootstrap_baseline: Annotated[
        Path | None, _file("--bootstrap-baseline", "Report of the last release, to compare with.")
    ] = None,
    bootstrap_min_macro_f1: Annotated[
        float | None, _file("--bootstrap-min-macro-f1", "Least macro F1; without a baseline, give this.")
    ] = None,
    bootstrap_report: Annotated[Path | None, _file("--bootstrap-report", "Its report (JSON).")] = None,
    health_events: Annotated[list[Path] | None, _file("--health-events", "Manifest; repeatable.")] = None,
    health_require_techniques_file: Annotated[
        Path | None, _file("--health-require-techniques-file", "Techniques that must occur, one a line.")
    ] = None,
    health_report: Annotated[
        Path | None,
        typer.Option(
            "--health-output", "--health-report", help="Its report (JSON).", rich_help_panel="Gates by flags"
        ),
    ] = None,
    halt_on_first_failure: Annotated[
        bool, typer.Option("--halt-on-first-failure", help="Run nothing more after a gate that did not pass.")
    ] = False,
    report: Report = None,
    html_output: Html = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="JUnit XML to write, for CI.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            "--summary", help=f"Markdown to append a summary to; by default where ${SUMMARY_VARIABLE} says."
        ),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Run every configured gate, in the order of the work, into one report; not ready is exit code 1.

    The code is 3 when a gate's input is faulty. --strict is accepted and changes nothing.

    Example: beatsight gate all --config readiness.toml --report reports/readiness.json
    """
    flags = _flags(locals())  # first of all: nothing but the parameters is there yet
    from beatsight.gates.outputs import page_beside
    from beatsight.gates.readiness import readiness_gate
    from beatsight.gates.readiness_file import check_outputs, read_jobs
    from beatsight.transcription.latency import measure_latency

    if html_output is None and report is not None:
        html_output = page_beside(report)
    jobs = read_jobs(config, flags)
    written = [path for path in (report, html_output, junit) if path is not None]
    check_outputs(jobs, [*written, *([summary] if summary is not None else [])], config)
    with progress_bar("Gates") as progress:
        found = readiness_gate(
            jobs,
            measure=measure_latency,
            halt_on_first_failure=halt_on_first_failure,
            progress=progress,
            finished=_write_part,
        )
    _write(found, report, html_output, junit, summary)
    say(as_json, found, "" if as_json else _prose(found, written))
    _exit(found)


def _flags(parameters: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The flags that were given, as sections: ``--boundary-report`` is the key ``report`` of ``boundary``.

    >>> _flags({"boundary_predictions": Path("p"), "boundary_report": None, "strict": True})
    {'alignment': [], 'boundary': [{'predictions': PosixPath('p')}]}
    """
    sections = {
        _SESSIONS: _sessions(parameters.get("alignment_manifest"), parameters.get("alignment_report"))
    }
    for name, value in parameters.items():
        gate, _, key = name.partition("_")
        if gate in _GATES and value not in (None, []):
            sections.setdefault(gate, [{}])[0][key] = value
    return sections


def _sessions(manifests: Sequence[Path] | None, reports: Sequence[Path] | None) -> list[dict[str, Any]]:
    manifests, reports = manifests or [], reports or []
    if reports and len(reports) != len(manifests):
        raise UsageError(
            f"{len(reports)} --alignment-report for {len(manifests)} --alignment-manifest; "
            "give one for each, in the same order, or none"
        )
    sections: list[dict[str, Any]] = [{"manifest": path} for path in manifests]
    for section, path in zip(sections, reports, strict=False):
        section["report"] = path
    return sections


def _write_part(job: Job, report: GateReport) -> None:
    from beatsight.gates.result import write_report
    from beatsight.report.gates import write_gate_page

    if job.report is not None:
        write_report(report, job.report)
        write_gate_page(report, job.report.with_suffix(".html"))


def _write(
    found: ReadinessReport, report: Path | None, page: Path | None, junit: Path | None, summary: Path | None
) -> None:
    from beatsight.gates.result import write_report
    from beatsight.report.gates import write_gate_page
    from beatsight.report.junit import write_junit
    from beatsight.report.step_summary import append_step_summary

    if report is not None:
        write_report(found, report)
    if page is not None:
        write_gate_page(found, page)
    if junit is not None:
        write_junit(found, junit)
    if summary is None and os.environ.get(SUMMARY_VARIABLE):
        summary = Path(os.environ[SUMMARY_VARIABLE])
    if summary is not None:
        append_step_summary(found, summary)


def _exit(found: ReadinessReport) -> None:
    errors = [part for part in found.parts if part.status == "error"]
    for part in errors:
        note(f"beatsight: {harmless(part.name)}: {harmless(part.error)}")
    if errors:
        raise typer.Exit(InputError.exit_code)
    if not found.passed:
        raise typer.Exit(FAILED)


def _prose(found: ReadinessReport, written: Sequence[Path]) -> str:
    """One line a part, one a failed gate, what to know, and the verdict."""
    from beatsight.report.outcome import NOT_CONFIGURED, failures, headline, part_outcome, shortfall

    words = {"passed": "ok", "failed": "FAILED", "not_judged": "NOT JUDGED", "error": "ERROR", "not_run": "–"}
    table = Table(box=None, pad_edge=False)
    for title in ("gate", "", ""):
        table.add_column(title)
    for part in found.parts:
        table.add_row(printable(part.name), words[part.status], printable(part_outcome(part)))
        for result in failures(part):
            table.add_row(f"  {printable(result.gate)}", "", printable(shortfall(result)))
    for name in found.not_configured:
        table.add_row(name, "–", NOT_CONFIGURED)
    console = prose_console()
    with console.capture() as capture:
        console.print(table)
        for part in found.parts:
            for remark in part.report.notes if part.report else ():
                console.print(f"Note: {printable(part.name)}: {printable(remark)}", soft_wrap=True)
        console.print(headline(found), soft_wrap=True)
        for path in written:
            console.print(f"report: {printable(str(path))}", soft_wrap=True)
    return unpadded(capture.get())
