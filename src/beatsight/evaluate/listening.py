"""Moments of a dataset to hear and see on a page: a short WAV and the picture that the network got.

A clip is ``CLIP_S`` long with ``BEFORE_S`` before the onset; every clip is brought to the same peak, because
what is to be judged is what it is and not how loud. Where the dataset holds no sound, it is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from beatsight.audio.features import FeatureConfig, clip_features
from beatsight.dataset.clips import ClipSource
from beatsight.dataset.store import Dataset
from beatsight.report.clips import Sight, clip_picture
from beatsight.report.sound import clip_wav

CLIP_S = 0.6
BEFORE_S = 0.15


def sights_of(dataset: Dataset, rows: Sequence[int], features: FeatureConfig) -> dict[int, Sight]:
    """The sound and the picture of some rows of a dataset, by row.

    Args:
        dataset: an opened dataset.
        rows: row numbers, repeated ones once.
        features: those of the model, for the pictures.
    """
    wanted = np.array(sorted(set(rows)), np.int64)
    if not len(wanted):
        return {}
    rate = features.sample_rate
    clips = ClipSource(dataset, features).cut(wanted)
    pictures = clip_features(torch.from_numpy(clips), features).numpy()
    sounds = ClipSource(dataset, _window(features)).cut(wanted)
    share = (features.pre_frames + 0.5) / features.frames
    return {
        row: Sight(clip_wav(sound, rate, CLIP_S), clip_picture(picture, share, f"Log-mel clip of row {row}"))
        for row, sound, picture in zip(wanted.tolist(), sounds, pictures, strict=True)
    }


def _window(features: FeatureConfig) -> FeatureConfig:
    """Settings whose clip is the stretch to be heard."""
    frame_s = features.hop_length / features.sample_rate
    window_s = features.n_fft / features.sample_rate
    return replace(
        features,
        frames=max(1, round((CLIP_S - window_s) / frame_s) + 1),
        pre_frames=max(0, round((BEFORE_S - window_s / 2) / frame_s)),
    )
