"""``beatsight audition``: augmented training clips as sounds and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beatsight.cli.console import counted, note, say
from beatsight.errors import UsageError, require

if TYPE_CHECKING:
    from beatsight.dataset.augment import AugmentConfig

app = typer.Typer(add_completion=False)
# A page of four megabytes; more than this nobody compares.
_MOST = 24


@app.command()
def audition(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the page and the WAV files.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML run file whose augmentation is meant.")
    ] = None,
    background: Annotated[
        Path | None, typer.Option("--background", help="Folder of recordings without drums, as in train.")
    ] = None,
    rows: Annotated[
        list[int] | None, typer.Option("--rows", min=0, help="Rows of the training split; else --count.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, max=_MOST, help="So many clips, drawn.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Write training clips before and after augmentation: WAV files, and a page to hear and see them on.

    Example: beatsight audition dataset -o audition --count 6
    """
    require("torch", "ml")
    from beatsight.audio.features import FeatureConfig
    from beatsight.dataset.audition import audition as versions_of
    from beatsight.dataset.audition import choose_rows
    from beatsight.dataset.audition_files import write_audition
    from beatsight.dataset.store import open_dataset
    from beatsight.train.background import read_background

    if rows and len(set(rows)) > _MOST:
        raise UsageError(f"--rows: {len(set(rows))} are too many to compare, {_MOST} at most")
    augment, folder = _settings(config)
    place = background or folder
    data, features = open_dataset(dataset), FeatureConfig()
    chosen = sorted(set(rows)) if rows else choose_rows(data, count, seed)
    notes: list[str] = []
    under = read_background(place, features, notes) if place else None
    found = versions_of(data, chosen, augment, features, seed=seed, background=under)
    paths = [str(path) for path in write_audition(found, output, augment, features)]
    if under is None and augment.background:
        notes.append("no --background is given, so the effect background is left out")
    for text in notes:
        note(f"note: {text}")
    answer = {"rows": chosen, "page": paths[0], "files": paths, "notes": notes}
    say(as_json, answer, f"Wrote {paths[0]} and {counted(len(paths) - 1, 'WAV file')} beside it.")


def _settings(config: Path | None) -> tuple[AugmentConfig, Path | None]:
    """The augmentation of a run file, or the default one; and the folder of backgrounds that it names."""
    from beatsight.dataset.augment import AugmentConfig
    from beatsight.train.config import TrainConfig, read_config

    if config is None:
        return AugmentConfig(), None
    run = TrainConfig(**read_config(config))
    if run.augment is None:
        raise UsageError(f"{config}: augmentation is off there, so there is nothing to hear")
    return run.augment, Path(run.background) if run.background else None
