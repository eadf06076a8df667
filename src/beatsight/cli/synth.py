"""``beatsight synth``: songs with exact labels, from the built-in kit or from recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from beatsight.cli import synth_options as options
from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, write_records

if TYPE_CHECKING:
    from beatsight.synth.studio.writing import SetConfig

app = typer.Typer(add_completion=False)
# So many files are named in an answer; all of them stand in the JSON.
_LISTED = 10


@app.command()
def synth(
    output: options.Output,
    kit: options.Kits = None,
    grooves: options.Grooves = None,
    backing: options.Backing = None,
    instruments: options.Instruments = None,
    songs: options.Songs = 20,
    seconds: options.Seconds = 30.0,
    seed: options.Seed = 0,
    drums_only: options.DrumsOnly = False,
    stems: options.Stems = False,
    workers: options.Workers = 1,
    as_json: options.AsJson = False,
) -> None:
    """Make songs with exact labels: audio, and all strokes in one events.jsonl.

    Without --kit they are played on the built-in kit, with their beats. With --kit, human performances are
    played on recorded kits; a run that was stopped goes on where it was.

    Example: beatsight synth -o songs --songs 5 --seconds 20

    Example: beatsight synth --kit kits --grooves midi -o songs --workers 2

    Example: beatsight synth --kit gm.sf2 --grooves midi --instruments gm.sf2 notes/piano -o songs
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    if not kit:
        if grooves or backing or instruments or stems or workers > 1:
            raise UsageError("--grooves, --backing, --instruments, --stems and --workers go with --kit")
        _built_in(output, songs, seconds, seed, drums_only, as_json)
        return
    if grooves is None:
        raise UsageError("--kit needs --grooves, a folder of MIDI performances to play")
    if drums_only and (backing or instruments):
        raise UsageError("--drums-only leaves no room for --backing and --instruments")
    from beatsight.synth.studio.song import SongConfig
    from beatsight.synth.studio.writing import SET_BACKING, SET_BUS, SetConfig

    config = SetConfig(
        kits=tuple(kit),
        grooves=grooves,
        backing=tuple(backing or ()),
        instruments=tuple(instruments or ()),
        songs=songs,
        song=SongConfig(seconds=seconds, seed=seed, bus=SET_BUS, backing=SET_BACKING),
        drums_only=drums_only,
        stems=stems,
    )
    _from_kits(config, output, workers, as_json)


def _built_in(output: Path, songs: int, seconds: float, seed: int, drums_only: bool, as_json: bool) -> None:
    from beatsight.synth.song import make_song, write_song

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


def _from_kits(config: SetConfig, output: Path, workers: int, as_json: bool) -> None:
    from beatsight.synth.studio.writing import write_set

    with progress_bar("Making songs") as progress:
        result = write_set(config, output, workers=workers, progress=progress)
    skipped = [f"{path}: {why}" for path, why in result.skipped]
    damaged = [why for _, why in result.damaged]  # which name the file
    answer = {
        "folder": str(output),
        "songs": result.songs,
        "made": result.made,
        "events": result.events,
        "kits": list(result.kits),
        "instruments": result.instruments,
        "skipped": skipped,
        "damaged": damaged,
    }
    there = result.songs - result.made
    band = f", {counted(result.instruments, 'instrument')}" if result.instruments else ""
    lines = [
        f"Wrote {counted(result.made, 'song')}{f' ({there} were there already)' if there else ''} of "
        f"{counted(len(result.kits), 'kit')}{band} and {result.table} with {result.events} events."
    ]
    if skipped:
        lines += [f"{counted(len(skipped), 'file')} not played:", *_first(skipped)]
    say(as_json, answer, "\n".join(lines))
    if damaged:
        raise InputError("\n".join([f"{counted(len(damaged), 'file')} could not be read:", *_first(damaged)]))


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _LISTED
    named = [f"  {line}" for line in lines[:_LISTED]]
    return [*named, f"  … and {more} more; --json names all"] if more > 0 else named
