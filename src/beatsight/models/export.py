"""Models as ONNX, to be run without torch or beatsight; a file is kept only if it says what the model says.

The graph takes clips of audio (n, samples), with the feature extraction inside, or log-mel clips
(n, 1, mels, frames) as :func:`beatsight.audio.features.clip_features` makes them; n is free. It gives
``scores`` (n, classes) after temperature and activation, and, where the network has these heads, ``velocity``
(n, classes) and ``openness`` (n,), all 0..1. What a program needs beside it (labels, thresholds, features,
taxonomy) stands in the file's metadata as JSON under ``beatsight``.

Feature extraction within the graph is torch's short-time Fourier transform (the ONNX operator STFT) and the
package's own filters and decibels; onnxruntime must give the model's answers on planted clips within
:data:`TOLERANCE`, else nothing is written.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from beatsight.audio.features import FeatureConfig, clip_features, focus, mel_filters, power_to_features
from beatsight.errors import InputError, UsageError, require
from beatsight.files import write_bytes
from beatsight.models.content import content_of
from beatsight.models.model import Heard, Model

ONNX = ".onnx"
Takes = Literal["audio", "features"]
TAKES: tuple[Takes, ...] = get_args(Takes)
# Largest difference of an output, all of which are 0..1, between onnxruntime and torch.
TOLERANCE = 1e-4
# The first that torch's exporter writes natively; it has STFT. onnxruntime reads it since 1.14.
_OPSET = 18
_KEY, _CARD_KEY = "beatsight", "model_card"
# Sizes of the batches that are compared: not those the graph was traced with.
_BATCHES = (1, 7)


class _Exported(nn.Module):
    """A model as one function of tensors: outputs in the order of :func:`output_names`."""

    def __init__(self, model: Model, takes: Takes) -> None:
        super().__init__()
        self.network = model.network
        self.features, self.takes = model.features, takes
        self.say = model.say
        config = model.features
        window = torch.hann_window(config.n_fft, periodic=True, dtype=torch.float64)
        filters = mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)
        self.register_buffer("window", window.float())
        self.register_buffer("filters", torch.from_numpy(filters.T.copy()).float())

    def forward(self, given: Tensor) -> tuple[Tensor, ...]:
        image = self._image(given).unsqueeze(1) if self.takes == "audio" else given
        heard = self.say(self.network(image))
        return tuple(value for value in vars(heard).values() if value is not None)

    def _image(self, audio: Tensor) -> Tensor:
        config, window = self.features, self.get_buffer("window")
        spectrum = torch.stft(
            audio, config.n_fft, config.hop_length, window=window, center=False, return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(-1)
        mel = (power.transpose(1, 2) @ self.get_buffer("filters")).transpose(1, 2)
        return focus(power_to_features(mel, config), config)


def output_names(model: Model) -> list[str]:
    """Names of the graph's outputs, those of :class:`~beatsight.models.model.Heard` that there are."""
    return ["scores", *model.network.config.heads]


def export_onnx(
    model: Model, path: str | os.PathLike[str], takes: Takes = "audio", model_card: str = ""
) -> float:
    """Write a model as ONNX, aside and renamed, once it was seen to agree with torch.

    Args:
        model: on any device; it is left as it is.
        path: file to write.
        takes: ``audio`` or ``features``.
        model_card: Markdown to put into the metadata as ``model_card``; empty: none.

    Returns:
        the largest difference of an output between onnxruntime and torch that was seen.

    Raises:
        MissingDependencyError: ``onnx``, ``onnxscript`` or ``onnxruntime`` is not installed.
        UsageError: no such ``takes``.
        InputError: onnxruntime disagrees with torch (nothing is written), or the file cannot be written.
    """
    if takes not in TAKES:
        raise UsageError(f"an ONNX file takes {' or '.join(TAKES)}, not {takes!r}")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "onnx")
    graph = _graph(model, takes)
    content = content_of(model)
    del content["weights"]
    content["input"] = {"takes": takes, "shape": _input_shape(model.features, takes)}
    content["outputs"] = output_names(model)
    _set_metadata(graph, {_KEY: json.dumps(content), **({_CARD_KEY: model_card} if model_card else {})})
    data = graph.SerializeToString(deterministic=True)
    difference = _largest_difference(model, data, takes)
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path}: not written, since onnxruntime's answers differ from the model's by up to "
            f"{difference:.2g} (allowed: {TOLERANCE:g})"
        )
    write_bytes(path, data)
    return difference


def _input_shape(features: FeatureConfig, takes: Takes) -> list[str | int]:
    return ["n", features.clip_samples] if takes == "audio" else ["n", 1, features.n_mels, features.frames]


def _given(model: Model, count: int, takes: Takes) -> Tensor:
    """Planted clips on the CPU: bursts, tones, silence, of all levels; or their features."""
    rng = np.random.default_rng(count)
    length = model.features.clip_samples
    time = np.arange(length) / length
    audio = np.zeros((count, length), np.float32)
    for row, clip in enumerate(audio):
        if row % 5 != 4:  # every fifth is silence
            decay = np.exp(-time * rng.uniform(1.0, 60.0))
            tone = np.sin(2 * np.pi * rng.uniform(10.0, length / 4) * time)
            clip[:] = (
                10 ** rng.uniform(-3, 0) * decay * (tone + rng.uniform(0, 1) * rng.standard_normal(length))
            )
    sound = torch.from_numpy(audio)
    return sound if takes == "audio" else clip_features(sound, model.features).unsqueeze(1)


def _graph(model: Model, takes: Takes) -> Any:
    """The ONNX graph, without the traces of this machine that the exporter leaves in it."""
    given = _given(model, 2, takes)
    device, training = model.device, model.network.training
    module = _Exported(model, takes).eval().to("cpu")
    try:
        # Once without tracing: the constants of the features that are kept for later must be real ones.
        module(given)
        with _quiet():
            program = torch.onnx.export(
                module, (given,), dynamo=True, verbose=False, opset_version=_OPSET,
                input_names=["clips"], output_names=output_names(model),
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            )  # fmt: skip
    finally:
        model.network.to(device)
        model.network.train(training)
    assert program is not None
    graph = program.model_proto
    # The exporter notes where in which source file each node comes from.
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del value.metadata_props[:]
    for function in graph.functions:
        for node in function.node:
            del node.metadata_props[:]
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages it could also use and on its own inner workings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _set_metadata(graph: Any, values: dict[str, str]) -> None:
    del graph.metadata_props[:]
    for key, value in values.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value


def _largest_difference(model: Model, data: bytes, takes: Takes) -> float:
    """Between onnxruntime and torch, over all outputs of batches of several sizes; NaN is infinite."""
    runtime: Any = require("onnxruntime", "onnx")
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in _BATCHES:
        given = _given(model, count, takes)
        heard: Heard
        if takes == "audio":
            heard = model.hear(given)
        else:
            heard = model.hear_features(given.squeeze(1).to(model.device))
        for name, found in zip(output_names(model), session.run(None, {"clips": given.numpy()}), strict=True):
            expected = getattr(heard, name).cpu().numpy()
            gap = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
            largest = max(largest, gap if np.isfinite(gap) else np.inf)
    return largest
