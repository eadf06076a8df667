"""``beatsight manifest split``: sessions into train, val and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number, printable
from beatsight.errors import UsageError
from beatsight.manifest.engine.rewrite import SUFFIXES
from beatsight.manifest.engine.table import refuse_input_as_output
from beatsight.manifest.splitting.split import (
    DEFAULT_FRACTIONS,
    SHARED_KEYS,
    Split,
    check_writable,
    split_manifest,
    write_manifests,
)
from beatsight.manifest.splitting.split_file import write_split

_TOGETHER = {key.removesuffix("_id"): key for key in SHARED_KEYS}
# Sessions are always kept whole; named alone, nothing else is.
_SESSION = "session"


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
    if len(shares) < len(texts):
        raise UsageError("--share names one split twice")
    return shares or None


def _shared(words: list[str]) -> tuple[str, ...]:
    """``["drummer", "kit"]`` as the keys of an event."""
    if unknown := [word for word in words if word != _SESSION and word not in _TOGETHER]:
        raise UsageError(f"--together {unknown[0]!r} is unknown; known: {', '.join(_TOGETHER)}, {_SESSION}")
    return tuple(key for word, key in _TOGETHER.items() if word in words) if words else SHARED_KEYS


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
            "--share", help="Wanted share of events, NAME=NUMBER; repeat. Default: train=.8 val=.1 test=.1."
        ),
    ] = None,
    together: Annotated[
        list[str] | None,
        typer.Option(
            "--together",
            help="What may not stand in two splits: drummer, kit, room; repeat. With session alone, whole "
            "sessions and nothing more. Default: drummer, kit and room.",
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
    refuse_input_as_output(events, output)
    if output.name.lower().endswith((*SUFFIXES, ".ndjson")):
        raise UsageError(f"{output}: the split is JSON, not a manifest; --manifests FOLDER writes the rows")
    if manifests is not None:
        check_writable(events, suffix)
    written: dict[str, int] = {}
    with progress_bar("Dividing") as progress:
        made = split_manifest(
            events,
            fractions=_shares(share or []) or DEFAULT_FRACTIONS,
            seed=seed,
            synthetic_cap=synthetic_cap,
            shared=_shared(together or []),
            progress=progress,
        )
        if manifests is not None:
            counts = write_manifests(made, events, manifests, suffix=suffix, progress=progress)
            written = {str(manifests / f"{name}{suffix}"): count for name, count in counts.items()}
    write_split(made.content, output)
    answer = msgspec.to_builtins(made.content) | {"manifests": written}
    lines = [f"{path}: {number(count)} events." for path, count in written.items()]
    say(as_json, answer, "\n".join([_prose(made, output), *lines]))
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
        table.add_row(printable(label), *(f"{number(cell.count)} ({cell.share:.1%})" for cell in cells))
    console = Console(width=100, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return f"{capture.get()}{output}: {number(len(made.sessions))} sessions in {number(made.groups)} groups."
