"""``beatsight train-songs``: the transcriber, from kits, performances and recordings to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import require

if TYPE_CHECKING:
    from beatsight.train.songs.loop import Losses

app = typer.Typer(add_completion=False)


@app.command()
def train_songs(
    recipe: Annotated[Path, typer.Argument(help="A recipe file, such as recipes/transcriber.toml.")],
    data: Annotated[Path, typer.Option("--data", help="Folder in which the recipe's paths begin.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of all that is made.")],
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that render songs.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Train the song transcriber by a recipe: render songs, train, fit thresholds, write the model files.

    What is there already is not made again: a stopped run goes on. With torchrun, several processes train
    together.

    Example: beatsight train-songs recipes/transcriber.toml --data drum-data -o transcriber

    Example: torchrun --nproc-per-node 2 -m beatsight train-songs my.toml --data drum-data -o transcriber
    """
    require("torch", "ml")
    from beatsight.train.processes import StoppedElsewhereError, is_first, one_voice
    from beatsight.train.songs.recipe import cook, read_recipe

    def each_report(form: str, step: int, losses: Losses) -> None:
        note(
            f"{form} step {step}  onsets {losses.onsets:.4f}  velocity {losses.velocity:.3f}  "
            f"openness {losses.openness:.3f}"
        )

    try:
        with one_voice(), progress_bar("Rendering songs") as progress:
            results = cook(
                read_recipe(recipe),
                data,
                output,
                workers=workers,
                on_stage=lambda stage, done, total: progress(done, total, f"Rendering songs for {stage}"),
                on_report=each_report,
            )
    except StoppedElsewhereError as error:
        raise typer.Exit(error.exit_code) from error
    if is_first():
        lines = [
            f"Wrote {output / name}.safetensors: F on held-out songs "
            + ", ".join(f"{group} {value:.3f}" for group, value in found["f_measure"].items())
            for name, found in results.items()
        ]
        say(as_json, {"output": str(output), "models": results}, "\n".join(lines))
