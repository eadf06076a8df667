"""``beatsight train``: train the drum classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from beatsight.cli import train_options as options
from beatsight.cli.console import note, progress_bar, say
from beatsight.errors import UsageError, require
from beatsight.files import write_bytes

if TYPE_CHECKING:
    from beatsight.dataset.store import Dataset
    from beatsight.train.config import TrainConfig
    from beatsight.train.loop import TrainResult
    from beatsight.train.state import EpochResult
    from beatsight.train.tracking import Tracker

app = typer.Typer(add_completion=False)


@app.command()
def train(
    context: typer.Context,
    dataset: Annotated[Path, typer.Option("--dataset", help="Dataset folder.")] = Path("dataset"),
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for checkpoints.")] = Path("models"),
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML run file; flags given here win over it.")
    ] = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    lr: options.LearningRate = None,
    schedule: options.Schedule = None,
    warmup: options.Warmup = None,
    weight_decay: options.WeightDecay = None,
    gradient_clip: options.GradientClip = None,
    network: options.NetworkName = None,
    dropout: options.Dropout = None,
    heads: options.Heads = None,
    loss: options.LossName = None,
    class_weights: options.ClassWeights = None,
    label_smoothing: options.LabelSmoothing = None,
    ema: options.Ema = None,
    patience: options.Patience = None,
    seed: options.Seed = None,
    device: options.Device = None,
    precision: options.Precision = None,
    compile: options.Compile = None,
    init_from: options.InitFrom = None,
    freeze: options.Freeze = None,
    sampling_weights: options.SamplingWeights = None,
    background: options.Background = None,
    augment: options.Augment = None,
    resume: options.Resume = False,
    metrics_json: options.MetricsJson = None,
    wandb_project: options.WandbProject = None,
    wandb_entity: options.WandbEntity = None,
    wandb_tags: options.WandbTags = None,
    wandb_mode: options.WandbMode = None,
    tensorboard: options.TensorBoard = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Train the drum classifier; the best epoch becomes models/best_drum_classifier.pth.

    Example: beatsight train --dataset dataset --epochs 50

    Example: beatsight train --dataset dataset --lr 0.0001 --epochs 75 --device cpu

    Example: beatsight train --init-from old.pth --freeze conv1,conv2 --lr 0.0001
    """
    require("torch", "ml")
    from beatsight.dataset.store import open_dataset
    from beatsight.train.processes import StoppedElsewhereError, is_first, one_voice

    if wandb_project is None and (wandb_entity or wandb_tags or wandb_mode):
        raise UsageError("--wandb-entity, --wandb-tags and --wandb-mode need --wandb-project")
    try:
        with one_voice():
            run = _settings(context.params)
            data = open_dataset(dataset)
            if is_first():
                _remarks(data)
            trackers = _trackers(context.params, run) if is_first() else []
            result = _trained(data, run, output, resume, trackers)
            answer = _answer(result, run)
            if is_first() and metrics_json:
                write_bytes(metrics_json, msgspec.json.format(msgspec.json.encode(answer), indent=2))
            for tracker in trackers:
                # Last of all: an upload that fails must not cost the metrics file.
                tracker.finish([result.best_path, result.final_path])
            if is_first():
                say(as_json, answer, _sentence(result))
    except StoppedElsewhereError as error:
        # The process that failed first has printed its sentence.
        raise typer.Exit(error.exit_code) from error


def _settings(given: Mapping[str, Any]) -> TrainConfig:
    """The run file's settings, the flags that were given over them, the defaults below."""
    from beatsight.dataset.augment import AugmentConfig
    from beatsight.train.config import TrainConfig, read_config

    settings: dict[str, Any] = read_config(given["config"]) if given["config"] else {}
    for item in fields(TrainConfig):
        value = given[item.name]
        if item.name == "augment" or value is None:
            continue
        if isinstance(value, (list, tuple)):
            if not value:
                continue
            # Several after one name, or one after several, or set apart by commas.
            value = tuple(name for text in value for name in text.split(",") if name)
        settings[item.name] = str(value) if isinstance(value, Path) else value
    run = TrainConfig(**settings)
    if given["augment"] is False:
        return replace(run, augment=None)
    return replace(run, augment=AugmentConfig()) if given["augment"] and run.augment is None else run


def _remarks(data: Dataset) -> None:
    if not data.metadata.moments["val"]:
        note("nothing is held out for validation (one session?): the last epoch is kept as the best")
    if data.metadata.untrained_labels:
        note(f"no training example of: {', '.join(data.metadata.untrained_labels)}")


def _trackers(given: Mapping[str, Any], run: TrainConfig) -> list[Tracker]:
    from beatsight.train.tracking import TensorBoardRun, WandbRun

    trackers: list[Tracker] = []
    if given["wandb_project"]:
        trackers.append(
            WandbRun(
                given["wandb_project"], given["wandb_entity"], given["wandb_tags"] or [], given["wandb_mode"],
                run.to_dict(), output=given["output"], resume=given["resume"],
            )
        )  # fmt: skip
    if given["tensorboard"]:
        trackers.append(TensorBoardRun(given["tensorboard"]))
    return trackers


def _trained(
    data: Dataset, run: TrainConfig, output: Path, resume: bool, trackers: Sequence[Tracker]
) -> TrainResult:
    from beatsight.train.loop import train_classifier

    with progress_bar("Training") as progress:

        def each_epoch(result: EpochResult) -> None:
            note(_line(result, run.epochs))
            for tracker in trackers:
                tracker.log(result)

        return train_classifier(
            data, output, run, resume=resume, on_epoch=each_epoch, on_step=progress, on_note=note
        )


def _answer(result: TrainResult, run: TrainConfig) -> dict[str, Any]:
    return {
        "best_model": str(result.best_path),
        "final_model": str(result.final_path),
        "best_epoch": result.best_epoch,
        "best": msgspec.to_builtins(result.history[result.best_epoch - 1]),
        "config": run.to_dict(),
        "history": msgspec.to_builtins(result.history),
    }


def _sentence(result: TrainResult) -> str:
    best = result.history[result.best_epoch - 1]
    reached = "" if best.val_macro_f1 is None else f", macro F1 {best.val_macro_f1:.3f} on validation"
    return f"Wrote {result.best_path} (epoch {result.best_epoch}{reached})."


def _line(result: EpochResult, epochs: int) -> str:
    parts = [f"epoch {result.epoch}/{epochs}", f"loss {result.train_loss:.4f}"]
    if result.val_loss is not None:
        parts += [f"val loss {result.val_loss:.4f}", f"macro F1 {result.val_macro_f1:.3f}"]
    return "  ".join([*parts, f"{result.clips_per_s:.0f} clips/s"])
