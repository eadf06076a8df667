"""``beatsight manifest boundary-pack``: hits at the edges of a streaming recogniser's windows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Json, number, printable
from beatsight.manifest.boundary import EDGES, BoundaryReport
from beatsight.manifest.boundary import boundary_pack as write_pack


def boundary_pack(
    events: Annotated[Path, typer.Option("--events", help="Manifest of labelled hits.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Pack to write (JSON lines).")],
    window_ms: Annotated[float, typer.Option("--window-ms", help="Length of a window.")] = 2048.0,
    hop_ms: Annotated[float, typer.Option("--hop-ms", help="From one window's start to the next.")] = 512.0,
    margin_ms: Annotated[float, typer.Option("--margin-ms", help="Length of an edge.")] = 40.0,
    as_json: Json = False,
) -> None:
    """Find the hits at the leading and trailing edges of streaming windows, for gate boundary.

    Example: beatsight manifest boundary-pack --events events.jsonl --output labels.jsonl --margin-ms 40
    """
    with progress_bar("Looking for edges") as progress:
        report = write_pack(
            events, output, window_ms=window_ms, hop_ms=hop_ms, margin_ms=margin_ms, progress=progress
        )
    say(as_json, {"output": str(output), **msgspec.to_builtins(report)}, _prose(report, output))
    if report.without_labels:
        note(f"{counted(report.without_labels, 'event')} without components: at no edge")
    if not report.rows:
        note("no hit lies at an edge, so the pack is empty; try a longer --margin-ms or a shorter --hop-ms")
    if report.repeated_ids:
        note(
            f"{number(report.repeated_ids)} rows are of a sample_id that an earlier event has too; "
            "their own ids end in :2, :3 …"
        )


def _prose(report: BoundaryReport, output: Path) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("label")
    for edge in EDGES:
        table.add_column(edge, justify="right")
    for label in sorted({label for counts in report.labels.values() for label in counts}):
        table.add_row(printable(label), *(number(report.labels[edge].get(label, 0)) for edge in EDGES))
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        if table.row_count:
            console.print(table)
    edges = ", ".join(f"{number(report.edges[edge])} {edge}" for edge in EDGES)
    found = f"{counted(report.rows, 'edge')} ({edges}) of {counted(report.events, 'event')}"
    return f"{capture.get()}{output}: {found}."
