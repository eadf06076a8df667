"""Which transcriber is used, and how that is decided.

The order of precedence, the same for the command line and Python:

1. an explicit model file (``--ml-model``), which must exist: a transcriber or a classifier, told apart by
   what the file says of itself;
2. ``--no-ml`` or the environment's ``BEATSIGHT_USE_ML_CLASSIFIER=0``: the rule of thumb;
3. ``BEATSIGHT_ML_MODEL_PATH``, which must exist: likewise either;
4. with ``BEATSIGHT_USE_ML_CLASSIFIER=1`` (in Python ``use_ml=True``), the classifier
   ``models/best_drum_classifier.pth`` under the current folder, if it is there;
5. the transcriber that comes with the package.

What was decided is written into the chart. The default needs no torch.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import safetensors

from beatsight.errors import InputError, UsageError
from beatsight.models.song_model import FORMAT as SONG_FORMAT
from beatsight.transcription.heuristic import Heuristic
from beatsight.transcription.onset_transcriber import OnsetTranscriber
from beatsight.transcription.recogniser import load_classifier
from beatsight.transcription.song_transcriber import (
    SongTranscriber,
    load_song_transcriber,
    shipped_transcriber,
)
from beatsight.transcription.transcriber import Transcriber

DEFAULT_CLASSIFIER = Path("models") / "best_drum_classifier.pth"
MODEL_PATH_VARIABLE = "BEATSIGHT_ML_MODEL_PATH"
USE_ML_VARIABLE = "BEATSIGHT_USE_ML_CLASSIFIER"
_OFF, _ON, _UNSAID = frozenset({"0", "false", "no", "off"}), frozenset({"1", "true", "yes", "on"}), ""
_SAFETENSORS = ".safetensors"
_KEY = "beatsight"


@dataclass(frozen=True)
class Choice:
    """What is asked for; plain values, so that it can be handed to another process.

    Attributes:
        model: model file, or None.
        use_ml: False for the rule of thumb, True for a model whatever the environment's switch says, None to
            let the environment decide.
        device: where the model runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        engine: what runs a transcriber, see :mod:`beatsight.transcription.runners`; None: as suits the
        device.
    """

    model: str | os.PathLike[str] | None = None
    use_ml: bool | None = None
    device: str = "auto"
    engine: str | None = None


def choose_transcriber(choice: Choice | None = None) -> Transcriber:
    """Decide by the rules in the module's text.

    Raises:
        UsageError: a model is asked for and refused at once, the environment's switch has no sense, or an
        engine
            is named for what is no transcriber's model.
        InputError: the model that was asked for is missing or not usable.
        MissingDependencyError: a package that it needs is not installed.
    """
    return _chosen(choice or Choice(), streaming=False)


def _chosen(choice: Choice, streaming: bool) -> Transcriber:
    switch = os.environ.get(USE_ML_VARIABLE, "").strip().lower()
    if switch not in _OFF | _ON | {_UNSAID}:
        raise UsageError(f"{USE_ML_VARIABLE}={switch!r} is neither on (1) nor off (0)")
    if choice.model is not None:
        if choice.use_ml is False:
            raise UsageError("--ml-model and --no-ml exclude each other")
        return load_transcriber(choice.model, engine=choice.engine, device=choice.device)
    if choice.use_ml is False or (choice.use_ml is None and switch in _OFF):
        if choice.engine is not None:
            raise UsageError("--engine is for a transcriber's model, and the rule of thumb was asked for")
        return OnsetTranscriber(Heuristic())
    if path := os.environ.get(MODEL_PATH_VARIABLE):
        if not Path(path).is_file():
            raise InputError(f"{path}: no such model file (set in {MODEL_PATH_VARIABLE})")
        return load_transcriber(path, engine=choice.engine, device=choice.device)
    if (choice.use_ml or switch in _ON) and DEFAULT_CLASSIFIER.is_file():
        return load_transcriber(DEFAULT_CLASSIFIER, engine=choice.engine, device=choice.device)
    return shipped_transcriber(engine=choice.engine, device=choice.device, streaming=streaming)


def choose_listener(choice: Choice | None = None) -> SongTranscriber:
    """The transcriber for audio that is being played: a model asked for, else the package's quickest.

    Raises:
        UsageError: what is asked for cannot answer before a song ends, or asks for another engine than NumPy.
        InputError, MissingDependencyError: as :func:`choose_transcriber`.
    """
    choice = choice or Choice()
    if choice.engine not in (None, "numpy") or choice.device.startswith("cuda"):
        raise UsageError("--stream runs in NumPy on the processor; leave --engine and --device away")
    chosen = _chosen(choice, streaming=True)
    if not isinstance(chosen, SongTranscriber):
        raise UsageError(
            f"--stream needs a transcriber's model; {chosen.name} answers only when a song has ended"
        )
    return chosen


def load_transcriber(
    path: str | os.PathLike[str], *, engine: str | None = None, device: str = "auto"
) -> Transcriber:
    """A transcriber from a model file of either kind; nothing is unpickled to tell.

    Raises:
        InputError: the file is missing, damaged or no model.
        UsageError: ``engine`` is given for a classifier.
        MissingDependencyError: a classifier's file, and torch is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if is_song_model(path):
        return load_song_transcriber(path, engine=engine, device=device)
    if engine is not None:
        raise UsageError(f"{path}: is no transcriber, and only those are run by --engine {engine}")
    return OnsetTranscriber(load_classifier(path, device))


def is_song_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is to be read as a transcriber: it says so, or is a ``.safetensors`` that says nothing.

    Raises:
        InputError: a ``.safetensors`` file is damaged.
    """
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        if path.suffix.lower() == _SAFETENSORS:
            raise InputError(f"{path}: is damaged or not a safetensors file") from error
        return False
    try:
        content = json.loads(metadata.get(_KEY, "null"))
    except (ValueError, RecursionError):
        return False
    # The classifier's reader says what is wrong with a description that is damaged.
    return content is None or (isinstance(content, dict) and content.get("format") == SONG_FORMAT)
