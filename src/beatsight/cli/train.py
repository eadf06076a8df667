"""``beatsight train``: train the drum classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import UsageError, require
from beatsight.files import write_bytes

app = typer.Typer(add_completion=False)


@app.command()
def train(
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder.")] = Path("dataset"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for checkpoints.")] = Path("models"),
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML run file; flags given here win over it.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the data.  [50]")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size", help="Clips a step.  [32]")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.  [0.001]")] = None,
    dropout: Annotated[float | None, typer.Option("--dropout", help="Of the last layer.  [0.3]")] = None,
    patience: Annotated[
        int | None, typer.Option("--patience", help="Epochs without gain before stopping; 0: never.  [10]")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of everything random.  [0]")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.  [auto]")] = None,
    precision: Annotated[str | None, typer.Option("--precision", help="auto, fp32 or bf16.  [auto]")] = None,
    sampling_weights: Annotated[
        Path | None,
        typer.Option("--sampling-weights", help="Draw moments by this file of weights per session or file."),
    ] = None,
    augment: Annotated[bool, typer.Option("--augment/--no-augment", help="Vary the training clips.")] = True,
    metrics_json: Annotated[
        Path | None, typer.Option("--metrics-json", help="Write the run's metrics to this file.")
    ] = None,
    wandb_project: Annotated[
        str | None, typer.Option("--wandb-project", help="Log the run to this Weights & Biases project.")
    ] = None,
    wandb_entity: Annotated[str | None, typer.Option("--wandb-entity", help="Its team.")] = None,
    wandb_tags: Annotated[
        list[str] | None, typer.Option("--wandb-tags", help="Tags: --wandb-tags prod retrain")
    ] = None,
    wandb_mode: Annotated[
        str | None, typer.Option("--wandb-mode", help="online, offline or disabled.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Train the drum classifier; the best epoch becomes models/best_drum_classifier.pth.

    Example: beatsight train --dataset dataset --epochs 50

    Example: beatsight train --dataset dataset --lr 0.0001 --epochs 75 --device cpu
    """
    require("torch", "ml")
    from beatsight.dataset.store import open_dataset
    from beatsight.train.config import TrainConfig, read_config
    from beatsight.train.loop import EpochResult, train_classifier
    from beatsight.train.tracking import WandbRun

    if wandb_project is None and (wandb_entity or wandb_tags or wandb_mode):
        raise UsageError("--wandb-entity, --wandb-tags and --wandb-mode need --wandb-project")
    given = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "dropout": dropout, "patience": patience,
        "seed": seed, "device": device, "precision": precision,
        "sampling_weights": None if sampling_weights is None else str(sampling_weights),
    }  # fmt: skip
    settings: dict[str, Any] = read_config(config) if config else {}
    run = TrainConfig(**(settings | {name: value for name, value in given.items() if value is not None}))
    if not augment:
        run = replace(run, augment=None)
    data = open_dataset(dataset)
    if not data.metadata.moments["val"]:
        note("nothing is held out for validation (one session?): the last epoch is kept as the best")
    if data.metadata.untrained_labels:
        note(f"no training example of: {', '.join(data.metadata.untrained_labels)}")
    tracker = None
    if wandb_project:
        tracker = WandbRun(wandb_project, wandb_entity, wandb_tags or [], wandb_mode, run.to_dict())
    with progress_bar("Training") as progress:

        def each_epoch(result: EpochResult) -> None:
            note(_line(result, run.epochs))
            if tracker:
                tracker.log(result)

        result = train_classifier(data, output, run, on_epoch=each_epoch, on_step=progress, on_note=note)
    best = result.history[result.best_epoch - 1]
    answer = {
        "best_model": str(result.best_path),
        "final_model": str(result.final_path),
        "best_epoch": result.best_epoch,
        "best": msgspec.to_builtins(best),
        "config": run.to_dict(),
        "history": msgspec.to_builtins(result.history),
    }
    if metrics_json:
        write_bytes(metrics_json, msgspec.json.format(msgspec.json.encode(answer), indent=2))
    if tracker:
        # Last of all: an upload that fails must not cost the metrics file.
        tracker.finish([result.best_path, result.final_path])
    reached = "" if best.val_macro_f1 is None else f", macro F1 {best.val_macro_f1:.3f} on validation"
    say(as_json, answer, f"Wrote {result.best_path} (epoch {result.best_epoch}{reached}).")


def _line(result: Any, epochs: int) -> str:
    parts = [f"epoch {result.epoch}/{epochs}", f"loss {result.train_loss:.4f}"]
    if result.val_loss is not None:
        parts += [f"val loss {result.val_loss:.4f}", f"macro F1 {result.val_macro_f1:.3f}"]
    return "  ".join([*parts, f"{result.clips_per_s:.0f} clips/s"])
