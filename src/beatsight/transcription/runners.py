"""What runs the transcriber's network: NumPy (the default), ONNX Runtime, or torch.

All three give the same activations within 1e-4. NumPy needs nothing; ONNX Runtime may use more cores; torch
is for GPUs. The latter two work in blocks with the context on both sides, which the network's edges do not
reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from beatsight.errors import UsageError, require
from beatsight.models.song_model import SongModel
from beatsight.transcription.engine import BLOCK, Engine, regrouped

ENGINES = ("numpy", "onnx", "torch")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
# Levels in dB, shape (frames, bands), to activations, shape (frames, outputs).
Forward = Callable[[np.ndarray], np.ndarray]


class Runner(Protocol):
    """Runs a model's network over a song."""

    @property
    def device(self) -> str:
        """Where, e.g. ``cpu``."""

    def stream(self, levels: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Activations of levels that arrive in pieces; see :meth:`.engine.Engine.stream`."""


class BlockRunner:
    """Runs a network that takes whole stretches: blocks on a fixed grid, each with what it depends on."""

    def __init__(self, model: SongModel, forward: Forward, device: str) -> None:
        self._forward, self.device = forward, device
        self._before, self._after = model.network.context()

    def stream(self, levels: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Activations block by block; memory is that of a block and its context."""
        held: np.ndarray | None = None
        first = start = 0  # frame of held[0]; first frame not yet answered
        for piece in regrouped(levels, BLOCK):
            held = piece if held is None else np.concatenate([held, piece])
            while first + len(held) >= start + BLOCK + self._after:
                yield self._answer(held, start - first, start - first + BLOCK)
                start += BLOCK
                drop = max(0, start - self._before - first)
                held, first = held[drop:].copy(), first + drop
        while held is not None and start < first + len(held):
            yield self._answer(held, start - first, min(start - first + BLOCK, len(held)))
            start += BLOCK

    def _answer(self, held: np.ndarray, start: int, end: int) -> np.ndarray:
        low = max(0, start - self._before)
        return self._forward(held[low : end + self._after])[start - low : end - low]


def runner_of(model: SongModel, engine: str | None = None, device: str = "auto") -> Runner:
    """What runs a model.

    Args:
        model: the network.
        engine: one of :data:`ENGINES`; None for torch on a GPU that is asked for, else NumPy.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` is the processor.

    Raises:
        UsageError: no such engine or device, or the engine does not run there.
        InputError: no such GPU.
        MissingDependencyError: the engine's package is not installed.
    """
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:N")
    on_gpu = device.startswith("cuda")
    engine = engine or ("torch" if on_gpu else "numpy")
    if engine not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    if on_gpu and engine != "torch":
        raise UsageError(f"--engine {engine} runs on the processor; for --device {device} use torch")
    if engine == "numpy":
        return Engine(model)
    return _onnx(model) if engine == "onnx" else _torch(model, device)


def _onnx(model: SongModel) -> BlockRunner:
    runtime: Any = require("onnxruntime", "onnx")
    from beatsight.models.song_onnx import song_graph

    session = runtime.InferenceSession(song_graph(model), providers=["CPUExecutionProvider"])

    def forward(levels: np.ndarray) -> np.ndarray:
        return session.run(None, {session.get_inputs()[0].name: levels[None]})[0][0]

    return BlockRunner(model, forward, "cpu")


def _torch(model: SongModel, device: str) -> BlockRunner:
    torch: Any = require("torch", "ml")
    from beatsight.models.precision import choose_device
    from beatsight.models.song_torch import FoldedNetwork

    place = choose_device("cpu" if device == "auto" else device)
    network = FoldedNetwork(model, place)

    def forward(levels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(levels).to(place)[None])[0].cpu().numpy()

    return BlockRunner(model, forward, str(place))
