"""The transcriber's network in NumPy: the same sums as the trained network, with nothing to install or warm
up.

Every layer keeps the last frames that its next outputs need, so a frame is worked on once, memory does not
grow with the song, and work a frame is bounded. Frames go through in blocks on a fixed grid (:data:`BLOCK`,
for files): then a frame's activations are the same bits however the audio arrived. Or as they come (a live
stream): then each is answered as soon as the frames that it depends on are there, and agrees with the other
within 1e-5.

Conventions: levels in dB, shape (frames, bands); activations 0..1, shape (frames, outputs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from beatsight.models.song_model import SongModel

# Frames a block: large enough for fast products, small enough for the cache.
BLOCK = 1024
AS_THEY_COME = 0

# Frames in, frames out of a layer without its edges: (inputs with the context) -> outputs.
Step = Callable[[np.ndarray], np.ndarray]


class _Layer:
    """One layer of a stream: holds the inputs that the next outputs depend on."""

    def __init__(self, step: Step, reach: int, ahead: int) -> None:
        self._step, self._reach, self._ahead = step, reach, ahead
        self._held: np.ndarray | None = None

    def feed(self, x: np.ndarray) -> np.ndarray:
        """Outputs of the frames whose context is complete by these inputs."""
        if self._held is None:  # before the song is nothing
            self._held = np.zeros((self._reach - self._ahead, *x.shape[1:]), np.float32)
        held = np.concatenate([self._held, x])
        ready = max(0, len(held) - self._reach)
        self._held = held[ready:].copy()
        return self._step(held)

    def finish(self, x: np.ndarray) -> np.ndarray:
        """Outputs of the last inputs: after the song is nothing either."""
        return self.feed(np.concatenate([x, np.zeros((self._ahead, *x.shape[1:]), np.float32)]))


class Engine:
    """Runs a model's network in NumPy; one serves any number of songs."""

    device = "cpu"

    def __init__(self, model: SongModel) -> None:
        self.model = model
        config = model.network
        shifts = config.shifts()
        # Of each layer: what it does, the frames it reaches over, and how many of them lie ahead.
        self._layers: list[tuple[Step, int, int]] = [
            (self._stem(i), 2, shifts[i]) for i in range(len(config.stem))
        ]
        self._layers.append((self._enter(), 0, 0))
        for i, dilation in enumerate(config.dilations):
            reach, ahead = dilation * (config.kernel - 1), shifts[len(config.stem) + i]
            self._layers.append((self._context(i, dilation, reach - ahead), reach, ahead))
        self._leave = np.ascontiguousarray(model.weights["leave.weight"].T), model.weights["leave.bias"]

    # Matrices are laid out (in, out), ready for products from the left.
    def _stem(self, index: int) -> Step:
        weight, bias = self.model.weights[f"stem.{index}.weight"], self.model.weights[f"stem.{index}.bias"]
        matrix = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))
        return partial(_stem_step, weight=matrix, bias=bias)

    def _enter(self) -> Step:
        weight = np.ascontiguousarray(self.model.weights["enter.weight"].T)
        return partial(_enter_step, weight=weight, bias=self.model.weights["enter.bias"])

    def _context(self, index: int, dilation: int, past: int) -> Step:
        weights, name = self.model.weights, f"context.{index}"
        return partial(
            _context_step,
            taps=[np.ascontiguousarray(tap) for tap in weights[f"{name}.conv.weight"].transpose(2, 1, 0)],
            bias=weights[f"{name}.conv.bias"],
            mix=np.ascontiguousarray(weights[f"{name}.mix.weight"].T),
            mix_bias=weights[f"{name}.mix.bias"],
            dilation=dilation,
            past=past,
        )

    def activations(self, levels: np.ndarray) -> np.ndarray:
        """Activations of a song in memory.

        Args:
            levels: dB, shape (frames, bands).

        Returns:
            float32, shape (frames, outputs): onsets, then velocities, then openness, all 0..1.
        """
        parts = list(self.stream([levels]))
        return np.concatenate([np.zeros((0, self.model.network.outputs), np.float32), *parts])

    def stream(self, levels: Iterable[np.ndarray], block: int = BLOCK) -> Iterator[np.ndarray]:
        """Activations, as soon as the frames they depend on are there.

        Args:
            levels: pieces of any length, in order.
            block: frames that go through together; :data:`AS_THEY_COME` for the pieces as they are.

        Yields:
            arrays that joined have one row a frame; never an empty one.
        """
        layers = [_Layer(*layer) for layer in self._layers]
        for piece in regrouped(levels, block):
            x = self._normalised(piece)
            for layer in layers:
                x = layer.feed(x)
            if len(x):
                yield self._answer(x)
        x = self._normalised(np.zeros((0, self.model.network.bands), np.float32))
        for layer in layers:
            x = layer.finish(x)
        if len(x):
            yield self._answer(x)

    def _normalised(self, levels: np.ndarray) -> np.ndarray:
        """Levels as the network sees them, shape (frames, bands, 1)."""
        settings = self.model.settings
        x = (levels - np.float32(settings.level_mean_db)) / np.float32(settings.level_spread_db)
        return x.astype(np.float32, copy=False)[:, :, None]

    def _answer(self, x: np.ndarray) -> np.ndarray:
        return logistic(_relu(x) @ self._leave[0] + self._leave[1])


def regrouped(pieces: Iterable[np.ndarray], block: int) -> Iterator[np.ndarray]:
    """Pieces cut anew into blocks of so many rows, the last one shorter; as they are where ``block`` is 0.

    >>> [len(piece) for piece in regrouped([np.zeros((3, 1)), np.zeros((4, 1))], 5)]
    [5, 2]
    """
    held: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        if block == AS_THEY_COME:
            if len(piece):
                yield piece
            continue
        held.append(piece)
        count += len(piece)
        if count >= block:
            whole = np.concatenate(held)
            full = count // block * block
            for start in range(0, full, block):
                yield whole[start : start + block]
            held, count = [whole[full:].copy()], count - full
    if count:
        yield np.concatenate(held)


def logistic(logits: np.ndarray) -> np.ndarray:
    """0..1 of logits, float32."""
    return np.float32(1.0) / (np.float32(1.0) + np.exp(-np.clip(logits, -60.0, 60.0)))


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0, out=x)


def _stem_step(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3x3 convolution, every second band; (frames + 2, bands, in) to (frames, half the bands, out)."""
    frames, bands, channels = max(0, len(x) - 2), x.shape[1], x.shape[2]
    padded = np.zeros((len(x), bands + 2, channels), np.float32)
    padded[:, 1:-1] = x
    half = (bands - 1) // 2 + 1
    windows = np.empty((frames, half, 9, channels), np.float32)
    for t in range(3):
        for f in range(3):
            windows[:, :, 3 * t + f] = padded[t : t + frames, f : f + 2 * half - 1 : 2]
    out = windows.reshape(frames * half, 9 * channels) @ weight + bias
    return _relu(out).reshape(frames, half, len(bias))


def _enter_step(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What the stem has left of the bands, mixed; (frames, bands, channels) to (frames, width)."""
    # The trained network flattens channels first.
    flat = np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(len(x), x.shape[1] * x.shape[2])
    return _relu(flat @ weight + bias)


def _context_step(
    x: np.ndarray,
    taps: list[np.ndarray],
    bias: np.ndarray,
    mix: np.ndarray,
    mix_bias: np.ndarray,
    dilation: int,
    past: int,
) -> np.ndarray:
    """Dilated convolution, ReLU, mixing, and the way around; ``past`` frames of ``x`` lie before the
    first."""
    frames = max(0, len(x) - dilation * (len(taps) - 1))
    y = x[:frames] @ taps[0]
    for k, tap in enumerate(taps[1:], start=1):
        y += x[k * dilation : k * dilation + frames] @ tap
    y += bias
    return x[past : past + frames] + (_relu(y) @ mix + mix_bias)
