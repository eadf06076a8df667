"""The networks there are, by the names that settings and model files know them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError
from beatsight.models.classifier import LEAST_SIDE, ClassifierConfig, DrumClassifierCNN
from beatsight.models.compact import CompactClassifier, CompactConfig

Network = DrumClassifierCNN | CompactClassifier
NetworkConfig = ClassifierConfig | CompactConfig
Settings = TypeVar("Settings")
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
    config: NetworkConfig
    if name == "cnn":
        config = ClassifierConfig(classes=classes, dropout=dropout, heads=tuple(heads))
    elif name == "compact":
        config = CompactConfig(
            classes=classes, mels=features.n_mels, frames=features.frames, dropout=dropout, heads=tuple(heads)
        )
    else:
        raise InputError(f"unknown network {name!r}; known: cnn, compact")
    check_clips(config, features)
    return network_of(config)


def check_clips(config: NetworkConfig, features: FeatureConfig) -> None:
    """Refuse features whose clips the network cannot take.

    Raises:
        InputError: clips of another size than the network is made for, or too small for it.
    """
    size = (features.n_mels, features.frames)
    if isinstance(config, CompactConfig) and size != (config.mels, config.frames):
        raise InputError(
            f"the network takes clips of {config.mels} bands and {config.frames} frames, "
            f"the features give {size[0]} and {size[1]}"
        )
    if isinstance(config, ClassifierConfig) and min(size) < LEAST_SIDE:
        raise InputError(
            f"the classifier needs clips of at least {LEAST_SIDE} bands and frames, "
            f"the features give {size[0]} and {size[1]}"
        )


def config_of(architecture: str, values: Mapping[str, Any]) -> NetworkConfig:
    """The settings of a network as a model file has them: lists for tuples, ``heads`` absent in old files.

    Raises:
        InputError: no such architecture, an unknown setting, one of another type or that makes no sense.
    """
    if architecture not in ARCHITECTURES:
        raise InputError(f"unknown architecture {architecture!r}; known: {', '.join(ARCHITECTURES)}")
    return strictly(values, ARCHITECTURES[architecture][0], "config")


def strictly(values: Mapping[str, Any], kind: type[Settings], where: str) -> Settings:
    """Settings from plain values, of exactly the types that the dataclass ``kind`` names.

    Raises:
        InputError: a setting it does not have, or of another type; ``where`` is named in the sentence.

    >>> strictly({"classes": 3, "channels": [1, 2, 3, 4]}, ClassifierConfig, "config").channels
    (1, 2, 3, 4)
    """
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - known):
        raise InputError(f"{where} has a setting that is not known: {unknown[0]}")
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        # "Expected `int`, got `str` - at `$.width`"
        what, _, place = str(error).partition(" - at `$.")
        raise InputError(f"{where}.{place.rstrip('`') or '?'}: {what[0].lower()}{what[1:]}") from error


def network_of(config: NetworkConfig) -> Network:
    """A new network of these settings."""
    return next(network for kind, network in ARCHITECTURES.values() if isinstance(config, kind))(config)
