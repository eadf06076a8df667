"""Scores for any rows that name an audio file and a time: what the gates judge a model by.

Rows are events, or the boundary pack's: a row with ``window_start_s`` and ``window_size`` (milliseconds) is
heard as a streaming recogniser would hear it, with silence outside its window. Predictions keep the order and
the ids of the rows. One audio file is held at a time; beside it only ids and scores.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch

from beatsight.audio.features import FeatureConfig, cut_clips
from beatsight.audio.io import load
from beatsight.errors import InputError
from beatsight.evaluate.answers import answer
from beatsight.events import Name, Prediction, decode_as, numbered_lines, read_events, write_records
from beatsight.events.files import PARQUET
from beatsight.events.records import Seconds
from beatsight.files import inside
from beatsight.models.checkpoint import Model
from beatsight.models.heads import OPENNESS, VELOCITY

_BATCH = 64
_MS_PER_S = 1000.0


class Moment(msgspec.Struct, kw_only=True, gc=False):
    """What is needed of a row; other keys are passed over."""

    sample_id: Name
    audio_path: Name
    onset_time: Seconds
    session_id: str | None = None
    window_start_s: Seconds | None = None
    window_size: Seconds | None = None


def read_moments(path: str | os.PathLike[str]) -> list[Moment]:
    """The rows of an events manifest (any format) or of a boundary pack.

    Raises:
        InputError: the file cannot be read, holds no rows, or a row lacks a key.
    """
    if Path(path).suffix.lower() == PARQUET:
        fields = ("sample_id", "audio_path", "onset_time", "session_id")
        rows = [{name: getattr(event, name) for name in fields} for event in read_events(path)]
        try:
            return msgspec.convert(rows, list[Moment])
        except msgspec.ValidationError as error:
            raise InputError(f"{path}: an event names no audio file: {error}") from error
    moments = [decode_as(line, Moment, f"{path}:{number}") for number, line in numbered_lines(path)]
    if not moments:
        raise InputError(f"{path}: holds no rows")
    return moments


def predict_rows(
    rows: str | os.PathLike[str],
    model: Model,
    output: str | os.PathLike[str],
    *,
    audio_root: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a model's prediction for every row, in their order.

    Args:
        rows: events of any format, or a boundary pack.
        model: the classifier.
        output: predictions, ``.jsonl`` (``.gz``, ``.zst``) or ``.parquet``.
        audio_root: folder that ``audio_path`` starts from and must stay inside; by default that of ``rows``.
        progress: called with (audio files done, audio files in all).

    Returns:
        the number of predictions.

    Raises:
        InputError: a faulty row, audio that is missing or damaged, a moment after the end of its audio.
    """
    moments = read_moments(rows)
    root = Path(rows).parent if audio_root is None else Path(audio_root)
    by_file: dict[str, list[int]] = defaultdict(list)
    for index, moment in enumerate(moments):
        by_file[moment.audio_path].append(index)
    heard = _Answers(len(moments), len(model.labels), model.network.config.heads)
    for done, (name, indices) in enumerate(by_file.items(), start=1):
        audio = load(inside(root, name), model.features.sample_rate)
        _hear(model, audio, [moments[index] for index in indices], rows, heard, np.array(indices))
        if progress:
            progress(done, len(by_file))
    return write_records(output, (_prediction(model, moment, heard, at) for at, moment in enumerate(moments)))


class _Answers:
    """What a model said of every row; None where it has no such head."""

    def __init__(self, rows: int, classes: int, heads: Sequence[str]) -> None:
        self.scores = np.zeros((rows, classes), np.float32)
        self.velocity = np.zeros((rows, classes), np.float32) if VELOCITY in heads else None
        self.openness = np.zeros(rows, np.float32) if OPENNESS in heads else None


def _prediction(model: Model, moment: Moment, heard: _Answers, at: int) -> Prediction:
    where = Prediction(
        sample_id=moment.sample_id,
        session_id=moment.session_id,
        audio_path=moment.audio_path,
        onset_time=moment.onset_time,
        scores={},
    )
    velocity, openness = heard.velocity, heard.openness
    return answer(
        where, model.labels, heard.scores[at], heard.scores[at] >= model.thresholds,
        None if velocity is None else velocity[at], None if openness is None else float(openness[at]),
    )  # fmt: skip


def _hear(
    model: Model, audio: np.ndarray, moments: Sequence[Moment], where: str | os.PathLike[str],
    heard: _Answers, places: np.ndarray,
) -> None:  # fmt: skip
    """Answers of the moments of one recording, put to their places."""
    rate = model.features.sample_rate
    onsets = np.round(np.array([moment.onset_time for moment in moments]) * rate).astype(np.int64)
    if (late := onsets >= len(audio)).any():
        moment = moments[int(late.argmax())]
        raise InputError(
            f"{where}: sample {moment.sample_id!r}: onset_time {moment.onset_time:.3f} s lies after the end "
            f"of {moment.audio_path} ({len(audio) / rate:.3f} s)"
        )
    for start in range(0, len(moments), _BATCH):
        part = slice(start, start + _BATCH)
        clips = cut_clips(audio, onsets[part], model.features)
        _silence_outside(clips, onsets[part], moments[part], model.features)
        said = model.hear(torch.from_numpy(clips))
        heard.scores[places[part]] = said.scores.cpu().numpy()
        if heard.velocity is not None and said.velocity is not None:
            heard.velocity[places[part]] = said.velocity.cpu().numpy()
        if heard.openness is not None and said.openness is not None:
            heard.openness[places[part]] = said.openness.cpu().numpy()


def _silence_outside(
    clips: np.ndarray, onsets: np.ndarray, moments: Sequence[Moment], features: FeatureConfig
) -> None:
    """What a recogniser with a window has not heard: zero every sample before its start or after its end."""
    for clip, onset, moment in zip(clips, onsets.tolist(), moments, strict=True):
        if moment.window_start_s is None or moment.window_size is None:
            continue
        first = round(moment.window_start_s * features.sample_rate)
        last = first + round(moment.window_size / _MS_PER_S * features.sample_rate)
        begin = onset - features.pre_samples
        clip[: max(0, first - begin)] = 0.0
        clip[max(0, last - begin) :] = 0.0
