"""``beatsight manifest verify``: is the audio there, unchanged, and as long as the rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.cli.manifest.options import Events, Json, number
from beatsight.errors import InputError
from beatsight.sources.ingest import provenance_path

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
    # Imported here: what listens takes as long to load as many a command that does not.
    from beatsight.manifest.sounds import verify as verify_manifest
    from beatsight.manifest.verify import read_provenance

    with progress_bar("Verifying") as progress:
        report = verify_manifest(events, audio_root, deep=deep, progress=progress)
    problems = report.problems
    lines = [f"{events}:row {one.row}: {one.audio_path}: {one.field}: {one.why}" for one in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"… and {number(len(problems) - _SHOWN)} more problems")
    lines.append(f"{events}: {counted(report.recordings, 'recording')}, {counted(len(problems), 'problem')}.")
    say(as_json, msgspec.to_builtins(report), "\n".join(lines))
    if report.without_audio:
        note(f"{counted(report.without_audio, 'event')} without an audio_path: nothing to check")
    if deep and read_provenance(events) is None:
        note(f"{provenance_path(events)} is not there, so no hashes were compared")
    if problems:
        none_there = sum(one.field == "audio_path" for one in problems) == report.recordings
        hint = "; --audio-root says where the recordings lie" if none_there and not audio_root else ""
        raise InputError(f"{events}: {counted(len(problems), 'problem')} with its audio{hint}")
