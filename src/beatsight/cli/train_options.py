"""The options of ``beatsight train``: one a setting of the run, under its name, with its default in brackets.

They are declared here, so that the command itself can be read; an option that is not given is None.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

_NETWORK, _COURSE, _LOSS, _START, _DATA = "Network", "Course", "Loss", "Start", "Data"
_TRACKING = "Tracking"


def _option(flag: str, panel: str, text: str, default: str = "") -> OptionInfo:
    # A bracket alone would be read as markup.
    shown = f"  \\[{default}]" if default else ""
    option: OptionInfo = typer.Option(flag, help=text + shown, rich_help_panel=panel)
    return option


Epochs = Annotated[int | None, _option("--epochs", _COURSE, "Passes over the data.", "50")]
BatchSize = Annotated[int | None, _option("--batch-size", _COURSE, "Clips a step, over all processes.", "32")]
LearningRate = Annotated[float | None, _option("--lr", _COURSE, "Peak learning rate.", "0.001")]
Schedule = Annotated[
    str | None,
    _option("--schedule", _COURSE, "Of the learning rate: cosine, plateau or constant.", "cosine"),
]
Warmup = Annotated[
    float | None, _option("--warmup", _COURSE, "Share of the steps in which the rate rises.", "0.05")
]
WeightDecay = Annotated[float | None, _option("--weight-decay", _COURSE, "AdamW's.", "0.01")]
GradientClip = Annotated[
    float | None, _option("--gradient-clip", _COURSE, "Largest norm of the gradient; 0: any.", "1.0")
]
Ema = Annotated[
    float | None,
    _option("--ema", _COURSE, "Decay a step of a running mean of the weights, such as 0.999; 0: off.", "0.0"),
]
Patience = Annotated[
    int | None, _option("--patience", _COURSE, "Epochs without gain before stopping; 0: never.", "10")
]
Seed = Annotated[int | None, _option("--seed", _COURSE, "Of everything random.", "0")]
Device = Annotated[str | None, _option("--device", _COURSE, "auto, cpu, cuda or cuda:N.", "auto")]
Precision = Annotated[
    str | None, _option("--precision", _COURSE, "auto, fp32, bf16, or fp16 on a GPU.", "auto")
]
Compile = Annotated[
    bool | None,
    _option(
        "--compile/--no-compile", _COURSE, "Let torch compile the network; pays in long runs.", "no-compile"
    ),
]
NetworkName = Annotated[str | None, _option("--network", _NETWORK, "auto, compact or cnn.", "auto")]
Dropout = Annotated[float | None, _option("--dropout", _NETWORK, "Of the last layer.", "0.3")]
Heads = Annotated[
    list[str] | None,
    _option("--heads", _NETWORK, "Estimated beside the labels: velocity, openness or both.", "none"),
]
LossName = Annotated[
    str | None,
    _option("--loss", _LOSS, "bce: classes by themselves; cross_entropy: they share one certainty.", "bce"),
]
ClassWeights = Annotated[
    str | None,
    _option("--class-weights", _LOSS, "none, or balanced: hits of rare classes count more.", "none"),
]
LabelSmoothing = Annotated[
    float | None,
    _option("--label-smoothing", _LOSS, "How far targets are drawn from 0 and 1, below 0.5.", "0.0"),
]
InitFrom = Annotated[
    Path | None,
    _option("--init-from", _START, "Model file whose weights are taken over where they fit.", "none"),
]
Freeze = Annotated[
    list[str] | None,
    _option("--freeze", _START, "Parts of the network that stay as they are: stem,block1.", "none"),
]
Resume = Annotated[bool, _option("--resume", _START, "Go on where the run in the output folder was stopped.")]
SamplingWeights = Annotated[
    Path | None,
    _option("--sampling-weights", _DATA, "Draw moments by this file of weights a session or file.", "none"),
]
Background = Annotated[
    Path | None,
    _option("--background", _DATA, "Folder of recordings without drums, laid under clips.", "none"),
]
Augment = Annotated[
    bool | None, _option("--augment/--no-augment", _DATA, "Vary the training clips.", "augment")
]
MetricsJson = Annotated[
    Path | None, _option("--metrics-json", _TRACKING, "Write the run's metrics to this file.")
]
WandbProject = Annotated[
    str | None, _option("--wandb-project", _TRACKING, "Log the run to this Weights & Biases project.")
]
WandbEntity = Annotated[str | None, _option("--wandb-entity", _TRACKING, "Its team.")]
WandbTags = Annotated[list[str] | None, _option("--wandb-tags", _TRACKING, "Tags: --wandb-tags prod retrain")]
WandbMode = Annotated[str | None, _option("--wandb-mode", _TRACKING, "online, offline or disabled.")]
TensorBoard = Annotated[
    Path | None, _option("--tensorboard", _TRACKING, "Write curves for TensorBoard to this folder.")
]
