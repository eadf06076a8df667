"""``beatsight manifest openness``: hi-hat openness from raw pedal values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Json, number, printable
from beatsight.errors import UsageError
from beatsight.manifest.openness import OpennessReport, apply_openness


def openness(
    events: Annotated[Path, typer.Option("--events", help="Manifest to calibrate.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Manifest to write; may be the same file.")
    ] = None,
    curves: Annotated[
        Path | None, typer.Option("--curves", help="File of openness curves; default: the packaged ones.")
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
        note(
            f"no curve for {name}: {counted(count, 'event')} with raw values stayed as they were; "
            "a curve of the device goes into a file for --curves"
        )
    if report.without_device:
        without = counted(report.without_device, "event")
        note(
            f"{without} with raw values name no device (device_vendor, device_model) and stayed as they were"
        )
    if not (report.updated_events or report.unknown_devices or report.without_device):
        note("no hit has a raw pedal value (openness_raw), so there was nothing to calibrate")


def _prose(report: OpennessReport, output: Path | None) -> str:
    table = Table(box=None, pad_edge=False)
    for name, side in (("device", "left"), ("curve", "left"), ("events", "right"), ("hits", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for name, device in report.devices.items():
        table.add_row(
            printable(name), device["curve_id"], number(device["events"]), number(device["components"])
        )
    for name, count in report.unknown_devices.items():
        table.add_row(printable(name), "none", number(count), "-")
    if report.without_device:
        table.add_row("(no device named)", "none", number(report.without_device), "-")
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        if table.row_count:
            console.print(table)
    updated, events = number(report.updated_events), counted(report.events, "event")
    done = (
        f"{output}: wrote {events}, {updated} of them updated"
        if output
        else f"Would update {updated} of {events}"
    )
    return f"{capture.get()}{done} ({counted(report.updated_components, 'hit')})."
