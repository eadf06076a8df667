"""The transcriber as ONNX: one graph from mel levels to activations, built from the weights of its model
file.

Input ``levels``: dB as :mod:`beatsight.audio.frames` makes them, float32, shape (batch, frames, bands); both
first sizes are free. Output ``activations``: 0..1, shape (batch, frames, outputs). What a program needs
beside them (frames, labels, thresholds, calibration) stands in the file's metadata as JSON under
``beatsight``: it is the description of the ``.safetensors`` file
(:class:`~beatsight.models.song_model.SongSettings`). No torch is needed.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np

from beatsight.errors import InputError, require
from beatsight.files import write_bytes
from beatsight.models.song_model import SongModel

# Largest difference of an activation, all of which are 0..1, from NumPy's.
TOLERANCE = 1e-4
# onnxruntime reads it since 1.14; the graph's operators are older still.
_OPSET, _IR_VERSION = 18, 8
_KEY = "beatsight"


class _Graph:
    """Nodes and constants as they are added; every node has one output."""

    def __init__(self) -> None:
        self.onnx: Any = require("onnx", "onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def song_graph(model: SongModel) -> bytes:
    """The ONNX file of a transcriber; equal models give equal bytes.

    Raises:
        MissingDependencyError: ``onnx`` is not installed.
    """
    graph = _Graph()
    config, settings, shifts = model.network, model.settings, model.network.shifts()

    def convolve(x: str, name: str, **attributes: Any) -> str:
        weight = model.weights[f"{name}.weight"]
        # The mixing matrices are convolutions one frame wide.
        weight = weight[:, :, None] if weight.ndim == 2 else weight
        names = [
            graph.constant(f"{name}.weight", weight),
            graph.constant(f"{name}.bias", model.weights[f"{name}.bias"]),
        ]
        return graph.add("Conv", [x, *names], name, **attributes)

    mean = graph.constant("mean", np.array([settings.level_mean_db], np.float32))
    spread = graph.constant("spread", np.array([settings.level_spread_db], np.float32))
    x = graph.add("Div", [graph.add("Sub", ["levels", mean], "above_mean"), spread], "normalised")
    x = graph.add("Unsqueeze", [x, graph.constant("channel_axis", np.array([1], np.int64))], "with_channel")
    for i in range(len(config.stem)):
        x = convolve(x, f"stem.{i}", strides=[1, 2], pads=[2 - shifts[i], 1, shifts[i], 1])
        x = graph.add("Relu", [x], f"stem.{i}.out")
    x = graph.add("Transpose", [x], "channels_bands_frames", perm=[0, 1, 3, 2])
    flat = graph.constant("flat", np.array([0, model.weights["enter.weight"].shape[1], -1], np.int64))
    x = graph.add("Relu", [convolve(graph.add("Reshape", [x, flat], "flattened"), "enter")], "enter.out")
    for i, dilation in enumerate(config.dilations):
        ahead = shifts[len(config.stem) + i]
        pads = [dilation * (config.kernel - 1) - ahead, ahead]
        y = convolve(x, f"context.{i}.conv", dilations=[dilation], pads=pads)
        y = convolve(graph.add("Relu", [y], f"context.{i}.relu"), f"context.{i}.mix")
        x = graph.add("Add", [x, y], f"context.{i}.out")
    x = convolve(graph.add("Relu", [x], "context.out"), "leave")
    graph.add("Sigmoid", [graph.add("Transpose", [x], "logits", perm=[0, 2, 1])], "activations")
    return _file(graph, model)


def _file(graph: _Graph, model: SongModel) -> bytes:
    onnx = graph.onnx
    float32 = onnx.TensorProto.FLOAT
    made = onnx.helper.make_graph(
        graph.nodes,
        "beatsight-transcriber",
        [onnx.helper.make_tensor_value_info("levels", float32, ["n", "frames", model.network.bands])],
        [onnx.helper.make_tensor_value_info("activations", float32, ["n", "frames", model.network.outputs])],
        graph.constants,
    )
    file = onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="beatsight",
    )
    entry = file.metadata_props.add()
    entry.key, entry.value = _KEY, msgspec.json.encode(model.settings).decode()
    onnx.checker.check_model(file)
    return file.SerializeToString(deterministic=True)


def export_song_onnx(
    model: SongModel, path: str | os.PathLike[str], levels: np.ndarray, expected: np.ndarray
) -> float:
    """Write a transcriber as ONNX, aside and renamed, once onnxruntime was seen to give the expected answers.

    Args:
        model: the transcriber.
        path: file to write.
        levels: dB, shape (frames, bands), to compare on.
        expected: their activations, shape (frames, outputs).

    Returns:
        the largest difference of an activation.

    Raises:
        MissingDependencyError: ``onnx`` or ``onnxruntime`` is not installed.
        InputError: onnxruntime disagrees (nothing is written), or the file cannot be written.
    """
    runtime: Any = require("onnxruntime", "onnx")
    data = song_graph(model)
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    found = session.run(None, {"levels": np.asarray(levels, np.float32)[None]})[0][0]
    difference = float(np.abs(found - expected).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise InputError(
            f"{path}: not written, since onnxruntime's answers differ by up to {difference:.2g} "
            f"(allowed: {TOLERANCE:g})"
        )
    write_bytes(path, data)
    return difference
