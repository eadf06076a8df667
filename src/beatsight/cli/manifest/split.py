"""``beatsight manifest split``: sessions into train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number
from beatsight.errors import UsageError
from beatsight.manifest.split import DEFAULT_FRACTIONS, Split, split_manifest, write_manifests, write_split


def _shares(texts: list[str]) -> dict[str, float] | None:
    """``["train=0.9", "val=0.1"]`` as a mapping."""
    shares = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            shares[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise UsageError(f"--share {text!r} is not NAME=NUMBER, such as train=0.8")
    return shares or None


def split(
    events: ManyEvents,
    output: Annotated[Path, typer.Option("--output", "-o", help="Split file to write (JSON).")],
    manifests: Annotated[
        Path | None, typer.Option("--manifests", help="Folder to write one manifest a split to, as well.")
    ] = None,
    suffix: Annotated[
        str, typer.Option("--format", help="Of --manifests: .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")
    ] = ".jsonl",
    share: Annotated[
        list[str] | None,
        typer.Option(
            "--share", help="Wanted share of events, NAME=NUMBER; repeat.  [train=.8 val=.1 test=.1]"
        ),
    ] = None,
    synthetic_cap: Annotated[
        float | None,
        typer.Option("--synthetic-cap", help="Largest share of synthetic events in each split, 0..1."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the choice among equals.")] = 0,
    as_json: Json = False,
) -> None:
    """Divide the sessions so that no drummer, kit or room is on two sides, and every label is spread evenly.

    Example: beatsight manifest split events.jsonl -o split.json --manifests splits
    """
    if not suffix.startswith("."):
        suffix = f".{suffix}"
    with progress_bar("Dividing") as progress:
        made = split_manifest(
            events,
            fractions=_shares(share or []) or DEFAULT_FRACTIONS,
            seed=seed,
            synthetic_cap=synthetic_cap,
            progress=progress,
        )
        if manifests is not None:
            write_manifests(made, events, manifests, suffix=suffix, progress=progress)
    write_split(made, output)
    say(as_json, msgspec.to_builtins(made.content), _prose(made, output))
    for text in made.assignment.notes:
        note(text)


def _prose(made: Split, output: Path) -> str:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in made.assignment.splits:
        table.add_column(name, justify="right")
    sessions = [sum(side == name for side in made.sessions.values()) for name in made.assignment.splits]
    table.add_row("sessions", *map(number, sessions))
    for title, shares in (("events", made.assignment.events), ("synthetic", made.assignment.synthetic)):
        cells = [shares[name] for name in made.assignment.splits]
        table.add_row(title, *(f"{number(cell.count)} ({cell.share:.1%})" for cell in cells))
    labels = next(iter(made.assignment.labels.values()), {})
    for label in labels:
        cells = [made.assignment.labels[name][label] for name in made.assignment.splits]
        table.add_row(label, *(f"{number(cell.count)} ({cell.share:.1%})" for cell in cells))
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return f"{capture.get()}{output}: {number(len(made.sessions))} sessions in {number(made.groups)} groups."
