"""Even strokes: hats and cymbals that go on as evidence for those of them that are hardly heard.

A drummer's hand on the hat or the ride plays one figure again and again, beat after beat. Where the
activations of such a group come back at a steady distance, those one and two distances before and after say
what to expect: three loud ones around a weak one make a hit that the band hides. The distance is the first
strong peak of the activations' autocorrelation over 25 s, no longer than a beat or two; what the others say
is their median, so that one miss among them does not matter. Evidence in favour only: a hand also stops.

:mod:`.song_repetition` compares whole bars, all drums together; this needs no bars that look alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from beatsight.models.song_blocks import BlockFilter, odds

# In frames of 10 ms: a block and what it sees around it (25 s together, some dozens of strokes), and the
# distances that are tried: from the fastest a hand goes on with, to a beat at 55 a minute.
_BLOCK, _MARGIN = 1280, 600
_SHORTEST, _LONGEST = 12, 110
# The shortest distance that comes back almost as surely as the best: two of them also fit.
_ALMOST = 0.85
# Autocorrelation from which a group goes on steadily a little, and fully.
_STEADY = (0.3, 0.6)
# The others say 1 in 100 at the least, and 99 at the most.
_EVIDENCE_LOWEST = 1e-2
# An ostinato makes no hits of its own: this much the network must have heard.
_NOTHING = 0.06
# Strokes of a hand differ by some hundredths of a second.
_LOOSE = 3
_SMOOTH = np.exp(-0.5 * np.square(np.arange(-6, 7) / 1.5))
# A peak of the autocorrelation is the highest within as many frames.
_PEAK_REACH = 4


class OstinatoConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far even strokes move log-odds.

    Attributes:
        groups: those a hand plays evenly.
        up: 0 (not at all) to 1 (to what the others say).
    """

    groups: tuple[str, ...] = ("HH", "CY")
    up: float = 1.0


def steady_distance(activation: np.ndarray) -> tuple[int, float]:
    """At what distance a group comes back, and how surely.

    Args:
        activation: shape (frames,).

    Returns:
        frames, 0 for none; and the autocorrelation there, about 1 for exact repetition.
    """
    frames = len(activation)
    last = min(_LONGEST, frames // 4)
    if last <= _SHORTEST:
        return 0, 0.0
    smooth = np.convolve(activation.astype(np.float64), _SMOOTH, "same")
    smooth -= smooth.mean()
    reach = last + _PEAK_REACH + 1
    spectrum = np.fft.rfft(smooth, frames + reach)
    products = np.fft.irfft(np.square(np.abs(spectrum)), frames + reach)[:reach]
    if products[0] <= 0.0:
        return 0, 0.0
    r = products / products[0] * frames / (frames - np.arange(reach))
    highest = sliding_window_view(r, 2 * _PEAK_REACH + 1).max(axis=1)
    distances = np.arange(_SHORTEST, last)
    peaks = distances[r[distances] == highest[distances - _PEAK_REACH]]
    if not len(peaks) or (best := r[peaks].max()) <= 0.0:
        return 0, 0.0
    distance = int(peaks[r[peaks] >= _ALMOST * best][0])
    return distance, float(r[distance])


class Ostinato(BlockFilter):
    """Activations in, activations that even strokes have moved out, twenty seconds late at most."""

    def __init__(self, groups: Sequence[str], config: OstinatoConfig) -> None:
        super().__init__(len(groups), _BLOCK, _MARGIN)
        self._even = [index for index, group in enumerate(groups) if group in config.groups]
        self._up = config.up

    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        shift = np.zeros((_BLOCK, self._count), np.float32)
        for index in self._even:
            distance, likeness = steady_distance(around[song, index])
            steady = np.clip((likeness - _STEADY[0]) / (_STEADY[1] - _STEADY[0]), 0.0, 1.0)
            if distance and steady > 0.0:
                shift[:, index] = self._up * steady * _gap(around[:, index], song, distance)
        return shift


def _gap(activation: np.ndarray, song: slice, distance: int) -> np.ndarray:
    """How much surer, in log-odds, the strokes one and two distances around each frame of the block are."""
    loose = sliding_window_view(np.pad(activation, _LOOSE), 2 * _LOOSE + 1).max(axis=1)
    own = loose[_MARGIN : _MARGIN + _BLOCK]
    others = odds(loose, _EVIDENCE_LOWEST)
    others[: song.start], others[song.stop :] = np.nan, np.nan
    steps = (-2 * distance, -distance, distance, 2 * distance)
    around = np.stack([others[_MARGIN + step : _MARGIN + step + _BLOCK] for step in steps])
    # Far behind the song's end nothing is near; those frames are not given out.
    around[:, np.isnan(around).all(axis=0)] = -np.inf
    gap = np.nanmedian(around, axis=0) - odds(own, _EVIDENCE_LOWEST)
    return np.where(own < _NOTHING, 0.0, np.maximum(gap, 0.0))
