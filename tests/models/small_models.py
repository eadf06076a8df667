"""Small models of both networks with every setting away from its default, and clips to show them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from beatsight.models.checkpoint import Model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.compact import CompactClassifier, CompactConfig
from beatsight.models.networks import Network
from tiny_dataset import TINY_FEATURES

BOTH_HEADS = ("velocity", "openness")
NETWORKS = ("cnn", "compact")


def small_network(kind: str, heads: tuple[str, ...] = ()) -> Network:
    if kind == "cnn":
        return DrumClassifierCNN(ClassifierConfig(channels=(2, 3, 4, 5), heads=heads))
    return CompactClassifier(CompactConfig(mels=16, frames=16, width=3, heads=heads))


def small_model(kind: str = "cnn", heads: tuple[str, ...] = (), seed: int = 0) -> Model:
    """A model whose scores differ widely from clip to clip, and whose batch statistics are not 0 and 1."""
    torch.manual_seed(seed)
    network = small_network(kind, heads)
    network.train()
    with torch.no_grad():
        for _ in range(30):
            network(torch.rand(8, 1, 16, 16))
        network.fc.weight *= 20.0
    return Model(
        network.eval(),
        features=TINY_FEATURES,
        thresholds=np.linspace(0.2, 0.8, 12),
        calibration={"temperature": 1.5},
        training={"best_epoch": 3, "sessions": {"train": 2}},
    )


def some_clips(count: int, seed: int = 0) -> torch.Tensor:
    """Audio of bursts and tones, float32, (count, samples)."""
    rng = np.random.default_rng(seed)
    time = np.arange(TINY_FEATURES.clip_samples)
    noise = rng.standard_normal((count, len(time)))
    tone = np.sin(rng.uniform(0.01, 1.0, (count, 1)) * time)
    decay = np.exp(-time / rng.uniform(100, 2000, (count, 1)))
    return torch.from_numpy(((noise * rng.random((count, 1)) + tone) * decay).astype(np.float32))


def content(path: Path) -> dict[str, Any]:
    """What a model file holds."""
    return torch.load(path, weights_only=True)
