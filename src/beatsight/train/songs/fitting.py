"""What is set after training, on held-out songs: thresholds, and the calibration of velocity and openness.

Thresholds maximise the F-measure of each group over the validation songs with drums, but are never so low
that a band without drums gives hits. Velocity and openness are
calibrated by a rising curve through the medians of what was true where the network said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beatsight.audio.peaks import find_peaks
from beatsight.models.song_labels import GROUPS, group_of
from beatsight.models.song_model import SongModel
from beatsight.taxonomy import is_hihat
from beatsight.train.songs.validation import LABELS, ValidationSong, f_measure, score_times

_THRESHOLDS = np.arange(0.10, 0.80, 0.02)
# All five groups together stay near one false hit a minute where no drum plays.
_FALSE_PER_MINUTE = 0.2
_CURVE_POINTS = 12
_PAIR_S = 0.02


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` finds; see :class:`beatsight.models.song_model.SongSettings` for the meanings."""

    thresholds: dict[str, float]
    velocity_curves: dict[str, list[tuple[float, float]]]
    openness_curve: list[tuple[float, float]]
    f_measure: dict[str, float]


def fit(
    model: SongModel,
    songs: Sequence[ValidationSong],
    activations: Sequence[np.ndarray],
    threshold_raise: float = 0.0,
) -> Fitted:
    """Fit all settings.

    Args:
        model: whose frames the activations have.
        songs: the validation songs.
        activations: of each, shape (frames, outputs).
        threshold_raise: added to the thresholds that are best for these songs.
    """
    hop_s, onsets = model.frames.hop_s, model.network.onsets
    thresholds, scores, curves = {}, {}, {}
    for index, group in enumerate(GROUPS):
        counts = np.zeros((len(_THRESHOLDS), 3), np.int64)
        for song, activation in zip(songs, activations, strict=True):
            if song.kind == "band":
                continue
            # All candidates once; a higher threshold only removes some.
            peaks = find_peaks(activation[:, index], float(_THRESHOLDS[0]))
            heard, unheard = song.onsets(group)
            for row, threshold in enumerate(_THRESHOLDS):
                found = peaks.positions[peaks.heights >= threshold] * hop_s
                counts[row] += score_times(heard, unheard, found)
        values = np.array([f_measure(row.tolist()) for row in counts])
        # The middle of the plateau, not its accidental top.
        near = np.flatnonzero(values >= values.max() - 0.003)
        best = float(_THRESHOLDS[near].mean())
        quiet = _quiet_threshold(songs, activations, index, hop_s)
        thresholds[group] = round(max(best + threshold_raise, quiet), 3)
        scores[group] = round(float(values.max()), 4)
        curves[group] = _curve(*_velocities(songs, activations, index, onsets + index, hop_s, group))
    openness = _curve(*_opennesses(songs, activations, hop_s))
    return Fitted(thresholds, curves, openness, scores)


def _quiet_threshold(
    songs: Sequence[ValidationSong], activations: Sequence[np.ndarray], index: int, hop_s: float
) -> float:
    """From which threshold on a group is as good as silent where a band plays without drums."""
    heights, minutes = [], 0.0
    for song, activation in zip(songs, activations, strict=True):
        if song.kind == "band":
            heights.append(find_peaks(activation[:, index], float(_THRESHOLDS[0])).heights)
            minutes += len(activation) * hop_s / 60.0
    allowed = int(_FALSE_PER_MINUTE * minutes)
    ordered = np.sort(np.concatenate(heights))[::-1] if heights else np.zeros(0)
    return float(ordered[allowed]) + 1e-3 if len(ordered) > allowed else 0.0


def _pairs(
    song: ValidationSong, activation: np.ndarray, index: int, hop_s: float, mine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of peaks and the strokes they belong to."""
    peaks = find_peaks(activation[:, index], 0.2)
    times, strokes = peaks.positions * hop_s, np.flatnonzero(mine)
    if not len(times) or not len(strokes):
        return np.zeros(0, int), np.zeros(0, int)
    nearest = np.abs(times[:, None] - song.strokes["time_s"][strokes][None]).argmin(axis=1)
    close = np.abs(times - song.strokes["time_s"][strokes][nearest]) < _PAIR_S
    return peaks.frames[close], strokes[nearest[close]]


def _velocities(
    songs: Sequence[ValidationSong],
    activations: Sequence[np.ndarray],
    index: int,
    column: int,
    hop_s: float,
    group: str,
) -> tuple[np.ndarray, np.ndarray]:
    said, true = [], []
    for song, activation in zip(songs, activations, strict=True):
        mine = np.array([group_of(LABELS[label]) == group for label in song.strokes["label"]], bool)
        frames, strokes = _pairs(song, activation, index, hop_s, mine)
        said.append(activation[frames, column])
        true.append(song.strokes["velocity"][strokes])
    return np.concatenate(said), np.concatenate(true)


def _opennesses(
    songs: Sequence[ValidationSong], activations: Sequence[np.ndarray], hop_s: float
) -> tuple[np.ndarray, np.ndarray]:
    said, true = [], []
    sticks = np.array([is_hihat(label) and label != "hihat_pedal" for label in LABELS])
    for song, activation in zip(songs, activations, strict=True):
        mine = sticks[song.strokes["label"]] & ~np.isnan(song.strokes["openness"])
        frames, strokes = _pairs(song, activation, GROUPS.index("HH"), hop_s, mine)
        said.append(activation[frames, -1])
        true.append(song.strokes["openness"][strokes])
    return np.concatenate(said), np.concatenate(true)


def _curve(said: np.ndarray, true: np.ndarray) -> list[tuple[float, float]]:
    """A rising curve through the medians of equally many pairs; none where there are too few."""
    if len(said) < 10 * _CURVE_POINTS:
        return []
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, _CURVE_POINTS)
    raw = np.array([np.median(said[part]) for part in parts])
    level = np.maximum.accumulate([float(np.median(true[part])) for part in parts])
    keep = np.flatnonzero(np.diff(raw, prepend=-1.0) > 1e-4)
    return [(round(float(raw[i]), 4), round(float(level[i]), 4)) for i in keep]
