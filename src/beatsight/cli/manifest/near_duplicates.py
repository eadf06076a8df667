"""``beatsight manifest near-duplicates``: one sound under two names, one performance in two splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Json, ManyEvents, number
from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.manifest.engine.table import refuse_input_as_output
from beatsight.manifest.splitting.split_file import read_split

if TYPE_CHECKING:
    from beatsight.manifest.likeness.near_duplicates import Pair
    from beatsight.manifest.sounds import SoundReport

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
    # Imported here: what listens takes as long to load as many a command that does not.
    from beatsight.manifest.sounds import near_duplicates as find

    if strict and split is None:
        raise UsageError("--strict needs --split")
    refuse_input_as_output([*events, *([split] if split else [])], output)
    with progress_bar("Listening") as progress:
        found = find(events, audio_root, sessions=read_split(split) if split else None, progress=progress)
    answer = msgspec.json.encode(found)
    if output is not None:
        write_bytes(output, msgspec.json.format(answer, indent=2) + b"\n")
    say(as_json, msgspec.to_builtins(found), _prose(found, split is not None))
    if found.without_audio:
        note(f"{counted(found.without_audio, 'event')} without an audio_path: not compared")
    if found.skipped:
        for name, why in list(found.skipped.items())[:_SHOWN]:
            note(f"{name}: not compared: {why}")
        hint = "" if found.compared or audio_root else "; --audio-root says where they lie"
        raise InputError(f"{counted(len(found.skipped), 'recording')} could not be compared{hint}")
    if strict and any(pair.across_splits for pair in found.pairs):
        raise typer.Exit(1)


def _line(pair: Pair) -> str:
    across = "; IN TWO SPLITS" if pair.across_splits else ""
    return (
        f"{pair.first} = {pair.second}: {pair.kind}, similarity {pair.similarity:.3f}, "
        f"{pair.offset_s:+.2f} s, {pair.gain_db:+.1f} dB{across}"
    )


def _prose(found: SoundReport, with_split: bool) -> str:
    # What leaks between splits comes first.
    pairs = sorted(found.pairs, key=lambda pair: not pair.across_splits)
    lines = [_line(pair) for pair in pairs[:_SHOWN]]
    if len(pairs) > _SHOWN:
        lines.append(f"… and {number(len(pairs) - _SHOWN)} more pairs")
    total = f"{counted(found.compared, 'recording')} compared: {counted(len(pairs), 'pair')}"
    if with_split:
        total += f", {number(sum(pair.across_splits for pair in pairs))} of them in two splits"
    return "\n".join([*lines, f"{total}."])
