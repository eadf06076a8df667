"""``beatsight manifest techniques``: techniques that a manifest shows, written into its events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Events, Json, number
from beatsight.manifest.techniques import TechniquesReport, annotate_techniques

# Of the unknown labels, so many are named.
_NAMED = 10


def techniques(
    events: Events,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Manifest to write; default: EVENTS itself.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be added.")] = False,
    as_json: Json = False,
) -> None:
    """Add to every event the techniques that the manifest shows: barks, flams, modulations, layered cymbals …

    What an event lists already is kept. docs/formats.md says what shows a technique.

    Example: beatsight manifest techniques events.jsonl -o annotated.jsonl
    """
    target = None if dry_run else output or events
    with progress_bar("Looking for techniques") as progress:
        report = annotate_techniques(events, target, progress=progress)
    answer = msgspec.to_builtins(report) | {"output": None if target is None else str(target)}
    say(as_json, answer, _prose(report, target))
    if unknown := report.unknown_labels:
        labels = sorted(unknown, key=lambda label: (-unknown[label], label))
        named = ", ".join(map(repr, labels[:_NAMED])) + (", …" if len(labels) > _NAMED else "")
        note(f"{number(sum(unknown.values()))} hits with unknown labels were passed over: {named}")


def _prose(report: TechniquesReport, target: Path | None) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("technique (events)")
    for name in ("shown by", "added to" if target else "to add to"):
        table.add_column(name, justify="right")
    for name, found in report.found.items():
        if found:
            table.add_row(name, number(found), number(report.added[name]))
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        if table.row_count:
            console.print(table)
        if none := [name for name, found in report.found.items() if not found]:
            console.print(f"Shown by no event: {', '.join(none)}.")
    changed, all_events = number(report.changed_events), number(report.events)
    if target is None:
        return f"{capture.get()}Would change {changed} of {all_events} events."
    return f"{capture.get()}{target}: wrote {all_events} events, {changed} of them changed."
