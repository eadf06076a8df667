"""What comes round again: a song's own repetition as evidence for single hits.

Drummers repeat: what a bar has, bars like it mostly have. A hat that the guitar hides in one bar is heard in
others; a "cymbal" that only one bar has, where ten alike have none, is more likely a guitar. So every
activation is compared with those at moments whose surroundings look the same, up to 15 s before and after,
and its log-odds move towards theirs. The idea is that of non-local means (A. Buades, B. Coll, J.-M. Morel,
"A non-local algorithm for image denoising", CVPR 2005), on onset activations. Deviations: only shifts in time
are searched, likeness is the cosine of the groups' activations over 2.4 s, and evidence in favour counts more
than evidence against, because fills and crashes are played once.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from beatsight.models.song_blocks import BlockFilter, odds

# Two frames at a time: likeness need not be finer than the hands.
_STRIDE = 2
# In strided frames (20 ms): a block, how far other moments may lie, the nearest, and half the surroundings.
_BLOCK, _FAR, _NEAR, _HALF = 640, 750, 20, 60
# Rows that are worked on together: what is known of them stays in the cache. Divides a block.
_STRIP = 64
_MARGIN = _FAR + _HALF
# Moments less alike say nothing; the doubt that all evidence has to overcome.
_ALIKE, _DOUBT = 0.3, 0.1
_EVIDENCE_LOWEST = 1e-2
# Repetition makes no hits of its own: this much the network must have heard.
_NOTHING = 0.06
# Hits of a bar and of the one before differ by some hundredths of a second.
_LOOSE = 3
_ALIKE_REACH = 2


class RepetitionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far repetition moves the log-odds of each group, 0 (not at all) to 1 (to what the others say).

    Attributes:
        up: where moments alike have more.
        down: where they have less.
        fills: groups that are mostly played once.
        fills_down: ``down`` of those.
    """

    up: float = 0.9
    down: float = 0.5
    fills: tuple[str, ...] = ("TT",)
    fills_down: float = 0.2


def _pooled(activations: np.ndarray, reach: int) -> np.ndarray:
    """The highest within ``reach`` frames, of every second frame that has so many on either side."""
    return sliding_window_view(activations, 2 * reach + 1, axis=0)[::_STRIDE].max(axis=-1)


def _likeness_sums(features: np.ndarray) -> np.ndarray:
    """Products of each frame with all that lie up to ``_FAR`` away, summed along the song.

    Args:
        features: as of :func:`_evidence`.

    Returns:
        shape (_BLOCK + 2 * _HALF + 1, 2 * _FAR + 1): row t has the sum of the t rows before it.
    """
    rows, shifts = _BLOCK + 2 * _HALF, 2 * _FAR + 1
    sums = np.zeros((rows + 1, shifts), np.float32)
    for start in range(0, rows, _STRIP):
        strip = features[_FAR + start : _FAR + min(start + _STRIP, rows)]
        gram = strip @ features[start : start + len(strip) + shifts - 1].T
        step = gram.strides[1]
        # Row t, column k: the frame with the one k - _FAR later.
        pairs = as_strided(gram, (len(strip), shifts), (gram.strides[0] + step, step))
        # Row by row: along the columns, as np.cumsum goes, would miss the cache.
        for row, products in enumerate(pairs, start):
            np.add(sums[row], products, out=sums[row + 1])
    return sums


def _evidence(features: np.ndarray, loose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What moments alike have, and how much that is worth (0..1), for the block in the middle.

    Args:
        features, loose: shape (_BLOCK + 2 * _MARGIN, groups), zeros where there is no song.

    Returns:
        shapes (_BLOCK, groups) and (_BLOCK, 1).
    """
    shifts, wide = 2 * _FAR + 1, 2 * _HALF + 1
    sums = _likeness_sums(features)
    energy = np.concatenate([[0.0], np.cumsum(np.square(features, dtype=np.float64).sum(axis=1))])
    size = np.sqrt(np.maximum(energy[wide:] - energy[:-wide], 0.0) + 1e-3).astype(np.float32)
    sizes = sliding_window_view(size, shifts)
    others = sliding_window_view(loose[_HALF:-_HALF], shifts, axis=0)
    said, total = np.empty((_BLOCK, loose.shape[1]), np.float32), np.empty((_BLOCK, 1), np.float32)
    for start in range(0, _BLOCK, _STRIP):
        end = start + _STRIP
        weights = sums[start + wide : end + wide] - sums[start:end]
        weights /= size[_FAR + start : _FAR + end, None]
        weights /= sizes[start:end]
        weights -= np.float32(_ALIKE)
        np.square(np.maximum(weights, 0.0, out=weights), out=weights)
        weights[:, _FAR - _NEAR + 1 : _FAR + _NEAR] = 0.0
        total[start:end] = weights.sum(axis=1, keepdims=True)
        said[start:end] = np.einsum("tk,tgk->tg", weights, others[start:end])
    return said / np.maximum(total, 1e-9), total / (total + np.float32(_DOUBT))


def _towards(
    own: np.ndarray, others: np.ndarray, worth: np.ndarray, down: np.ndarray, up: float
) -> np.ndarray:
    """By how much log-odds move: towards the others', nowhere where the network heard nothing at all."""
    gap = (odds(others, _EVIDENCE_LOWEST) - odds(own)) * worth
    return np.where(own < _NOTHING, 0.0, np.where(gap > 0.0, up * gap, down * gap))


class Repetition(BlockFilter):
    """Activations in, activations that a song's repetition has moved out, half a minute late at most."""

    def __init__(self, groups: Sequence[str], config: RepetitionConfig) -> None:
        super().__init__(len(groups), _STRIDE * _BLOCK, _STRIDE * _MARGIN + _LOOSE)
        self._up = config.up
        self._down = np.array(
            [config.fills_down if group in config.fills else config.down for group in groups], np.float32
        )

    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        trimmed = _LOOSE - _ALIKE_REACH
        loose = _pooled(around, _LOOSE)
        others, worth = _evidence(_pooled(around[trimmed : len(around) - trimmed], _ALIKE_REACH), loose)
        shift = _towards(loose[_MARGIN : _MARGIN + _BLOCK], others, worth, self._down, self._up)
        # One shift for a whole peak, whose shape tells its time.
        return np.repeat(shift, _STRIDE, axis=0)
