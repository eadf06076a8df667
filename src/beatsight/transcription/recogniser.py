"""Who names the drums of an onset: a trained model, or the heuristic; and how that is decided.

The order of precedence, the same for the command line and Python:

1. an explicit model file (``--ml-model``), which must exist;
2. the environment's ``BEATSIGHT_USE_ML_CLASSIFIER=0`` or ``--no-ml``: the heuristic;
3. ``BEATSIGHT_ML_MODEL_PATH``, which must exist;
4. ``models/best_drum_classifier.pth`` under the current folder, if it is there;
5. the heuristic.

What was decided is written into the chart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from beatsight.audio.features import cut_clips
from beatsight.audio.io import SAMPLE_RATE
from beatsight.audio.onsets import Onsets
from beatsight.errors import InputError, UsageError, require
from beatsight.files import sha256_file
from beatsight.transcription.heuristic import Heuristic

if TYPE_CHECKING:
    from beatsight.models.checkpoint import Model

DEFAULT_MODEL = Path("models") / "best_drum_classifier.pth"
MODEL_PATH_VARIABLE = "BEATSIGHT_ML_MODEL_PATH"
USE_ML_VARIABLE = "BEATSIGHT_USE_ML_CLASSIFIER"
_OFF = frozenset({"0", "false", "no", "off"})
_ON = frozenset({"", "1", "true", "yes", "on"})
_BATCH = 64


class Recogniser(Protocol):
    """Names the drums that start at each onset."""

    @property
    def name(self) -> str:
        """What is written into the chart's metadata."""

    def recognise(self, audio: np.ndarray, onsets: Onsets) -> list[dict[str, float]]:
        """Per onset: label -> confidence 0..1 of every drum that starts there (none: a false alarm)."""


class Classifier:
    """Recogniser by a trained network."""

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.name = model, name

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


def choose_recogniser(
    model: str | os.PathLike[str] | None = None, *, use_ml: bool | None = None, device: str = "auto"
) -> Recogniser:
    """Decide by the rules in the module's text.

    Args:
        model: model file asked for, or None.
        use_ml: False for the heuristic, True for a model whatever the environment's switch says, None to let
            the environment decide.
        device: where the model runs.

    Raises:
        UsageError: a model is asked for and refused at once, or the environment's switch has no sense.
        InputError: the model that was asked for is missing or not usable.
    """
    switch = os.environ.get(USE_ML_VARIABLE, "").strip().lower()
    if switch not in _OFF | _ON:
        raise UsageError(f"{USE_ML_VARIABLE}={switch!r} is neither on (1) nor off (0)")
    if model is not None:
        if use_ml is False:
            raise UsageError("--ml-model and --no-ml exclude each other")
        return load_classifier(model, device)
    if use_ml is False or (use_ml is None and switch in _OFF):
        return Heuristic()
    if path := os.environ.get(MODEL_PATH_VARIABLE):
        if not Path(path).is_file():
            raise InputError(f"{path}: no such model file (set in {MODEL_PATH_VARIABLE})")
        return load_classifier(path, device)
    if DEFAULT_MODEL.is_file():
        return load_classifier(DEFAULT_MODEL, device)
    if use_ml:
        raise InputError(f"{DEFAULT_MODEL}: no such model file; name one, or set {MODEL_PATH_VARIABLE}")
    return Heuristic()
