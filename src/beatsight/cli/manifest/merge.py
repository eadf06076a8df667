"""``beatsight manifest merge``: several manifests as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Json, number
from beatsight.errors import InputError, UsageError
from beatsight.manifest.merge import POLICIES, MergeReport
from beatsight.manifest.merge import merge as merge_manifests

_SHOWN = 10


def merge(
    inputs: Annotated[
        list[Path], typer.Option("--input", "-i", help="Manifest to merge; repeat it, the order counts.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write.")],
    on_conflict: Annotated[
        str | None,
        typer.Option(
            "--on-conflict",
            help="Different rows of one sample_id: keep the first, the last or both, or refuse. Without "
            "it the first is kept, and the command ends with 3.",
        ),
    ] = None,
    conflicts: Annotated[
        Path | None, typer.Option("--conflicts", help="Where to write the rows that a conflict left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Merge manifests; every sample_id once, equal rows dropped, conflicts listed.

    Example: beatsight manifest merge --input groove.jsonl --input slakh.jsonl --output combined.jsonl
    """
    if on_conflict is not None and on_conflict not in POLICIES:
        raise UsageError(f"--on-conflict {on_conflict!r} is unknown; known: {', '.join(POLICIES)}")
    with progress_bar("Merging") as progress:
        report = merge_manifests(
            inputs,
            output,
            on_conflict=on_conflict or "first",
            conflicts=conflicts,
            progress=progress,
        )
    say(as_json, {"output": str(output), **msgspec.to_builtins(report)}, _prose(report, output))
    for one in report.listed[:_SHOWN]:
        note(f"{one.other}: sample_id {one.sample_id!r} differs from {one.kept} in {', '.join(one.keys)}")
    if report.conflicts > min(len(report.listed), _SHOWN):
        note(f"… and {number(report.conflicts - min(len(report.listed), _SHOWN))} more conflicts")
    if report.left_out and on_conflict is None:
        kept = f"; they are in {conflicts}" if conflicts else ""
        raise InputError(
            f"{output}: {number(report.left_out)} rows were left out, because an earlier row has their "
            f"sample_id and other content{kept}; choose with --on-conflict"
        )


def _prose(report: MergeReport, output: Path) -> str:
    lines = [f"{path}: {counted(rows, 'event')}" for path, rows in report.inputs.items()]
    dropped = f"{counted(report.duplicates, 'duplicate')} dropped, {counted(report.conflicts, 'conflict')}"
    return "\n".join([*lines, f"{output}: {counted(report.written, 'event')}; {dropped}."])
