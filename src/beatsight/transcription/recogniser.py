"""Who names the drums of an onset: a trained classifier (here) or the rule of thumb (``heuristic.py``)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from beatsight.audio.features import cut_clips
from beatsight.audio.io import SAMPLE_RATE
from beatsight.audio.onsets import Onsets
from beatsight.errors import InputError, require
from beatsight.files import sha256_file
from beatsight.transcription.transcriber import Method

if TYPE_CHECKING:
    from beatsight.models.checkpoint import Model

_BATCH = 64


class Recogniser(Method, Protocol):
    """Names the drums that start at each onset."""

    def recognise(self, audio: np.ndarray, onsets: Onsets) -> list[dict[str, float]]:
        """Per onset: label -> confidence 0..1 of every drum that starts there (none: a false alarm)."""


class Classifier:
    """Recogniser by a trained network."""

    is_model = True

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.name, self.device = model, name, str(model.device)

    def recognise(self, audio: np.ndarray, onsets: Onsets) -> list[dict[str, float]]:
        """Scores of the clip around each onset, those that reach their class's threshold."""
        torch = require("torch", "ml")
        config, rows = self.model.features, []
        samples = np.round(onsets.times_s * SAMPLE_RATE).astype(np.int64)
        for start in range(0, len(samples), _BATCH):
            clips = cut_clips(audio, samples[start : start + _BATCH], config)
            rows.append(self.model.scores(torch.from_numpy(clips)).cpu().numpy())
        scores = np.concatenate(rows) if rows else np.zeros((0, len(self.model.labels)))
        return [
            {
                label: float(score)
                for label, score, threshold in zip(self.model.labels, row, self.model.thresholds, strict=True)
                if score >= threshold
            }
            for row in scores
        ]


def load_classifier(path: str | os.PathLike[str], device: str = "auto") -> Classifier:
    """A recogniser from a model file.

    Raises:
        InputError: the file is missing, damaged or was trained for other audio than this program reads.
        MissingDependencyError: torch is not installed.
    """
    require("torch", "ml")
    from beatsight.models.checkpoint import load_model
    from beatsight.models.precision import choose_device

    model = load_model(path, choose_device(device))
    if model.features.sample_rate != SAMPLE_RATE:
        raise InputError(
            f"{path}: the model wants {model.features.sample_rate} Hz audio, not {SAMPLE_RATE} Hz"
        )
    kind = type(model.network).__name__
    return Classifier(model, f"{kind} {Path(path).name} sha256:{sha256_file(path)[:12]}")
