"""``beatsight manifest openness``: hi-hat openness from raw pedal values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Json, number
from beatsight.errors import UsageError
from beatsight.manifest.openness import OpennessReport, apply_openness


def openness(
    events: Annotated[Path, typer.Option("--events", help="Manifest to calibrate.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Manifest to write; may be the same file.")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option("--curves", help="File of openness curves.  [the packaged ones]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Turn the pedal values of e-kits into hi-hat openness, by each device's curve.

    Example: beatsight manifest openness --events events.jsonl --output calibrated.jsonl
    """
    if output is None and not dry_run:
        raise UsageError("--output is missing (or --dry-run, to see what would change)")
    with progress_bar("Calibrating") as progress:
        report = apply_openness(events, None if dry_run else output, curves, progress=progress)
    answer = {
        "events": report.events, "updated_events": report.updated_events,
        "updated_components": report.updated_components, "devices": report.devices,
        "unknown_devices": report.unknown_devices, "without_device": report.without_device,
        "output": None if dry_run else str(output),
    }  # fmt: skip
    say(as_json, answer, _prose(report, None if dry_run else output))
    for name, count in report.unknown_devices.items():
        note(f"no curve for {name}: {number(count)} events with raw values were left as they are")
    if report.without_device:
        note(f"no device named: {number(report.without_device)} events with raw values were left as they are")


def _prose(report: OpennessReport, output: Path | None) -> str:
    table = Table(box=None, pad_edge=False)
    for name, side in (("device", "left"), ("curve", "left"), ("events", "right"), ("hits", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for name, device in report.devices.items():
        table.add_row(name, device["curve_id"], number(device["events"]), number(device["components"]))
    for name, count in report.unknown_devices.items():
        table.add_row(name, "none", number(count), "-")
    if report.without_device:
        table.add_row("(no device named)", "none", number(report.without_device), "-")
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        if table.row_count:
            console.print(table)
    what = f"{output}: wrote" if output else "Would update"
    updated = f"{number(report.updated_events)} of {number(report.events)} events"
    tail = (
        f"{number(report.events)} events, {number(report.updated_events)} of them updated"
        if output
        else updated
    )
    return f"{capture.get()}{what} {tail} ({number(report.updated_components)} hits)."
