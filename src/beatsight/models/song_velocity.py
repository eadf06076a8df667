"""Velocity of hits by what the whole song tells: against the drum's own median, in what the network says and
in how loud the attack is.

The network hears some seconds at a time, so it cannot know which of a drum's strokes are the loud ones of
this song. Once all hits of a song are known, each is compared with the median of its group: how far the
network's velocity lies above it, and by how many dB the attack does in each quarter of the bands (there also
against its articulation, since an open hat is louder than a closed one under the same stroke). A linear sum
for each group, fitted on rendered songs, makes the velocity of these. A gain on the whole song changes
nothing.

Conventions: levels in dB, shape (…, bands); velocities 0..1; groups and articulations by their number. NumPy
only; training and inference share these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

# Bands of an attack: quarters tell as much as eighths or sixteenths do, and fit more surely.
PARTS = 4
# A group's numbers: constant; weights of the median, of the velocity over it, and of each part.
COEFFICIENTS = 3 + PARTS
# The attack of a peak: the frame before it, its own, and as many after it as make a peak sure.
ATTACK_FRAMES = np.arange(-1, 3)
# dB under and over the median that count. What lies beyond is another drum's sound more often than a stroke.
_LEAST_DB, _MOST_DB = -12.0, 8.0
# An articulation's own median counts n / (n + this): of one or two hits it says little.
_SHRINK = 4.0
# No hit is silent.
_LEAST_VELOCITY = 0.02


def attack_parts(levels: np.ndarray) -> np.ndarray:
    """How loud attacks are in each part of the bands.

    Args:
        levels: around each peak, dB, shape (hits, frames, bands); :data:`PARTS` bands at least.

    Returns:
        dB, float32, shape (hits, :data:`PARTS`): the mean power of the bands' highest levels.

    >>> attack_parts(np.full((1, 4, 80), -20.0)).round(3).tolist()
    [[-20.0, -20.0, -20.0, -20.0]]
    """
    loudest = levels.max(axis=1).astype(np.float64)
    edges = np.linspace(0, loudest.shape[1], PARTS + 1).round().astype(int)
    parts = [np.mean(10 ** (loudest[:, a:b] / 10), axis=1) for a, b in pairwise(edges)]
    return (10 * np.log10(np.stack(parts, axis=1))).astype(np.float32)


def song_evidence(
    said: np.ndarray, parts: np.ndarray, groups: np.ndarray, articulations: np.ndarray
) -> np.ndarray:
    """What is known of each hit of one song.

    Args:
        said: the network's velocities, shape (hits,).
        parts: from :func:`attack_parts`, shape (hits, parts).
        groups, articulations: numbers, shape (hits,).

    Returns:
        float64, shape (hits, 2 + parts): the group's median velocity; how far this one lies over it; the
        parts over their medians, times the median velocity, because a dB is a share of it.

    >>> parts, same = np.array([[-20.0], [-14.0]]), np.zeros(2)
    >>> song_evidence(np.array([0.4, 0.6]), parts, same, same).round(2).tolist()
    [[0.5, -0.1, -1.5], [0.5, 0.1, 1.5]]
    """
    evidence = np.zeros((len(said), 2 + parts.shape[1]))
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        median = np.median(said[mine])
        over = parts[mine] - np.median(parts[mine], axis=0)
        for articulation in np.unique(articulations[mine]):
            same = articulations[mine] == articulation
            share = same.sum() / (same.sum() + _SHRINK)
            over[same] -= share * np.median(over[same], axis=0)
        evidence[mine, 0] = median
        evidence[mine, 1] = said[mine] - median
        evidence[mine, 2:] = median * np.clip(over, _LEAST_DB, _MOST_DB)
    return evidence


def weighed(evidence: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """Velocities, shape (hits,), of one group's evidence and its :data:`COEFFICIENTS` numbers.

    >>> weighed(np.array([[0.5, 0.1, 2.0, 0.0, 0.0, 0.0]]), [0.1, 1.0, 0.5, 0.01, 0.0, 0.0, 0.0]).round(3)
    array([0.67])
    """
    constant, *weights = coefficients
    # Term by term: the sum of a hit must be the same bits whichever hits stand beside it.
    total = np.full(len(evidence), constant)
    for column, weight in enumerate(weights):
        total = total + weight * evidence[:, column]
    return np.clip(total, _LEAST_VELOCITY, 1.0)
