"""What a run is made of before its first step: network, batches, loss, and what to tell about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.sampling import read_weights, row_weights
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.files import sha256_file
from beatsight.models.checkpoint import Model
from beatsight.models.compact import CompactClassifier
from beatsight.models.networks import make_network
from beatsight.models.precision import autocast
from beatsight.train.background import read_background
from beatsight.train.config import TrainConfig
from beatsight.train.losses import Loss, balanced_weights
from beatsight.train.start import freeze, network_name, take_weights
from beatsight.train.state import Identity, Progress


@dataclass
class Setup:
    """A run before its first step.

    Attributes:
        dataset: what it learns from.
        config: its settings.
        device: where it computes.
        model: the network with its features and labels.
        batches: training clips.
        validation: held-out clips, or None.
        loss: how a batch is judged.
        frozen: modules that are not trained.
        sampling: what is recorded of the sampling weights.
        background: checksum of what is laid under the clips; empty for nothing.
        notes: remarks for the person who started it.
    """

    dataset: Dataset
    config: TrainConfig
    device: torch.device
    model: Model
    batches: Batches
    validation: Batches | None
    loss: Loss
    frozen: list[nn.Module]
    sampling: dict[str, Any] = field(default_factory=dict)
    background: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def precision(self) -> str:
        """The precision to compute in: on a CPU, 16 bits slow the compact network's small layers down."""
        small = self.device.type == "cpu" and isinstance(self.model.network, CompactClassifier)
        return "fp32" if small and self.config.precision == "auto" else self.config.precision


def set_up(dataset: Dataset, config: TrainConfig, features: FeatureConfig, device: torch.device) -> Setup:
    """Everything of a run that follows from its settings.

    Raises:
        InputError: nothing to train on, or a file of the settings that does not fit.
        UsageError: settings that make no sense together.
    """
    rows = dataset.rows("train")
    if not len(rows):
        raise InputError(f"{dataset.root}: the training split is empty")
    if config.background and config.augment is None:
        raise UsageError("--background lays recordings under augmented clips, but augmentation is off")
    autocast(device, config.precision)  # refuses what the device cannot do before anything is read
    torch.manual_seed(config.seed)
    name = network_name(config.init_from) if config.network == "auto" else config.network
    network = make_network(name, len(dataset.labels), config.dropout, config.heads, features)
    notes: list[str] = []
    if config.init_from:
        notes.append(f"{config.init_from}: {take_weights(network, config.init_from).sentence}")
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights, sampling = _sampling(dataset, config)
    notes += sampling.get("notes", [])
    background = read_background(config.background, features, notes) if config.background else None
    batches = Batches(
        dataset, "train", features, augment=config.augment, device=device, seed=config.seed, weights=weights,
        background=background,
    )  # fmt: skip
    validation = validation_batches(dataset, features, config, device)
    if config.schedule == "plateau" and validation is None:
        notes.append("nothing is held out for validation, so --schedule plateau never lowers the rate")
    positive = None
    if config.class_weights == "balanced":
        positive = torch.from_numpy(balanced_weights(dataset.moments.labels[rows])).to(device)
    return Setup(
        dataset=dataset,
        config=config,
        device=device,
        model=Model(network, features, dataset.labels, activation=_activation(config)),
        batches=batches,
        validation=validation,
        loss=Loss(len(dataset.labels), config.heads, config.loss, config.label_smoothing, positive),
        frozen=freeze(network, config.freeze),
        sampling=sampling,
        background="" if background is None else hashlib.sha256(background.tobytes()).hexdigest(),
        notes=notes,
    )


def _activation(config: TrainConfig) -> str:
    return "softmax" if config.loss == "cross_entropy" else "sigmoid"


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


def validation_batches(
    dataset: Dataset, features: FeatureConfig, config: TrainConfig, device: torch.device
) -> Batches | None:
    """The validation split: songs as they are, one-shots mixed as in training (thresholds fit mixtures)."""
    rows = dataset.rows("val")
    if not len(rows):
        return None
    augment = config.augment if dataset.moments.isolated[rows].mean() > 0.5 else None
    return Batches(dataset, "val", features, augment=augment, device=device, seed=config.seed + 1)


def identity_of(setup: Setup) -> Identity:
    """What must be the same for a run to be resumed.

    Not the device and whether it was compiled, which a run may change; and of files their content, not their
    names.
    """
    config = setup.config
    named = ("device", "compile", "init_from", "sampling_weights", "background")
    settings = {name: value for name, value in config.to_dict().items() if name not in named}
    settings["features"] = setup.model.features.to_dict()
    return Identity(
        settings=_flat(settings),
        files={
            "dataset": sha256_file(setup.dataset.root / "metadata.json"),
            "sampling_weights": setup.sampling.get("sha256", ""),
            "init_from": sha256_file(config.init_from) if config.init_from else "",
            "background": setup.background,
        },
    )


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= {f"{name}.{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def summary_of(setup: Setup, progress: Progress) -> dict[str, Any]:
    """What the checkpoint says of its run: plain values only, none that depends on the clock."""
    metadata, timed = setup.dataset.metadata, ("seconds", "clips_per_s")
    last = msgspec.to_builtins(progress.history[-1])
    return {
        "config": setup.config.to_dict(),
        "epochs_done": len(progress.history),
        "best_epoch": progress.best_epoch,
        "last": {name: value for name, value in last.items() if name not in timed},
        "moments": dict(metadata.moments),
        "label_counts": dict(metadata.label_counts["train"]),
        "sessions": {name: len(members) for name, members in metadata.sessions.items()},
        "sources": dict(metadata.duration_seconds_by_source),
        "untrained_labels": list(metadata.untrained_labels),
        "sampling": setup.sampling,
    }
