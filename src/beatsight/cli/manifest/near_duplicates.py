"""``beatsight manifest near-duplicates``: one sound under two names, one performance in two splits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import note, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number
from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.manifest.near_duplicates import NearDuplicates, Pair
from beatsight.manifest.sounds import near_duplicates as find
from beatsight.manifest.split import read_split

_SHOWN = 20


def near_duplicates(
    events: ManyEvents,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the audio; default: where EVENTS lies.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option("--split", help="Split file, to mark pairs that stand in two splits.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file for all pairs.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 when a pair stands in two splits.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find recordings that are the same audio (renamed, louder, recoded, trimmed) or the same performance.

    Example: beatsight manifest near-duplicates events.jsonl --split split.json -o pairs.json
    """
    if strict and split is None:
        raise UsageError("--strict needs --split")
    with progress_bar("Listening") as progress:
        found = find(events, audio_root, sessions=read_split(split) if split else None, progress=progress)
    answer = msgspec.json.encode(found)
    if output is not None:
        write_bytes(output, msgspec.json.format(answer, indent=2) + b"\n")
    say(as_json, msgspec.to_builtins(found), _prose(found))
    if found.skipped:
        for name, why in list(found.skipped.items())[:_SHOWN]:
            note(f"{name}: not compared: {why}")
        raise InputError(f"{number(len(found.skipped))} of the recordings could not be compared")
    if strict and any(pair.across_splits for pair in found.pairs):
        raise typer.Exit(1)


def _line(pair: Pair) -> str:
    across = "; IN TWO SPLITS" if pair.across_splits else ""
    return (
        f"{pair.first} = {pair.second}: {pair.kind}, similarity {pair.similarity:.3f}, "
        f"{pair.offset_s:+.2f} s, {pair.gain_db:+.1f} dB{across}"
    )


def _prose(found: NearDuplicates) -> str:
    # What leaks between splits comes first.
    pairs = sorted(found.pairs, key=lambda pair: not pair.across_splits)
    lines = [_line(pair) for pair in pairs[:_SHOWN]]
    if len(pairs) > _SHOWN:
        lines.append(f"… and {number(len(pairs) - _SHOWN)} more pairs")
    across = sum(pair.across_splits for pair in pairs)
    total = f"{number(found.compared)} recordings compared: {number(len(pairs))} pairs"
    return "\n".join([*lines, f"{total}, {number(across)} across splits."])
