"""The model file ``.pth``: one dictionary of tensors and plain values, loaded without running code.

Keys: ``format``, ``format_version``, ``architecture``, ``config``, ``features``, ``vocabulary``, ``labels``,
``taxonomy_digest``, ``activation`` (sigmoid or softmax), ``thresholds`` per label, ``calibration``,
``training`` (a summary), ``program_version``, ``weights``. Files are read with ``weights_only=True``; one
that holds anything else, another taxonomy or other shapes is refused. A bare state dict of the 12-class
network loads too, with a warning: it says nothing of its labels, features or thresholds.
"""

from __future__ import annotations

import os
import pickle
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from beatsight import taxonomy
from beatsight.audio.features import FeatureConfig, clip_features
from beatsight.errors import InputError
from beatsight.files import atomic_path
from beatsight.models.classifier import DrumClassifierCNN
from beatsight.models.heads import take_apart
from beatsight.models.networks import ARCHITECTURES, Network, NetworkConfig, config_of, network_of
from beatsight.version import VERSION

FORMAT = "beatsight-model"
FORMAT_VERSION = 1
DEFAULT_THRESHOLD = 0.5
_ACTIVATIONS = ("sigmoid", "softmax")


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
            parts = take_apart(self.network(image).float(), len(self.labels), self.network.config.heads)
            logits = parts.labels / self.calibration["temperature"]
            scores = logits.softmax(-1) if self.activation == "softmax" else logits.sigmoid()
            return Heard(
                scores,
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


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file, aside and renamed."""
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "program_version": VERSION,
        "architecture": type(model.network).__name__,
        "config": model.network.config.to_dict(),
        "features": model.features.to_dict(),
        "vocabulary": "classifier",
        "labels": list(model.labels),
        "taxonomy_digest": taxonomy.digest(),
        "activation": model.activation,
        "thresholds": {
            label: float(value) for label, value in zip(model.labels, model.thresholds, strict=True)
        },
        "calibration": model.calibration,
        "training": model.training,
        "weights": {
            name: value.detach().cpu().contiguous() for name, value in model.network.state_dict().items()
        },
    }
    # Through a stream: given a path, torch writes the (temporary) file name into the archive.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(content, stream)


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Model:
    """Read a model file.

    Raises:
        InputError: missing, truncated, not a model, holds code, or does not fit this program.
    """
    path = Path(path)
    content = _read(path)
    if content.get("format") == FORMAT:
        model = _from_content(content, path)
    elif all(isinstance(value, Tensor) for value in content.values()):
        model = _from_bare(content, path)
    else:
        raise InputError(f"{path}: is not a beatsight model file")
    model.network.to(device=torch.device(device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.network.eval()
    return model


def _read(path: Path) -> dict[str, Any]:
    """What a model file holds, without running anything in it."""
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: is not a model file, or holds code that will not be run") from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        # Everything that damaged bytes were seen to raise in torch's reader.
        raise InputError(f"{path}: is damaged or not a model file") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: is not a model file (it holds no dictionary)")
    return content


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The weights of a model file or bare state dict, whatever network they belong to.

    Raises:
        InputError: missing, truncated, or holds anything but tensors by name.
    """
    content = _read(Path(path))
    weights = content.get("weights") if content.get("format") == FORMAT else content
    named = isinstance(weights, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    )
    if not named or not weights:
        raise InputError(f"{path}: holds no weights by name")
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"{path}: the weights of {name} are not all finite numbers")
    return weights


def _from_content(content: dict[str, Any], path: Path) -> Model:
    if content.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: model format {content.get('format_version')}, this program reads {FORMAT_VERSION}"
        )
    if content.get("taxonomy_digest") != taxonomy.digest():
        raise InputError(f"{path}: was trained with another label taxonomy than this program's")
    if content.get("architecture") not in ARCHITECTURES:
        raise InputError(f"{path}: unknown architecture {content.get('architecture')!r}")
    try:
        config = config_of(content["architecture"], content["config"])
        features = FeatureConfig(**content["features"])
        labels = tuple(content["labels"])
        thresholds = np.array([float(content["thresholds"][label]) for label in labels])
        calibration = {"temperature": float(content["calibration"]["temperature"])}
        activation, training, weights = content["activation"], content["training"], content["weights"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: the model file lacks or misstates {error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if (
        activation not in _ACTIVATIONS
        or len(labels) != config.classes
        or len(set(labels)) != len(labels)
        or not set(labels) <= set(taxonomy.CLASSIFIER)
    ):
        raise InputError(f"{path}: labels, classes and activation of the model file do not fit together")
    if not (np.isfinite(thresholds).all() and 0.0 < calibration["temperature"] < np.inf):
        raise InputError(f"{path}: a threshold or the temperature of the model file is not a usable number")
    if not isinstance(training, dict):
        raise InputError(f"{path}: the training summary of the model file is not a dictionary")
    _check_shapes(config, weights, path)
    network = network_of(config)
    _load_weights(network, weights, path)
    return Model(network, features, labels, thresholds, activation, calibration, training)


def _from_bare(state: dict[str, Tensor], path: Path) -> Model:
    """A state dict without its story: matched by shape in order, for layer names differ between programs."""
    network = DrumClassifierCNN()
    own = network.state_dict()
    if [tuple(value.shape) for value in state.values()] != [tuple(value.shape) for value in own.values()]:
        raise InputError(f"{path}: is a bare state dict that does not fit the 12-class DrumClassifierCNN")
    _load_weights(network, dict(zip(own, state.values(), strict=True)), path)
    warnings.warn(
        f"{path}: is a bare state dict; its labels, features and thresholds are assumed to be the defaults",
        stacklevel=3,
    )
    return Model(network, activation="softmax")


def _check_shapes(config: NetworkConfig, weights: Any, path: Path) -> None:
    """Compare shapes before any memory is taken: a damaged config may ask for a network of any size."""
    try:
        with torch.device("meta"):
            expected = {name: value.shape for name, value in network_of(config).state_dict().items()}
        fits = {name: value.shape for name, value in weights.items()} == expected
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the weights do not fit the network they are stored with") from error
    if not fits:
        raise InputError(f"{path}: the weights do not fit the network they are stored with")


def _load_weights(network: nn.Module, weights: Any, path: Path) -> None:
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: the weights do not fit the network they are stored with") from error
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(f"{path}: the weights of {name} are not all finite numbers")
