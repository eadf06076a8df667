"""Audio clips around moments, gathered from the shards a batch at a time.

A clip is one row copied out of a shard by its start: no position is computed per sample, so that a thousand
clips take a few milliseconds. Clips that reach past their segment are zero there.
"""

from __future__ import annotations

import numpy as np

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.store import FULL_SCALE, Dataset


class ClipSource:
    """Audio clips around moments, by row number."""

    def __init__(self, dataset: Dataset, features: FeatureConfig) -> None:
        self.dataset, self.features = dataset, features

    def cut(self, rows: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
        """Clips of moments, zeros where the segment has no audio.

        Args:
            rows: row numbers, shape (n,).
            shift: whole samples by which each clip's window moves (positive: later audio), shape (n,).

        Returns:
            float32 in -1..1, shape (n, clip_samples).
        """
        moments, length = self.dataset.moments, self.features.clip_samples
        start = moments.onset[rows] - self.features.pre_samples
        if shift is not None:
            start = start + shift.astype(np.int64)
        clips = np.empty((len(rows), length), np.float32)
        shard = moments.shard[rows]
        for number in np.unique(shard):
            mine = np.flatnonzero(shard == number)
            clips[mine] = _rows(self.dataset.shards[number], start[mine], length)
        self._silence(clips, rows, start)
        clips /= np.float32(FULL_SCALE)
        return clips

    def _silence(self, clips: np.ndarray, rows: np.ndarray, start: np.ndarray) -> None:
        """Zero what lies outside each clip's segment; most clips lie inside and are not touched."""
        first, end = self.dataset.moments.start[rows], self.dataset.moments.end[rows]
        outside = np.flatnonzero((start < first) | (start + clips.shape[1] > end))
        if len(outside):
            position = start[outside, None] + np.arange(clips.shape[1])
            clips[outside] *= (position >= first[outside, None]) & (position < end[outside, None])


def _rows(shard: np.ndarray, start: np.ndarray, length: int) -> np.ndarray:
    """``shard[start : start + length]`` for every start, int16; the parts outside the shard are arbitrary."""
    if len(shard) < length:
        return shard[np.clip(start[:, None] + np.arange(length), 0, len(shard) - 1)]
    windows = np.lib.stride_tricks.sliding_window_view(shard, length)
    clips = windows[np.clip(start, 0, len(windows) - 1)]
    over = np.flatnonzero((start < 0) | (start >= len(windows)))
    if len(over):
        clips[over] = shard[np.clip(start[over, None] + np.arange(length), 0, len(shard) - 1)]
    return clips
