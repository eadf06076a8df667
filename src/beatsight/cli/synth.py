"""``beatsight synth``: songs with exact labels, from the built-in kit or from recorded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, write_records

app = typer.Typer(add_completion=False)
# So many files are named in an answer; all of them stand in the JSON.
_LISTED = 10


@app.command()
def synth(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    kit: Annotated[
        list[Path] | None,
        typer.Option("--kit", help="Recorded kits: folders of kits, or .sfz files. Needs --grooves."),
    ] = None,
    grooves: Annotated[
        Path | None, typer.Option("--grooves", help="Folder of MIDI drum performances to play on them.")
    ] = None,
    backing: Annotated[
        list[Path] | None,
        typer.Option("--backing", help="Recordings without drums, to put under them; folders or files."),
    ] = None,
    songs: Annotated[int, typer.Option("--songs", min=1, help="How many songs.")] = 20,
    seconds: Annotated[float, typer.Option("--seconds", min=3.0, help="Length of each.")] = 30.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed, other songs.")] = 0,
    drums_only: Annotated[bool, typer.Option("--drums-only", help="Leave everything but drums out.")] = False,
    stems: Annotated[
        bool, typer.Option("--stems", help="With --kit: drums and backing as files of their own, too.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=1, help="With --kit: processes; the songs stay the same.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Make songs with exact labels: audio, and all strokes in one events.jsonl.

    Without --kit they are played on the built-in kit, with their beats. With --kit, human performances are
    played on recorded kits; a run that was stopped goes on where it was.

    Example: beatsight synth -o songs --songs 5 --seconds 20

    Example: beatsight synth --kit kits --grooves midi -o songs --workers 2
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder")
    if kit:
        if grooves is None:
            raise UsageError("--kit needs --grooves, a folder of MIDI performances to play")
        _from_kits(
            output, kit, grooves, backing or [], (songs, seconds, seed), (drums_only, stems), workers, as_json
        )
        return
    if grooves or backing or stems or workers > 1:
        raise UsageError("--grooves, --backing, --stems and --workers go with --kit")
    _built_in(output, songs, seconds, seed, drums_only, as_json)


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


def _from_kits(
    output: Path,
    kits: list[Path],
    grooves: Path,
    backing: list[Path],
    size: tuple[int, float, int],
    what: tuple[bool, bool],
    workers: int,
    as_json: bool,
) -> None:
    from beatsight.synth.studio.song import SongConfig
    from beatsight.synth.studio.writing import SET_BUS, SetConfig, write_set

    songs, seconds, seed = size
    drums_only, stems = what
    config = SetConfig(
        kits=tuple(kits),
        grooves=grooves,
        backing=tuple(backing),
        songs=songs,
        song=SongConfig(seconds=seconds, seed=seed, bus=SET_BUS),
        drums_only=drums_only,
        stems=stems,
    )
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
        "skipped": skipped,
        "damaged": damaged,
    }
    there = result.songs - result.made
    lines = [
        f"Wrote {counted(result.made, 'song')}{f' ({there} were there already)' if there else ''} of "
        f"{counted(len(result.kits), 'kit')} and {result.table} with {result.events} events."
    ]
    if skipped:
        lines += [f"{counted(len(skipped), 'file')} of the kits not played:", *_first(skipped)]
    say(as_json, answer, "\n".join(lines))
    if damaged:
        raise InputError("\n".join([f"{counted(len(damaged), 'file')} could not be read:", *_first(damaged)]))


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _LISTED
    named = [f"  {line}" for line in lines[:_LISTED]]
    return [*named, f"  … and {more} more; --json names all"] if more > 0 else named
