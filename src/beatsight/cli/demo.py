"""``beatsight demo``: the whole chain on songs it makes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import require

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path("demo"),
    songs: Annotated[int | None, typer.Option("--songs", min=2, help="Songs to train on.  [126]")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first song; the next has the next.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Make labelled songs, build a dataset, train, evaluate, transcribe unseen songs, and write a report.

    Takes some minutes on a laptop and downloads nothing.

    Example: beatsight demo -o demo
    """
    require("torch", "ml")
    from dataclasses import replace

    from beatsight.demo import DemoConfig, run_demo

    config = DemoConfig(seed=seed)
    if songs is not None:
        config = replace(config, train_songs=songs)
    with progress_bar("Demo") as progress:
        result = run_demo(
            output, config, say=note, progress=lambda text, done, total: progress(done, total, text)
        )
    answer = {
        "f_measure": result.f_measure,
        "f_measure_unseen_kits": result.f_measure_unseen_kits,
        "report": str(result.report),
        "model": str(result.model),
        "charts": [str(path) for path in result.charts],
        "seconds": result.seconds,
    }
    prose = (
        f"F-measure on unseen songs: {result.f_measure:.3f} (12 classes, 50 ms; on kits that training never "
        f"heard: {result.f_measure_unseen_kits:.3f}), {result.seconds:.0f} s\nreport: {result.report}"
    )
    say(as_json, msgspec.to_builtins(answer), prose)
