"""From which activation on a peak is a hit, fitted on held-out songs.

Thresholds maximise the F-measure of each group over the validation songs with drums; where a band without
drums gives hits they are higher, as far as that costs the F-measure little. A second articulation of a group
(a crash with a ride) is a hit of its own from where on it mostly is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beatsight.audio.peaks import find_peaks
from beatsight.models.song_labels import ARTICULATIONS, GROUPS, articulation_of, group_of
from beatsight.train.songs.validation import LABELS, ValidationSong, f_measure, score_times

_THRESHOLDS = np.arange(0.10, 0.80, 0.02)
# All five groups together stay near one false hit a minute where no drum plays.
_FALSE_PER_MINUTE = 0.2
# Two loud false kicks in ten minutes are no reason to miss every third kick.
_QUIET_COSTS = 0.01
# A peak and a stroke this near are one. Second strokes need so many examples, and to be right so often: one
# that is invented costs as much as one that is missed, and there are many more chances for it.
_SAME_S = 0.02
# Two toms are too alike: fitted on one set of rendered songs, their second hits were mostly wrong on another.
_TOLD_APART = ("CY",)
_FEWEST_SECONDS, _RIGHT = 8, 0.85


def fit_thresholds(
    songs: Sequence[ValidationSong],
    activations: Sequence[np.ndarray],
    hop_s: float,
    threshold_raise: float = 0.0,
) -> tuple[dict[str, float], dict[str, float]]:
    """The threshold of each group, and the F-measure it reaches without ``threshold_raise``.

    Args:
        songs: the validation songs.
        activations: of each, shape (frames, outputs).
        hop_s: between frames.
        threshold_raise: added to what is best for these songs.
    """
    thresholds, scores = {}, {}
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
        bearable = _THRESHOLDS[np.flatnonzero(values >= values.max() - _QUIET_COSTS)[-1]]
        quiet = min(_quiet_threshold(songs, activations, index, hop_s), float(bearable))
        thresholds[group] = round(max(best + threshold_raise, quiet), 3)
        scores[group] = round(float(values.max()), 4)
    return thresholds, scores


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


def fit_second_thresholds(
    songs: Sequence[ValidationSong],
    activations: Sequence[np.ndarray],
    hop_s: float,
    thresholds: dict[str, float],
) -> dict[str, float]:
    """From where on a group's weaker articulation is a hit beside its strongest, where that can be told."""
    found = {}
    for group in _TOLD_APART:
        members = [i for i, label in enumerate(ARTICULATIONS) if group_of(label) == group]
        said: dict[int, list[float]] = {i: [] for i in members}
        true: dict[int, list[bool]] = {i: [] for i in members}
        for song, activation in zip(songs, activations, strict=True):
            names = np.array([articulation_of(LABELS[label]) or "" for label in song.strokes["label"]])
            index = GROUPS.index(group)
            peaks = find_peaks(activation[:, index], thresholds[group])
            for frame, time in zip(peaks.frames, peaks.positions * hop_s, strict=True):
                near = activation[max(0, frame - 1) : frame + 2]
                strengths = near[:, [len(GROUPS) + i for i in members]].max(axis=0)
                played = set(names[np.abs(song.strokes["time_s"] - time) < _SAME_S])
                for i, strength in zip(members, strengths, strict=True):
                    if strength < strengths.max():
                        said[i].append(float(strength))
                        true[i].append(ARTICULATIONS[i] in played)
        for i in members:
            threshold = _second(np.array(said[i]), np.array(true[i], bool))
            if threshold is not None:
                found[ARTICULATIONS[i]] = threshold
    return found


def _second(said: np.ndarray, true: np.ndarray) -> float | None:
    if true.sum() < _FEWEST_SECONDS:
        return None
    order = np.argsort(said)[::-1]
    hits, taken = np.cumsum(true[order]), np.arange(1, len(order) + 1)
    scores = np.where(hits >= _RIGHT * taken, 2 * hits / (taken + true.sum()), 0.0)
    best = int(np.argmax(scores))
    return round(float(said[order[best]]), 3) if hits[best] >= _FEWEST_SECONDS / 2 else None
