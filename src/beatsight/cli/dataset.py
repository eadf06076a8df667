"""``beatsight dataset``: build training data from labelled events, and check it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import counted, note, progress_bar, say
from beatsight.dataset.build import BuildSettings, Labelled
from beatsight.dataset.build import build as build_folder
from beatsight.dataset.building.gather import Fault, refuse
from beatsight.dataset.building.old_clips import read_old_clips
from beatsight.dataset.building.partial import partial_folder
from beatsight.dataset.building.verify import Verified, sound_events, verify_inputs
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.errors import BeatSightError, InputError, UsageError
from beatsight.events import Event, read_records
from beatsight.manifest.splitting.split_file import read_split

app = typer.Typer(help="Build and check training data.", no_args_is_help=True, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


@app.callback()
def _group() -> None:
    """Keeps ``build`` a sub-command."""


@app.command()
def build(
    events: Annotated[
        list[Path],
        typer.Argument(
            metavar="EVENTS…", help="Labelled events (.jsonl, .gz, .zst, .parquet), or one old clip folder."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Dataset folder to write (but with --verify-only).")
    ] = None,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the audio; default: where EVENTS lies.")
    ] = None,
    audio_root_map: Annotated[
        list[str] | None,
        typer.Option("--audio-root-map", metavar="SET=DIR", help="Folder of the audio of one source_set."),
    ] = None,
    val_fraction: Annotated[
        float, typer.Option("--val-fraction", min=0.0, max=0.9, help="Share held out for validation.")
    ] = 0.15,
    test_fraction: Annotated[
        float, typer.Option("--test-fraction", min=0.0, max=0.9, help="Share held out for the final test.")
    ] = 0.0,
    split: Annotated[
        Path | None,
        typer.Option("--split", help="Split of every session (JSON), instead of shares and --seed."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the split, by whole sessions.")] = 0,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only the first so many audio files, by name.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that decode; default: one a core.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what a stopped build left in OUTPUT.partial.")
    ] = False,
    verify_only: Annotated[
        bool, typer.Option("--verify-only", help="List every fault of events and audio; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Cut the audio around every labelled moment into a dataset that train reads.

    Hits of one session never land on two sides of the split; nor do those of one drummer, kit or room, where
    that leaves enough to train on and to hold out.

    Example: beatsight dataset build songs/events.jsonl -o dataset
    """
    settings = BuildSettings(
        val_fraction=val_fraction,
        test_fraction=test_fraction,
        splits=None if split is None else read_split(split),
        splits_name="splits" if split is None else str(split),
        seed=seed,
        audio_roots=_roots(audio_root_map or []),
        limit=limit,
        workers=workers,
        resume=resume,
    )
    faults: list[str] = []
    labelled, settings = _labelled(events, audio_root, settings, faults.append if verify_only else refuse)
    if verify_only:
        with progress_bar("Checking the audio") as progress:
            found = verify_inputs(labelled, settings, progress, faults)
        _show_faults(found, as_json)
        return
    if output is None:
        raise UsageError("--output is missing (only --verify-only does without)")
    try:
        with progress_bar("Writing the dataset") as progress:
            made = build_folder(labelled, output, settings, progress)
    except (BeatSightError, KeyboardInterrupt):
        if partial_folder(output).exists():
            note(f"What is done is kept in {partial_folder(output)}; --resume goes on from there.")
        raise
    _show(made, as_json)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")], as_json: Json = False
) -> None:
    """Compare every file of a dataset with its checksum, and say what is inside.

    Example: beatsight dataset check dataset
    """
    _show(open_dataset(dataset, verify=True), as_json)


# -- inside --------------------------------------------------------------------------------------------------


def _roots(texts: list[str]) -> dict[str, Path]:
    roots: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UsageError(f"--audio-root-map {text}: is not SET=DIR")
        if name in roots:
            raise UsageError(f"--audio-root-map {name}: is given twice")
        roots[name] = Path(folder)
    return roots


def _labelled(
    paths: list[Path], audio_root: Path | None, settings: BuildSettings, fault: Fault
) -> tuple[list[Labelled], BuildSettings]:
    """The events of all files, read when needed; or those of one folder of old clips, with its split."""
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return [
            Labelled(_read(path, fault), audio_root or path.parent, str(path)) for path in paths
        ], settings
    if len(paths) > 1 or audio_root is not None or settings.audio_roots or settings.splits is not None:
        raise UsageError(
            f"{folders[0]}: is a folder of clips, which has its own audio and split; build it alone"
        )
    clips = read_old_clips(folders[0], fault)
    settings = replace(settings, splits=clips.splits, notes=clips.notes)
    return [Labelled(clips.events, folders[0], str(folders[0]))], settings


def _read(path: Path, fault: Fault) -> Iterable[Event]:
    return read_records(path, Event) if fault is refuse else sound_events(path, fault)


def _show_faults(found: Verified, as_json: bool) -> None:
    """Every fault, one a line; raises when there is one."""
    summary = (
        f"{counted(found.files, 'audio file')} with {counted(found.moments, 'moment')}, "
        f"{found.duration_s / 60:.1f} min: {counted(len(found.faults), 'fault')}."
    )
    say(as_json, msgspec.to_builtins(found), "\n".join([*found.faults, summary]))
    if found.faults:
        raise InputError(f"{counted(len(found.faults), 'fault')} in what the dataset would be built from")


def _show(dataset: Dataset, as_json: bool) -> None:
    metadata = dataset.metadata
    splits = ", ".join(
        f"{name} {moments} moments of {len(metadata.sessions[name])} sessions "
        f"({metadata.split_durations_seconds[name] / 60:.1f} min)"
        for name, moments in metadata.moments.items()
        if moments
    )
    lines = [f"{dataset.root}: {splits}.", *metadata.notes]
    if metadata.untrained_labels:
        lines.append(f"No training example of: {', '.join(metadata.untrained_labels)}.")
    say(as_json, msgspec.to_builtins(metadata), "\n".join(lines))
