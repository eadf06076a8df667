"""``beatsight synth``: songs with exact labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import UsageError
from beatsight.events import Event, write_records
from beatsight.synth.song import make_song, write_song

app = typer.Typer(add_completion=False)


@app.command()
def synth(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    songs: Annotated[int, typer.Option("--songs", min=1, help="How many songs.")] = 20,
    seconds: Annotated[float, typer.Option("--seconds", min=3.0, help="Length of each.")] = 30.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first song; the next has the next.")] = 0,
    drums_only: Annotated[bool, typer.Option("--drums-only", help="Leave bass and chords out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Make songs from the built-in drum kit: audio, beats, and all labels in one events.jsonl.

    Example: beatsight synth -o songs --songs 5 --seconds 20
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    events: list[Event] = []
    with progress_bar("Making songs") as progress:
        for index in range(songs):
            song = make_song(
                seed + index, duration_s=seconds, accompaniment_db=None if drums_only else "random"
            )
            write_song(song, output)
            events += song.events
            progress(index + 1, songs)
    table = output / "events.jsonl"
    write_records(table, events)
    answer = {"folder": str(output), "songs": songs, "events": len(events)}
    say(
        as_json,
        answer,
        f"Wrote {counted(songs, 'song')} and {table} with {len(events)} events.",
    )
