"""``beatsight manifest verify``: is the audio there, unchanged, and as long as the rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import progress_bar, say
from beatsight.cli.manifest.options import Events, Json, number
from beatsight.errors import InputError
from beatsight.manifest.sounds import verify as verify_manifest

_SHOWN = 20


def verify(
    events: Events,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the audio; default: where EVENTS lies.")
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Decode every file to its end and compare its SHA-256.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every audio path, length, sample rate and hash; what is wrong is listed, and the exit code is 3.

    Example: beatsight manifest verify events.jsonl --deep
    """
    with progress_bar("Verifying") as progress:
        count, problems = verify_manifest(events, audio_root, deep=deep, progress=progress)
    lines = [f"{events}:row {one.row}: {one.audio_path}: {one.field}: {one.why}" for one in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"… and {number(len(problems) - _SHOWN)} more problems")
    lines.append(f"{events}: {number(count)} recordings, {number(len(problems))} problems.")
    say(as_json, {"recordings": count, "problems": msgspec.to_builtins(problems)}, "\n".join(lines))
    if problems:
        raise InputError(f"{events}: {number(len(problems))} problems with its audio")
