"""The training loop, top to bottom: draw, forward, loss, step; validate; keep the best.

Writes into the output folder:

    best_drum_classifier.pth    the epoch with the lowest loss on validation
    final_drum_classifier.pth   the last epoch
    history.jsonl               one line an epoch
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.sampling import read_weights, row_weights
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.files import sha256_file, write_bytes
from beatsight.metrics import multilabel_report
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.precision import autocast, choose_device
from beatsight.train.config import TrainConfig
from beatsight.train.thresholds import fit_thresholds, song_weights

BEST_NAME, FINAL_NAME = "best_drum_classifier.pth", "final_drum_classifier.pth"
_WARMUP_SHARE = 0.05
_MAX_GRADIENT_NORM = 1.0
_VALIDATION_BATCH = 64


class EpochResult(msgspec.Struct, kw_only=True):
    """One line of history.jsonl; validation fields are None when nothing is held out."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_macro_f1: float | None
    val_micro_f1: float | None
    lr: float
    seconds: float
    clips_per_s: float


@dataclass(frozen=True)
class TrainResult:
    """What a run gave: the best model, where it lies, and the history."""

    model: Model
    best_path: Path
    final_path: Path
    history: list[EpochResult]
    best_epoch: int


OnEpoch = Callable[[EpochResult], None]
OnStep = Callable[[int, int], None]
OnNote = Callable[[str], None]


def train_classifier(
    dataset: Dataset,
    output: str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    features: FeatureConfig | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> TrainResult:
    """Train the drum classifier on a dataset's ``train`` split, choosing the epoch by its ``val`` split.

    Args:
        dataset: opened dataset folder.
        output: folder for the checkpoints.
        config: the run's settings.
        features: settings of the clips.
        on_epoch: called after each epoch.
        on_step: called with (steps done, steps in all).
        on_note: called, before the first epoch, with each remark on the data.

    Raises:
        InputError: nothing to train on, sampling weights that do not fit, or a loss that is not finite (the
            batch is named).
    """
    config, features, output = config or TrainConfig(), features or FeatureConfig(), Path(output)
    device = choose_device(config.device)
    torch.manual_seed(config.seed)
    network = DrumClassifierCNN(ClassifierConfig(classes=len(dataset.labels), dropout=config.dropout))
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model = Model(network, features, dataset.labels)
    if not len(dataset.rows("train")):
        raise InputError(f"{dataset.root}: the training split is empty")
    weights, sampling = _sampling(dataset, config)
    batches = Batches(
        dataset, "train", features, augment=config.augment, device=device, seed=config.seed, weights=weights
    )
    for remark in sampling.get("notes", []):
        if on_note:
            on_note(remark)
    validation = validation_batches(dataset, features, config, device)

    steps_per_epoch = max(1, round(len(batches) / config.batch_size))
    steps = steps_per_epoch * config.epochs
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, steps))
    history: list[EpochResult] = []
    best_score, best_epoch = -math.inf, 0
    for epoch in range(1, config.epochs + 1):
        started, total_loss = time.perf_counter(), 0.0
        network.train()
        for index, batch in enumerate(batches.sampled(config.batch_size, steps_per_epoch), start=1):
            loss = classification_loss(network, batch.features, batch.labels, device, config.precision)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise InputError(
                    f"training stopped: the loss is {value} in epoch {epoch}, batch {index} "
                    f"(dataset rows {', '.join(map(str, batch.rows[:8]))} …); lower --lr or check these clips"
                )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            total_loss += value
            if on_step:
                on_step((epoch - 1) * steps_per_epoch + index, steps)
        elapsed = time.perf_counter() - started
        score = _validate(model, validation, device, config)
        result = EpochResult(
            epoch=epoch,
            train_loss=total_loss / steps_per_epoch,
            val_loss=score.get("loss"),
            val_macro_f1=score.get("macro_f1"),
            val_micro_f1=score.get("micro_f1"),
            lr=optimizer.param_groups[0]["lr"],
            seconds=elapsed,
            clips_per_s=steps_per_epoch * config.batch_size / elapsed,
        )
        history.append(result)
        write_bytes(output / "history.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in history))
        # By loss, not F1: it also hears the classes that validation lacks. Without a validation split there
        # is nothing to choose by, and the latest epoch is the best.
        reached = -result.val_loss if result.val_loss is not None else float(epoch)
        model.training = _summary(dataset, config, history, best_epoch, sampling)
        if reached > best_score:
            best_score, best_epoch = reached, epoch
            model.training = _summary(dataset, config, history, best_epoch, sampling)
            save_model(model, output / BEST_NAME)
        save_model(model, output / FINAL_NAME)
        if on_epoch:
            on_epoch(result)
        if config.patience and epoch - best_epoch >= config.patience and result.val_loss is not None:
            break
    best = load_model(output / BEST_NAME, device)
    return TrainResult(best, output / BEST_NAME, output / FINAL_NAME, history, best_epoch)


def _sampling(dataset: Dataset, config: TrainConfig) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Row weights of the training split from the file of sampling weights, and what to record of it."""
    if not config.sampling_weights:
        return None, {}
    file = read_weights(config.sampling_weights)
    weights, notes = row_weights(dataset, dataset.rows("train"), file)
    return weights, {
        "group_field": file.parameters.group_field,
        "sha256": sha256_file(config.sampling_weights),
        "moments_drawn_from": int(np.count_nonzero(weights)),
        "notes": notes,
    }


def classification_loss(
    network: nn.Module, features: Tensor, labels: Tensor, device: torch.device, precision: str
) -> Tensor:
    """Binary cross-entropy of each class, averaged; features (n, mels, frames), labels (n, classes)."""
    image = features.unsqueeze(1).to(memory_format=torch.channels_last)
    with autocast(device, precision):
        logits = network(image)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)


def validation_batches(
    dataset: Dataset, features: FeatureConfig, config: TrainConfig, device: torch.device
) -> Batches | None:
    """The validation split: songs as they are, one-shots mixed as in training (thresholds fit mixtures)."""
    rows = dataset.rows("val")
    if not len(rows):
        return None
    augment = config.augment if dataset.moments.isolated[rows].mean() > 0.5 else None
    return Batches(dataset, "val", features, augment=augment, device=device, seed=config.seed + 1)


def _learning_rate(step: int, steps: int) -> float:
    """Factor of the peak rate: linear warm-up, then half a cosine down to zero."""
    warmup = max(1, round(_WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _validate(
    model: Model, validation: Batches | None, device: torch.device, config: TrainConfig
) -> dict[str, float]:
    """Loss and F1 on validation; fits the model's thresholds on the way."""
    if validation is None:
        return {}
    # The same mixtures every epoch, so that epochs can be compared.
    validation.random = np.random.default_rng(config.seed + 1)
    model.network.eval()
    scores, truth, losses = [], [], []
    with torch.inference_mode():
        for batch in validation.in_order(_VALIDATION_BATCH):
            loss = classification_loss(model.network, batch.features, batch.labels, device, config.precision)
            losses.append(float(loss) * len(batch.labels))
            image = batch.features.unsqueeze(1).to(memory_format=torch.channels_last)
            with autocast(device, config.precision):
                logits = model.network(image)
            scores.append(logits.float().sigmoid().cpu().numpy())
            truth.append(batch.labels.cpu().numpy() > 0.5)
    table, targets = np.concatenate(scores), np.concatenate(truth)
    one_shots = validation.augment is not None
    model.thresholds = fit_thresholds(
        targets, table, song_weights(targets, model.labels) if one_shots else None
    )
    report = multilabel_report(targets, table >= model.thresholds)
    present = report.support > 0
    return {
        "loss": sum(losses) / len(targets),
        "macro_f1": float(report.f1[present].mean()) if present.any() else 0.0,
        "micro_f1": float(report.micro.f1),
    }


def _summary(
    dataset: Dataset,
    config: TrainConfig,
    history: list[EpochResult],
    best_epoch: int,
    sampling: dict[str, Any],
) -> dict[str, Any]:
    """What the checkpoint says of its run: plain values only."""
    return {
        "config": config.to_dict(),
        "epochs_done": len(history),
        "best_epoch": best_epoch,
        "last": msgspec.to_builtins(history[-1]),
        "moments": dict(dataset.metadata.moments),
        "label_counts": dict(dataset.metadata.label_counts["train"]),
        "sessions": {name: len(members) for name, members in dataset.metadata.sessions.items()},
        "untrained_labels": list(dataset.metadata.untrained_labels),
        "sampling": sampling,
    }
