"""The transcriber's network in NumPy: the same sums as the trained network, with nothing to install or warm up.

Frames are worked on in blocks on a fixed grid, each with the context it depends on, so memory does not grow with
the song, and a frame's activations do not depend on how the audio arrived.

Conventions: levels in dB, shape (frames, bands); activations 0..1, shape (frames, outputs).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from beatsight.models.song_model import SongModel

# Frames a block: large enough for fast products, small enough for the cache.
BLOCK = 1024


class Engine:
    """Runs a model's network."""

    def __init__(self, model: SongModel) -> None:
        self.model = model
        self.before, self.after = model.network.context()
        weights, config = model.weights, model.network
        # (in, out) matrices, ready for products from the left.
        self._stem = [
            (
                np.ascontiguousarray(weights[f"stem.{i}.weight"].transpose(2, 3, 1, 0).reshape(-1, d)),
                weights[f"stem.{i}.bias"],
            )
            for i, d in enumerate(config.stem)
        ]
        self._context = [
            (
                [
                    np.ascontiguousarray(weights[f"context.{i}.conv.weight"][:, :, k].T)
                    for k in range(config.kernel)
                ],
                weights[f"context.{i}.conv.bias"],
                np.ascontiguousarray(weights[f"context.{i}.mix.weight"].T),
                weights[f"context.{i}.mix.bias"],
            )
            for i in range(len(config.dilations))
        ]
        self._enter = np.ascontiguousarray(weights["enter.weight"].T), weights["enter.bias"]
        self._leave = np.ascontiguousarray(weights["leave.weight"].T), weights["leave.bias"]
        self._shifts = config.shifts()

    def activations(self, levels: np.ndarray) -> np.ndarray:
        """Activations of a song in memory.

        Args:
            levels: dB, shape (frames, bands).

        Returns:
            float32, shape (frames, outputs): onsets, then velocities, then openness, all 0..1.
        """
        parts = list(self.stream([levels]))
        outputs = self.model.network.outputs
        return np.concatenate(parts) if parts else np.zeros((0, outputs), np.float32)

    def stream(self, levels: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Activations block by block, as soon as the frames they depend on are there.

        Args:
            levels: pieces of any length, in order.

        Yields:
            arrays of ``BLOCK`` frames, the last one shorter.
        """
        held = np.zeros((0, self.model.network.bands), np.float32)
        first = start = 0  # frame of held[0]; first frame not yet answered
        for piece in levels:
            held = np.concatenate([held, piece])
            while first + len(held) >= start + BLOCK + self.after:
                yield self._block(held, first, start, start + BLOCK)
                start += BLOCK
                drop = max(0, start - self.before - first)
                held, first = held[drop:], first + drop
        while start < first + len(held):
            end = min(start + BLOCK, first + len(held))
            yield self._block(held, first, start, end)
            start = end

    def _block(self, held: np.ndarray, first: int, start: int, end: int) -> np.ndarray:
        """Activations of frames start..end from the frames around them."""
        low = max(first, start - self.before)
        high = min(first + len(held), end + self.after)
        return self.logits_to_activations(self._forward(held[low - first : high - first]))[
            start - low : end - low
        ]

    @staticmethod
    def logits_to_activations(logits: np.ndarray) -> np.ndarray:
        """The logistic function."""
        return np.float32(1.0) / (np.float32(1.0) + np.exp(-np.clip(logits, -60.0, 60.0)))

    def _forward(self, levels: np.ndarray) -> np.ndarray:
        settings = self.model.settings
        x = (levels - np.float32(settings.level_mean_db)) / np.float32(settings.level_spread_db)
        x = x[:, :, None]  # (frames, bands, channels)
        for (weight, bias), ahead in zip(self._stem, self._shifts, strict=False):
            x = _stem_layer(x, weight, bias, ahead)
        # The trained network flattens channels first.
        x = np.ascontiguousarray(x.transpose(0, 2, 1)).reshape(len(x), -1)
        x = _relu(x @ self._enter[0] + self._enter[1])
        config = self.model.network
        for layer, dilation, ahead in zip(
            self._context, config.dilations, self._shifts[len(self._stem) :], strict=True
        ):
            x = _context_layer(x, layer, dilation, ahead)
        return _relu(x) @ self._leave[0] + self._leave[1]


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0, out=x)


def _stem_layer(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, ahead: int) -> np.ndarray:
    """3x3 convolution, every second band; (frames, bands, in) to (frames, half the bands, out)."""
    frames, bands, channels = x.shape
    padded = np.zeros((frames + 2, bands + 2, channels), np.float32)
    padded[2 - ahead : 2 - ahead + frames, 1:-1] = x
    half = (bands - 1) // 2 + 1
    windows = np.empty((frames, half, 9, channels), np.float32)
    for t in range(3):
        for f in range(3):
            windows[:, :, 3 * t + f] = padded[t : t + frames, f : f + 2 * half - 1 : 2]
    out = windows.reshape(frames * half, -1) @ weight + bias
    return _relu(out).reshape(frames, half, -1)


def _context_layer(
    x: np.ndarray,
    layer: tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray],
    dilation: int,
    ahead: int,
) -> np.ndarray:
    """Dilated convolution, ReLU, mixing, and the way around; (frames, width) both."""
    taps, bias, mix, mix_bias = layer
    reach = dilation * (len(taps) - 1)
    padded = np.zeros((len(x) + reach, x.shape[1]), np.float32)
    padded[reach - ahead : reach - ahead + len(x)] = x
    y = padded[: len(x)] @ taps[0]
    for k, tap in enumerate(taps[1:], start=1):
        y += padded[k * dilation : k * dilation + len(x)] @ tap
    y += bias
    return x + (_relu(y) @ mix + mix_bias)
