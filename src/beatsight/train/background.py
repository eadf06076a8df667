"""Recordings without drums, to be laid under training clips."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from beatsight.audio.features import FeatureConfig
from beatsight.audio.io import AUDIO_SUFFIXES, load
from beatsight.errors import InputError

# Of all recordings together: 106 MB of float32 at 44.1 kHz, and 1 600 clips that do not overlap.
_MOST_S = 600.0
# Each gives the same share at most, so more would be stretches of a few seconds; and each must be decoded.
_MOST_RECORDINGS = 60


def read_background(folder: str | os.PathLike[str], features: FeatureConfig, notes: list[str]) -> np.ndarray:
    """The recordings of a folder and its sub-folders end to end, ten minutes of them at most.

    Args:
        folder: holds audio files; of more than 60, 60 spread evenly over their sorted names are read.
        features: settings of the clips.
        notes: told what is left out.

    Returns:
        float32 mono at the features' rate, at least a clip long.

    Raises:
        InputError: no such folder, no recordings in it, a damaged one, or less than a clip of sound.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder}: is not a folder of recordings to lay under the clips")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise InputError(f"{folder}: holds no recordings to lay under the clips")
    chosen = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), _MOST_RECORDINGS)).round().astype(int))
    share = int(_MOST_S / len(chosen) * features.sample_rate)
    audio = np.concatenate([load(paths[index], features.sample_rate)[:share] for index in chosen])
    if len(audio) < features.clip_samples:
        seconds = len(audio) / features.sample_rate
        raise InputError(f"{folder}: its recordings last {seconds:.3f} s together, less than a clip")
    if len(chosen) < len(paths):
        notes.append(f"{folder}: {len(chosen)} of {len(paths)} recordings are laid under clips")
    return audio
