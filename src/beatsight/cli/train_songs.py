"""``beatsight train-songs``: the transcriber, from kits, performances and recordings to a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import require

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
    from beatsight.train.songs.cooking import cook
    from beatsight.train.songs.recipe import read_recipe

    try:
        with one_voice(), progress_bar("Rendering songs") as progress:
            cooked = cook(
                read_recipe(recipe),
                data,
                output,
                workers=workers,
                progress=lambda text, done, total: progress(done, total, text),
                note=note,
            )
    except StoppedElsewhereError as error:
        raise typer.Exit(error.exit_code) from error
    if is_first():
        lines = [] if cooked.made else [f"Nothing was left to do: {output} holds all that the recipe makes."]
        for name, found in cooked.models.items():
            file = f"{name}.safetensors"
            lines.append(
                f"{'Wrote ' if file in cooked.made else ''}{output / file}: F on held-out songs "
                + ", ".join(f"{group} {value:.3f}" for group, value in found["f_measure"].items())
            )
        answer = {"output": str(output), "made": cooked.made, "models": cooked.models}
        say(as_json, answer, "\n".join(lines))
