"""The networks there are, by the names that settings and model files know them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.compact import CompactClassifier, CompactConfig

Network = DrumClassifierCNN | CompactClassifier
NetworkConfig = ClassifierConfig | CompactConfig
# Name in model files -> (settings, network).
ARCHITECTURES: dict[str, tuple[type[Any], type[Any]]] = {
    "DrumClassifierCNN": (ClassifierConfig, DrumClassifierCNN),
    "CompactClassifier": (CompactConfig, CompactClassifier),
}


def make_network(
    name: str, classes: int, dropout: float, heads: Sequence[str], features: FeatureConfig
) -> Network:
    """A new network.

    Args:
        name: ``cnn`` or ``compact``.
        classes: labels scored.
        dropout: before the last layer.
        heads: what is estimated beside the labels.
        features: the clips it will see.

    Raises:
        InputError: no such network, or settings it cannot have.
    """
    if name == "cnn":
        return DrumClassifierCNN(ClassifierConfig(classes=classes, dropout=dropout, heads=tuple(heads)))
    if name == "compact":
        return CompactClassifier(
            CompactConfig(
                classes=classes, mels=features.n_mels, frames=features.frames, dropout=dropout,
                heads=tuple(heads),
            )
        )  # fmt: skip
    raise InputError(f"unknown network {name!r}; known: cnn, compact")


def config_of(architecture: str, values: Mapping[str, Any]) -> NetworkConfig:
    """The settings of a network as a model file has them: lists for tuples, ``heads`` absent in old files.

    Raises:
        KeyError: no such architecture.
        InputError, TypeError: settings that make no sense.
    """
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return ARCHITECTURES[architecture][0](**plain)


def network_of(config: NetworkConfig) -> Network:
    """A new network of these settings."""
    return next(network for kind, network in ARCHITECTURES.values() if isinstance(config, kind))(config)
