"""``beatsight manifest negatives``: confident false positives, hardest first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Json, number, printable
from beatsight.manifest.negatives import (
    CLIP_AFTER_MS,
    CLIP_BEFORE_MS,
    WINDOW_MS,
    NegativesReport,
    hard_negatives,
)

# So many sessions without truth are named at the terminal.
_SHOWN = 5


def negatives(
    predictions: Annotated[Path, typer.Option("--predictions", help="What a model heard.")],
    ground_truth: Annotated[
        Path, typer.Option("--ground-truth", help="Labelled events; sample_id and components are enough.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest of negatives to write.")],
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", min=0.0, max=1.0, help="Lowest score that counts.")
    ] = 0.7,
    max_per_label: Annotated[
        int, typer.Option("--max-per-label", min=1, help="Most negatives of one label, the hardest.")
    ] = 150,
    window_ms: Annotated[
        float,
        typer.Option("--window-ms", min=0.0, help="A true hit so near is the one heard."),
    ] = WINDOW_MS,
    clip_before_ms: Annotated[
        float, typer.Option("--clip-before-ms", min=0.0, help="Start of the clip before the onset.")
    ] = CLIP_BEFORE_MS,
    clip_after_ms: Annotated[
        float, typer.Option("--clip-after-ms", min=0.0, help="End of the clip after the onset.")
    ] = CLIP_AFTER_MS,
    as_json: Json = False,
) -> None:
    """Find what a model heard with confidence where there was no such drum, hardest first.

    Example: beatsight manifest negatives --predictions p.jsonl --ground-truth events.jsonl -o negatives.jsonl
    """
    with progress_bar("Matching") as progress:
        report = hard_negatives(
            predictions,
            ground_truth,
            output,
            min_confidence=min_confidence,
            max_per_label=max_per_label,
            window_ms=window_ms,
            clip_before_ms=clip_before_ms,
            clip_after_ms=clip_after_ms,
            progress=progress,
        )
    say(as_json, {"output": str(output), **msgspec.to_builtins(report)}, _prose(report, output))
    _remarks(report)


def _remarks(report: NegativesReport) -> None:
    if report.unjudged:
        named = [
            f"{name!r} ({number(count)})" if name else f"no session ({number(count)})"
            for name, count in report.unjudged_sessions.items()
        ]
        rest = ", …" if len(named) > _SHOWN else ""
        note(
            f"{counted(report.unjudged, 'prediction')} could not be judged: the truth has neither the "
            f"sample_id nor timed events of the session: {', '.join(named[:_SHOWN])}{rest}"
        )
    if report.unplaced:
        unplaced = counted(report.unplaced, "false positive")
        note(f"{unplaced} without a session or time in either file: left out")
    if report.without_score:
        note(f"{counted(report.without_score, 'predicted label')} without a score: left out")


def _prose(report: NegativesReport, output: Path) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("label")
    for name in ("false positives", "written", "hardest", "easiest"):
        table.add_column(name, justify="right")
    for label, one in report.labels.items():
        table.add_row(
            printable(label),
            number(one.found),
            number(one.written),
            f"{one.hardest:.3f}",
            f"{one.easiest:.3f}",
        )
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        if table.row_count:
            console.print(table)
    false_positives = counted(report.false_positives, "false positive")
    found = f"{false_positives} among {counted(report.candidates, 'confident label')}"
    return f"{capture.get()}{output}: {counted(report.written, 'hard negative')} of {found}."
