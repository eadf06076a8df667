"""``beatsight predict``: a model's scores for any labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import require

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    rows: Annotated[Path, typer.Argument(metavar="ROWS", help="Events of any format, or a boundary pack.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Predictions: .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")
    ],
    model: Annotated[Path, typer.Option("--model", help="Model file.")] = Path(
        "models/best_drum_classifier.pth"
    ),
    audio_root: Annotated[
        Path | None,
        typer.Option("--audio-root", help="Folder the audio paths start from; default: that of ROWS."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Score every row of a manifest or boundary pack with a model; ids and order are those of the rows.

    Example: beatsight predict boundary_pack/labels.jsonl --audio-root . -o outputs/boundary_predictions.jsonl
    """
    require("torch", "ml")
    from beatsight.evaluate import predict_rows
    from beatsight.models.checkpoint import load_model
    from beatsight.models.precision import choose_device

    loaded = load_model(model, choose_device(device))
    with progress_bar("Predicting") as progress:
        count = predict_rows(rows, loaded, output, audio_root=audio_root, progress=progress)
    say(
        as_json,
        {"predictions": count, "output": str(output)},
        f"Wrote {output}: {counted(count, 'prediction')}.",
    )
