"""``beatsight evaluate``: a model's scores on a dataset's split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import require

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder.")] = Path("dataset"),
    model: Annotated[Path, typer.Option("--model", help="Model file.")] = Path(
        "models/best_drum_classifier.pth"
    ),
    split: Annotated[str, typer.Option("--split", help="train, val or test.")] = "val",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the JSON report, the picture, the predictions.")
    ] = Path("reports/evaluation"),
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Score a model on clips it did not train on: per-class report and confusion matrix.

    Example: beatsight evaluate --dataset dataset --model models/best_drum_classifier.pth --split val
    """
    require("torch", "ml")
    from beatsight.dataset.store import open_dataset
    from beatsight.evaluate import evaluate_model, write_evaluation
    from beatsight.models.checkpoint import load_model
    from beatsight.models.precision import choose_device

    data = open_dataset(dataset)
    with progress_bar("Evaluating") as progress:
        result = evaluate_model(load_model(model, choose_device(device)), data, split, progress)
    paths = write_evaluation(result, data, output)
    answer = result.to_dict()
    if as_json:
        say(True, {**answer, "files": [str(path) for path in paths]}, "")
        return
    table = Table(title=f"{model} on {split}: {len(result.rows)} moments")
    for column in ("class", "precision", "recall", "F1", "support", "threshold"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for label, row in answer["per_class"].items():
        figures = [f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
        table.add_row(label, *figures, str(row["support"]), f"{row['threshold']:.2f}")
    for name in ("macro", "micro"):
        figures = [f"{answer[f'{name}_{rate}']:.3f}" for rate in ("precision", "recall", "f1")]
        table.add_row(name, *figures, "", "", style="bold")
    Console().print(table)
    note(f"wrote {', '.join(str(path) for path in paths)}")
