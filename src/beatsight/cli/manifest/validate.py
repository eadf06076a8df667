"""``beatsight manifest validate``: every fault of some manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import counted, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number
from beatsight.errors import InputError
from beatsight.manifest.validate import UnknownName, ValidateReport
from beatsight.manifest.validate import validate as find_faults

# So many remarks of one kind are printed.
_REMARKS_SHOWN = 10


def validate(
    events: ManyEvents,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where to write the faulty rows, byte for byte.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write the good rows of all files.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Print so many faults; all are counted.")] = 20,
    as_json: Json = False,
) -> None:
    """List every fault with its file, line and field; the exit code is 3 if there are any.

    Ids that occur twice and labels and techniques that nobody knows are remarked on, and are no faults.

    Example: beatsight manifest validate events.jsonl --rejects faulty.jsonl
    """
    with progress_bar("Checking") as progress:
        report = find_faults(events, output=output, rejects=rejects, progress=progress)
    answer = {
        "passed": report.passed,
        "output": None if output is None else str(output),
        "rejects": None if rejects is None else str(rejects),
        **msgspec.to_builtins(report),
    }
    say(as_json, answer, _prose(report, output, rejects, limit))
    if not report.passed:
        what = f"{number(report.faults)} {'fault' if report.faults == 1 else 'faults'}"
        more = "" if len(events) == 1 else f" and {counted(len(events) - 1, 'other file')}"
        rows = f" in {number(report.faulty_rows)} of {number(report.rows)} rows" if report.rows else ""
        raise InputError(f"{events[0]}{more}: {what}{rows}")


def _prose(report: ValidateReport, output: Path | None, rejects: Path | None, limit: int) -> str:
    lines = [str(fault) for fault in report.listed[:limit]]
    if report.faults > len(lines):
        lines.append(f"… {number(report.faults - len(lines))} more faults" if lines else "")
    lines += [f"{path}: {counted(good, 'good row')}" for path, good in report.files.items()]
    if output is not None:
        lines.append(f"{output}: {counted(report.good_rows, 'good row')}")
    if rejects is not None:
        lines.append(f"{rejects}: the {number(report.faulty_rows)} faulty rows")
    if report.repeated_ids:
        first = report.repeated_listed[0]
        lines.append(
            f"Remark: {number(report.repeated_ids)} sample_ids occur more than once; the first is "
            f"{first.sample_id!r}, {first.count} times from {first.file}:{first.line} on."
        )
    lines += _names("label", report.unknown_labels)
    lines += _names("technique", report.unknown_techniques)
    return "\n".join(line for line in lines if line)


def _names(kind: str, names: list[UnknownName]) -> list[str]:
    lines = [
        f"Remark: unknown {kind} {one.name!r}, {number(one.count)} times"
        + (f"; did you mean {one.nearest!r}?" if one.nearest else ".")
        for one in names[:_REMARKS_SHOWN]
    ]
    if len(names) > _REMARKS_SHOWN:
        lines.append(f"Remark: … and {number(len(names) - _REMARKS_SHOWN)} or more other unknown {kind}s.")
    return lines
