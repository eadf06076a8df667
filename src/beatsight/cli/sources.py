"""``beatsight sources``: the datasets, kits and file formats that can be read, and reading them into events.

The answer goes to stdout, as prose or with ``--json`` as one JSON object. Names that no label fits are
listed; items that could not be read are listed too and make the exit code 3, after everything else was
written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, number, progress_bar, say
from beatsight.errors import InputError, UsageError
from beatsight.sources.catalogue import all_sources, find_source
from beatsight.sources.contract import Card, Source
from beatsight.sources.ingest import IngestResult
from beatsight.sources.ingest import ingest as ingest_source

app = typer.Typer(help="Read drum datasets, kits and label files into events.jsonl.", add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]

# A terminal shows this many; the provenance file and --json have all.
_LISTED = 20


@app.callback(invoke_without_command=True)
def listing(context: typer.Context, as_json: Json = False) -> None:
    """List the sources; ``show`` one of them, or ``ingest`` it.

    Example: beatsight sources

    Example: beatsight sources ingest groove_midi groove -o events.jsonl
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise UsageError(f"--json goes after {context.invoked_subcommand}")
        return
    cards = [source.card for source in all_sources().values()]
    if as_json:
        say(True, {"sources": cards}, "")
        return
    Console().print(_table(cards))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A source, as the list names it.")],
    as_json: Json = False,
) -> None:
    """Everything about one source: licence, citation, the layout that is expected, settings.

    Example: beatsight sources show mdb_drums
    """
    source = find_source(name)
    answer = {**msgspec.to_builtins(source.card), "options": msgspec.to_builtins(source.options)}
    say(as_json, answer, _described(source))


@app.command()
def ingest(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A source, as the list names it.")],
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="Its folder; for single label files, the file.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The events: .jsonl, .jsonl.gz, .parquet …")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of the source.")
    ] = None,
    audio_root: Annotated[
        Path | None,
        typer.Option("--audio-root", help="Folder above ROOT that audio paths start from."),
    ] = None,
    no_audio_hashes: Annotated[
        bool, typer.Option("--no-audio-hashes", help="Do not hash the audio files (large sets).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a source into a file of events, with its provenance beside it.

    What is wrong in one item leaves that item out and is listed; the
    exit code is then 3.

    Example: beatsight sources ingest midi songs -o events.jsonl --set device=roland
    """
    with progress_bar(f"Reading {name}") as progress:
        result = ingest_source(
            name,
            root,
            output,
            _settings(settings or []),
            progress=progress,
            audio_hashes=not no_audio_hashes,
            audio_root=audio_root,
        )
    say(as_json, _answer(result), "\n".join(_summary(result, root)))
    if result.skipped:
        lines = [f"{path}: {why}" for path, why in result.skipped.items()]
        if len(lines) == 1:
            raise InputError(f"{lines[0]}; it was left out")
        raise InputError("\n  ".join([f"{len(lines)} were left out:", *_first(lines, result)]))


# -- inside --------------------------------------------------------------------------------------------------


def _settings(texts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text}: is not NAME=VALUE")
        if name in found:
            raise UsageError(f"--set {name}: is given twice")
        found[name] = value
    return found


def _commercial(card: Card) -> str:
    return {True: "yes", False: "no", None: "see licence"}[card.commercial]


def _table(cards: list[Card]) -> Table:
    table = Table("name", "title", "licence", "commercial use", "audio", title="Sources")
    for card in cards:
        table.add_row(
            card.name, card.title, card.licence, _commercial(card), "yes" if card.has_audio else "no"
        )
    return table


def _described(source: Source) -> str:
    card = source.card
    lines = [f"{card.title} ({card.name}), version {card.version}", f"Licence: {card.licence}"]
    lines.append(f"Commercial use: {_commercial(card)}")
    lines += [f"Cite: {card.citation}"] if card.citation else []
    lines += [f"From: {card.url}"] if card.url else []
    lines += ["Layout:", *(f"  {line}" for line in card.layout.splitlines())]
    if source.options:
        lines.append("Settings (--set NAME=VALUE):")
    for option in source.options:
        choices = f"; one of {', '.join(option.choices)}" if option.choices else ""
        default = f" (default {option.default})" if option.default else ""
        lines.append(f"  {option.name}: {option.help}{choices}{default}")
    lines.append(f"Read it: beatsight sources ingest {card.name} ROOT -o events.jsonl")
    return "\n".join(lines)


def _answer(result: IngestResult) -> dict[str, Any]:
    return {
        "output": str(result.output),
        "provenance": str(result.provenance),
        "items": result.items,
        "events": result.events,
        "components": result.components,
        "events_without_audio": result.without_audio,
        "labels": result.labels,
        "unmapped": result.unmapped,
        "skipped": result.skipped,
    }


def _first(lines: list[str], result: IngestResult) -> list[str]:
    more = len(lines) - _LISTED
    return lines if more <= 0 else [*lines[:_LISTED], f"… and {more} more, in {result.provenance}"]


def _summary(result: IngestResult, root: Path) -> list[str]:
    lines = [
        f"Wrote {counted(result.events, 'event')} with {counted(result.components, 'hit')} from "
        f"{counted(result.items, 'item')} to {result.output}; provenance in {result.provenance}."
    ]
    if result.without_audio:
        lines.append(f"{counted(result.without_audio, 'event')} without audio: the recording is not there.")
    folder = root if root.is_dir() else root.parent
    if result.without_audio < result.events and result.output.parent.resolve() != folder.resolve():
        lines.append(f"Audio paths start at {folder}; later commands need --audio-root {folder}")
    if result.unmapped:
        lines.append(f"Not taken over, {number(sum(found.count for found in result.unmapped))} in all:")
        names = [
            f"{found.name}: {number(found.count)}, first at {found.first} ({found.why})"
            for found in result.unmapped
        ]
        lines += [f"  {text}" for text in _first(names, result)]
    return lines
