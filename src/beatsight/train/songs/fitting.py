"""What is set after training, on held-out songs: thresholds, and the calibration of velocity and openness.

Where a song's repetition is to move its activations, all is fitted on what it makes of them, and thresholds
for listening on what the network says. Velocity and openness are calibrated by a rising curve through the
medians of what was true where the network said so. How velocities are told once the whole song is known
(:mod:`beatsight.models.song_velocity`) is fitted by ridge regression, after the thresholds, since its medians
are those of what is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beatsight.audio.peaks import find_peaks
from beatsight.models.song_blocks import filtered
from beatsight.models.song_labels import GROUPS, group_of
from beatsight.models.song_model import SongModel
from beatsight.models.song_velocity import ATTACK_FRAMES, COEFFICIENTS, attack_parts, song_evidence
from beatsight.taxonomy import is_hihat
from beatsight.train.songs.thresholds import fit_second_thresholds, fit_thresholds
from beatsight.train.songs.validation import LABELS, ValidationSong

_CURVE_POINTS = 12
_PAIR_S = 0.02
# Peaks from here on are compared with strokes for the curves.
_PAIR_FROM = 0.2
# Ridge of the song's velocities, in hits; 9, 100 and 300 score alike on kits that were not fitted.
_RIDGE = 100.0
# What the network says of a whole song is taken nearly as it is: some dozens of songs of one kit cannot tell
# how far to trust it. Fitted on one kit this came out between .04 and 1.2; .9 did well on that and on others.
_MEDIAN_WEIGHT = 0.9
# Fewer pairs than this a number tell nothing.
_PAIRS_PER_NUMBER = 10


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` finds; see :class:`beatsight.models.song_model.SongSettings` for the meanings."""

    thresholds: dict[str, float]
    second_thresholds: dict[str, float]
    listening_thresholds: dict[str, float]
    velocity_curves: dict[str, list[tuple[float, float]]]
    openness_curve: list[tuple[float, float]]
    song_velocities: dict[str, list[float]]
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
    listening: dict[str, float] = {}
    if model.settings.filters():
        listening, _ = fit_thresholds(songs, activations, hop_s, threshold_raise)
        activations = [filtered(activation, model.settings.filters()) for activation in activations]
    thresholds, scores = fit_thresholds(songs, activations, hop_s, threshold_raise)
    second = fit_second_thresholds(songs, activations, hop_s, thresholds)
    curves = {
        group: _curve(*_velocities(songs, activations, index, onsets + index, hop_s, group))
        for index, group in enumerate(GROUPS)
    }
    openness = _curve(*_opennesses(songs, activations, hop_s))
    weights = {
        group: numbers
        for group, threshold in thresholds.items()
        if (numbers := _song_velocity(songs, activations, model, group, threshold))
    }
    return Fitted(thresholds, second, listening, curves, openness, weights, scores)


def _pairs(
    song: ValidationSong,
    activation: np.ndarray,
    index: int,
    hop_s: float,
    mine: np.ndarray,
    threshold: float = _PAIR_FROM,
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of peaks and the strokes they belong to."""
    peaks = find_peaks(activation[:, index], threshold)
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


def _song_velocity(
    songs: Sequence[ValidationSong],
    activations: Sequence[np.ndarray],
    model: SongModel,
    group: str,
    threshold: float,
) -> list[float]:
    """A group's numbers for :func:`beatsight.models.song_velocity.weighed`; none where there are too few
    pairs."""
    index, onsets = GROUPS.index(group), model.network.onsets
    members = [i for i, label in enumerate(model.settings.articulations) if group_of(label) == group]
    evidence, true = [np.zeros((0, COEFFICIENTS - 1))], [np.zeros(0)]
    for song, activation in zip(songs, activations, strict=True):
        frames = find_peaks(activation[:, index], threshold).frames
        mine = np.array([group_of(LABELS[label]) == group for label in song.strokes["label"]], bool)
        paired, strokes = _pairs(song, activation, index, model.frames.hop_s, mine, threshold)
        if not len(paired):
            continue
        # As beatsight.transcription.decoding measures a hit.
        near = [activation[max(0, frame - 1) : frame + 2] for frame in frames]
        said = np.array([rows[:, onsets + index].astype(np.float64).mean() for rows in near])
        articulations = [int(rows[:, len(GROUPS) + np.array(members)].max(axis=0).argmax()) for rows in near]
        around = np.clip(frames[:, None] + ATTACK_FRAMES, 0, len(song.levels) - 1)
        parts = attack_parts(song.levels[around])
        known = song_evidence(said, parts, np.zeros(len(frames), int), np.array(articulations))
        evidence.append(known[np.searchsorted(frames, paired)])
        true.append(song.strokes["velocity"][strokes].astype(np.float64))
    return _ridge(np.concatenate(evidence), np.concatenate(true))


def _ridge(evidence: np.ndarray, true: np.ndarray) -> list[float]:
    """Constant and weights: the median's is given, the others' by ridge regression on standardised
    columns."""
    if len(true) < _PAIRS_PER_NUMBER * COEFFICIENTS:
        return []
    rest, wanted = evidence[:, 1:], true - _MEDIAN_WEIGHT * evidence[:, 0]
    mean, spread = rest.mean(axis=0), rest.std(axis=0) + 1e-6
    z = (rest - mean) / spread
    weights = np.linalg.solve(z.T @ z + _RIDGE * np.eye(z.shape[1]), z.T @ (wanted - wanted.mean())) / spread
    return [round(float(value), 6) for value in (wanted.mean() - mean @ weights, _MEDIAN_WEIGHT, *weights)]


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
