"""Which microphone the others are measured against, and which moments of it are looked for.

Loudness over time (mean square of the differenced signal, one value a hop) is all that is needed for both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d

from beatsight.gates.alignment.listening import Floats, Layout

Ints = npt.NDArray[np.int64]

# A hit is louder than all of the last 40 ms by this much; ringing cymbals and noise fluctuate by less.
_RISE_DB = 6.0
_RISE_MS = 40.0
# Hits further below the loudest moment, or below the noise of a 16-bit file, are not looked for.
_RANGE_DB = 50.0
_FLOOR_DB = -85.0
# The part of a hit that is looked for should hold one hit.
_APART_MS = 46.0
# Enough for a median to a hundredth of a sample; more would only cost memory in sessions of hours.
MAX_HITS = 1000


def _decibels(energy: Floats) -> Floats:
    return (10.0 * np.log10(energy + 1e-12)).astype(np.float32)


def find_hits(energy: Floats, lengths: Layout) -> tuple[Ints, int]:
    """Hits of one microphone.

    Args:
        energy: of every hop, shape (hops,).
        lengths: the lengths of the session's rate.

    Returns:
        (starts, found): first sample of the frame of each hit, rising; of more than :data:`MAX_HITS` the
        loudest of every stretch. And how many there are in all.
    """
    if not len(energy):
        return np.zeros(0, np.int64), 0
    level = _decibels(energy)
    hop_ms = 1000.0 * lengths.hop / lengths.rate
    back = max(1, round(_RISE_MS / hop_ms))
    padded = np.concatenate([np.full(back, _FLOOR_DB, np.float32), level])
    # The filter's window is shifted so that it ends one hop before the moment it is compared with.
    before = maximum_filter1d(padded, back, origin=(back - 1) // 2)[back - 1 : -1]
    loud = level > max(float(level.max()) - _RANGE_DB, _FLOOR_DB)
    apart = max(1, round(_APART_MS / hop_ms))
    frames: list[int] = []
    for frame in np.flatnonzero((level - before > _RISE_DB) & loud).tolist():
        if not frames or frame - frames[-1] >= apart:
            frames.append(frame)
    found = len(frames)
    if found > MAX_HITS:
        group = -(-found // MAX_HITS)
        parts = [frames[start : start + group] for start in range(0, found, group)]
        frames = [max(part, key=lambda frame: float(energy[frame])) for part in parts]
    return np.array(frames, np.int64) * lengths.hop, found


def likeness(energies: Sequence[Floats], lengths: Layout) -> npt.NDArray[np.float64]:
    """How well the rises of loudness of each microphone agree with those of the others.

    Args:
        energies: of every microphone; shorter ones count as silent at the end.
        lengths: the lengths of the session's rate.

    Returns:
        For each microphone the mean correlation with the others, each at its best delay, 0..1.
    """
    rises = np.zeros((len(energies), max(map(len, energies))), np.float32)
    for row, energy in zip(rises, energies, strict=True):
        rise = np.maximum(np.diff(np.maximum(_decibels(energy), _FLOOR_DB)), 0.0)
        row[1 : len(energy)] = rise
        row[: len(energy)] -= row[: len(energy)].mean()
    rises /= np.maximum(np.sqrt((rises**2).sum(axis=1, keepdims=True)), np.float32(1e-9))
    best = np.zeros((len(rises), len(rises)))
    for lag in range(min(lengths.search // lengths.hop + 1, rises.shape[1])):
        best = np.maximum(best, rises[:, lag:] @ rises[:, : rises.shape[1] - lag].T)
    best = np.maximum(best, best.T)
    np.fill_diagonal(best, 0.0)
    return best.sum(axis=1) / (len(rises) - 1)
