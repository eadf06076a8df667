"""A trained network with all that is needed to use it, and what it says of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beatsight import taxonomy
from beatsight.audio.features import FeatureConfig, clip_features
from beatsight.models.heads import take_apart
from beatsight.models.networks import Network

DEFAULT_THRESHOLD = 0.5


@dataclass
class Model:
    """A network with everything that is needed to use it.

    Attributes:
        network: in evaluation mode after loading.
        features: how its clips are made.
        labels: class names, in the order of its scores.
        thresholds: per class, a score from which the class counts as present.
        activation: ``sigmoid`` (classes independent) or ``softmax`` (one class a clip).
        training: summary of the run that made it.
    """

    network: Network
    features: FeatureConfig = field(default_factory=FeatureConfig)
    labels: tuple[str, ...] = taxonomy.CLASSIFIER
    thresholds: np.ndarray = field(
        default_factory=lambda: np.full(len(taxonomy.CLASSIFIER), DEFAULT_THRESHOLD)
    )
    activation: str = "sigmoid"
    calibration: dict[str, float] = field(default_factory=lambda: {"temperature": 1.0})
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    def scores(self, clips: Tensor) -> Tensor:
        """Class scores 0..1, shape (n, classes), of audio clips (n, ``features.clip_samples``)."""
        return self.hear(clips).scores

    def scores_of_features(self, features: Tensor) -> Tensor:
        """Class scores 0..1, shape (n, classes), of clip features (n, mels, frames)."""
        return self.hear_features(features).scores

    def hear(self, clips: Tensor) -> Heard:
        """Everything the network says of audio clips (n, ``features.clip_samples``)."""
        return self.hear_features(clip_features(clips.to(self.device), self.features))

    def hear_features(self, features: Tensor) -> Heard:
        """Everything the network says of clip features (n, mels, frames)."""
        with torch.inference_mode():
            image = features.unsqueeze(1).to(memory_format=torch.channels_last)
            return self.say(self.network(image))

    def say(self, logits: Tensor) -> Heard:
        """What logits (n, columns) of the network mean: temperature and activation applied."""
        parts = take_apart(logits.float(), len(self.labels), self.network.config.heads)
        divided = parts.labels / self.calibration["temperature"]
        return Heard(
            divided.softmax(-1) if self.activation == "softmax" else divided.sigmoid(),
            None if parts.velocity is None else parts.velocity.sigmoid(),
            None if parts.openness is None else parts.openness.sigmoid(),
        )


@dataclass(frozen=True)
class Heard:
    """What a model says of n clips, all 0..1.

    Attributes:
        scores: (n, classes).
        velocity: (n, classes), of each label if it sounds; None without that head.
        openness: (n,), of a hi-hat if one sounds; None without that head.
    """

    scores: Tensor
    velocity: Tensor | None
    openness: Tensor | None
