"""What a model file holds, as one dictionary of tensors and plain values: made from a model, and checked.

Every file format of models (``.pth``, ``.safetensors``) stores this dictionary, so a model is refused for the
same reasons in the same words whatever it comes from. Sizes are judged before any memory is taken for them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beatsight import taxonomy
from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError
from beatsight.models.model import Model
from beatsight.models.networks import (
    ARCHITECTURES,
    Network,
    NetworkConfig,
    check_clips,
    config_of,
    network_of,
    strictly,
)
from beatsight.version import VERSION

FORMAT = "beatsight-model"
FORMAT_VERSION = 1
_ACTIVATIONS = ("sigmoid", "softmax")
# Outside, scores would be 0 or 1 throughout, or all alike.
_TEMPERATURES = (0.01, 100.0)
# What one clip may take, some hundred times what the default features do: samples, values of the filters and
# of the windowed frames (of 4 bytes each), and of the image.
_MOST = {"sample_rate": 1 << 20, "samples": 1 << 22, "filters": 1 << 23, "windows": 1 << 26, "image": 1 << 22}
_DEEPEST = 16


def content_of(model: Model) -> dict[str, Any]:
    """The dictionary of a model; its tensors are those of the network, on the CPU.

    Raises:
        InputError: the training summary holds something that no file can.
    """
    settings = {
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
    }
    # Cloned: the strides of axes of length 1 would tell how the network was laid out.
    weights = {
        sys.intern(name): value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.network.state_dict().items()
    }
    return {**{name: plain(value, name) for name, value in settings.items()}, "weights": weights}


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """The same of exactly the types that files hold: dict, list, str, int, float, bool, None.

    Equal strings become one object, since a pickle tells one object from two that are equal, and equal models
    are to give equal bytes.

    Raises:
        InputError: a value that none of them is, or nested too deep; ``where`` is named.

    >>> plain({"a": (1, np.float64(0.5))}, "training")
    {'a': [1, 0.5]}
    """
    if isinstance(value, str):
        return sys.intern(str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if depth < _DEEPEST and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {sys.intern(str(key)): plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, (list, tuple)):
        return [plain(item, where, depth + 1) for item in value]
    raise InputError(f"{where}: holds a {type(value).__name__} where a model file has plain values only")


def model_of(content: Mapping[str, Any]) -> Model:
    """The model of such a dictionary, its network on the CPU and in the mode it was made in.

    Raises:
        InputError: a key is missing, of another type, or does not fit the others; no file is named.
    """
    _check_kind(content)
    settings = _Checked(content)
    config = config_of(settings.text("architecture"), settings.mapping("config"))
    features = strictly(settings.mapping("features"), FeatureConfig, "features")
    _check_features(features)
    check_clips(config, features)
    labels = settings.labels(config)
    thresholds = np.array([settings.number("thresholds", label) for label in labels])
    calibration = {"temperature": settings.number("calibration", "temperature")}
    low, high = _TEMPERATURES
    if not (np.isfinite(thresholds).all() and low <= calibration["temperature"] <= high):
        raise InputError("a threshold or the temperature of the model file is not a usable number")
    activation = settings.text("activation")
    if activation not in _ACTIVATIONS:
        raise InputError(f"activation must be one of {', '.join(_ACTIVATIONS)}, not {activation!r}")
    training = plain(settings.mapping("training"), "training")
    network = filled(config, check_weights(settings.mapping("weights")))
    return Model(network, features, labels, thresholds, activation, calibration, training)


def _check_kind(content: Mapping[str, Any]) -> None:
    version, digest = content.get("format_version"), content.get("taxonomy_digest")
    if type(version) is not int or version != FORMAT_VERSION:
        shown = version if type(version) is int else type(version).__name__
        raise InputError(f"model format {shown}, this program reads {FORMAT_VERSION}")
    if not isinstance(digest, str) or digest != taxonomy.digest():
        raise InputError("was trained with another label taxonomy than this program's")
    architecture = content.get("architecture")
    if not isinstance(architecture, str) or architecture not in ARCHITECTURES:
        shown = repr(architecture) if isinstance(architecture, str) else type(architecture).__name__
        raise InputError(f"unknown architecture {shown}; known: {', '.join(ARCHITECTURES)}")


class _Checked:
    """Reads keys of a dictionary of unknown origin, each of its type."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def _get(self, name: str) -> Any:
        if name not in self.content:
            raise InputError(f"the model file lacks {name}")
        return self.content[name]

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise InputError(f"{name} of the model file must be text, not {type(value).__name__}")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self._get(name)
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise InputError(f"{name} of the model file is not a dictionary by name")
        return value

    def number(self, group: str, name: str) -> float:
        values = self.mapping(group)
        if name not in values:
            raise InputError(f"the model file lacks {group}.{name}")
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            kind = type(value).__name__
            raise InputError(f"{group}.{name} of the model file must be a number, not {kind}")
        try:
            return float(value)
        except OverflowError:
            raise InputError(f"{group}.{name} of the model file is too large a number") from None

    def labels(self, config: NetworkConfig) -> tuple[str, ...]:
        found = self._get("labels")
        if not isinstance(found, (list, tuple)) or not all(isinstance(label, str) for label in found):
            raise InputError("labels of the model file is not a list of names")
        if len(found) != config.classes or len(set(found)) != len(found):
            raise InputError(f"labels of the model file do not fit its network of {config.classes} classes")
        if unknown := [label for label in found if label not in taxonomy.CLASSIFIER]:
            raise InputError(f"the model file has a label that the classifier does not know: {unknown[0]!r}")
        return tuple(found)


def _check_features(features: FeatureConfig) -> None:
    """Refuse features that are no finite numbers or that no memory could hold."""
    for name, value in features.to_dict().items():
        if not math.isfinite(value):
            raise InputError(f"features.{name} must be a finite number, not {value}")
    needs = {
        "sample_rate": features.sample_rate,
        "samples": features.clip_samples,
        "filters": features.n_mels * features.n_fft,
        "windows": features.frames * features.n_fft,
        "image": features.n_mels * features.frames,
    }
    for name, value in needs.items():
        if value > _MOST[name]:
            raise InputError(
                f"the features of the model file ask for clips too large to make ({name} {value})"
            )


def check_weights(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Refuse what is not dense tensors of finite numbers by name.

    Raises:
        InputError: such a weight; it is named.
    """
    for name, value in weights.items():
        dense = isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"
        if not dense or value.is_quantized or value.is_complex():
            raise InputError(f"the weights of {name} are not a plain tensor")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"the weights of {name} are not all finite numbers")
    return dict(weights)


def filled(config: NetworkConfig, weights: Mapping[str, Tensor]) -> Network:
    """A network with these weights, made only when all shapes agree: a faulty config may ask for any size.

    Raises:
        InputError: names or shapes differ, or a variance is negative.
    """
    with torch.device("meta"):
        network = network_of(config)
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        own, given = expected.get(name), weights.get(name)
        if own is None or given is None or own.shape != given.shape:
            raise InputError(f"the weights do not fit the network they are stored with ({name})")
        if own.is_floating_point() != given.is_floating_point():
            raise InputError(f"the weights of {name} are not of a number type that fits")
        if name.endswith("running_var") and (given < 0).any():
            raise InputError(f"the weights of {name} hold a negative variance")
    # Nothing is drawn at random, so that loading a model leaves torch's generator as it was.
    network.to_empty(device="cpu")
    network.load_state_dict(weights)
    for name, value in network.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(f"the weights of {name} are too large for single precision")
    return network
