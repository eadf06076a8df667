"""From activations to hits: peaks over time, their exact moments, and what was struck.

The network answers a hundred times a second for each of the five groups (kick, snare, toms, hats and
cymbals) and for every articulation. A hit is a peak of its group; its articulation is the strongest there.

Conventions: activations 0..1, shape (frames, outputs), frame k at ``k * hop_s`` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Two strokes of one group closer than this are one peak: 3 frames leave the closest flams apart.
REACH = 2


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of one output.

    Attributes:
        frames: of the peaks, shape (n,).
        positions: their centres of gravity, in frames and fractions.
        heights: activation at the peak.
    """

    frames: np.ndarray
    positions: np.ndarray
    heights: np.ndarray


def find_peaks(activation: np.ndarray, threshold: float) -> Peaks:
    """Local maxima of at least ``threshold``.

    Args:
        activation: shape (frames,).
        threshold: of the maxima.

    >>> found = find_peaks(np.array([0, 0.1, 0.5, 0.9, 0.5, 0.1, 0]), 0.4)
    >>> found.frames.tolist(), found.positions.round(6).tolist()
    ([3], [3.0])
    """
    n = len(activation)
    padded = np.pad(activation, REACH, constant_values=-1.0)
    views = [padded[k : k + n] for k in range(2 * REACH + 1)]
    left = np.maximum.reduce(views[:REACH])
    right = np.maximum.reduce(views[REACH + 1 :])
    # Of equal neighbours the first is the peak.
    frames = np.flatnonzero((activation >= threshold) & (activation > left) & (activation >= right))
    offsets = np.arange(-REACH, REACH + 1)
    weights = np.stack([np.maximum(padded[frames + k], 0.0) for k in range(2 * REACH + 1)], axis=1)
    total = weights.sum(axis=1)
    positions = frames + (weights @ offsets) / np.maximum(total, 1e-9)
    return Peaks(frames, positions, activation[frames])
