"""``beatsight dataset``: build training data from labelled events, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import progress_bar, say
from beatsight.dataset.build import build_dataset
from beatsight.dataset.splits import check_splits
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.events import read_events
from beatsight.manifest.splitting.split_file import read_split

app = typer.Typer(help="Build and check training data.", no_args_is_help=True, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


@app.callback()
def _group() -> None:
    """Keeps ``build`` a sub-command."""


@app.command()
def build(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help="Labelled events (events.jsonl).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Dataset folder to write.")],
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder of the audio; default: where EVENTS lies.")
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
    as_json: Json = False,
) -> None:
    """Cut the audio around every labelled moment into a dataset that train reads.

    Hits of one session never land on two sides of the split; nor do those of one drummer, kit or room, where
    that leaves enough to train on and to hold out.

    Example: beatsight dataset build songs/events.jsonl -o dataset
    """
    labelled = read_events(events)
    given = None
    if split is not None:
        given = read_split(split)
        check_splits(given, {event.session_id for event in labelled}, str(split))
    with progress_bar("Writing the dataset") as progress:
        made = build_dataset(
            labelled,
            audio_root or events.parent,
            output,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            splits=given,
            seed=seed,
            progress=progress,
        )
    _show(made, as_json)


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")], as_json: Json = False
) -> None:
    """Compare every file of a dataset with its checksum, and say what is inside.

    Example: beatsight dataset check dataset
    """
    _show(open_dataset(dataset, verify=True), as_json)


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
