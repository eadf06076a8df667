"""What the network should say of a piece: per frame, how near an onset of every drum is, and how it is.

An onset is a triangle over the frames around its exact time, so that the centre of gravity of what the
network answers tells the time to a fraction of a frame. Velocity and openness are asked for at those frames
only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beatsight.audio.frames import FLOOR_DB, FrameConfig
from beatsight.dataset.frames.shards import LABELS
from beatsight.models.song_labels import ARTICULATIONS, GROUPS, articulation_of, group_of
from beatsight.taxonomy import is_hihat

_NONE = -1
# Of every label of the strokes: the number of its group, -1 for percussion that is not asked for.
COARSE = np.array(
    [_NONE if group_of(label) is None else GROUPS.index(group_of(label) or "") for label in LABELS]
)
_ARTICULATION = np.array(
    [
        _NONE if articulation_of(label) is None else ARTICULATIONS.index(articulation_of(label) or "")
        for label in LABELS
    ]
)
# Openness is that of a stroke with a stick; a pedal's is zero by its name.
_STICK_HAT = np.array([is_hihat(label) and label != "hihat_pedal" for label in LABELS])


@dataclass(frozen=True)
class TargetConfig:
    """Settings of the targets.

    Attributes:
        half_width: frames from an onset's top to zero.
        onset_weight: of a frame with an onset against one without.
        inaudible_weight: of an onset that is not heard, against one that is.
    """

    half_width: float = 2.0
    onset_weight: float = 2.0
    inaudible_weight: float = 0.05


@dataclass(frozen=True, eq=False)
class Targets:
    """Onsets and their weights (…, frames, groups + articulations); velocity (…, frames, groups) and openness
    (…, frames, 1) with weights that are 0 where nothing is asked."""

    onsets: np.ndarray
    weights: np.ndarray
    velocity: np.ndarray
    velocity_weights: np.ndarray
    openness: np.ndarray
    openness_weights: np.ndarray

    @staticmethod
    def stack(many: Sequence[Targets]) -> Targets:
        """Targets of several pieces as one batch."""
        names = ("onsets", "weights", "velocity", "velocity_weights", "openness", "openness_weights")
        return Targets(*(np.stack([getattr(one, name) for one in many]) for name in names))


# A stroke that makes half of the power in its five best bands is heard in full; one that makes a fifteenth
# is not.
_HEARD_DB, _UNHEARD_DB = -3.0, -12.0
_BEST_BANDS = 5
# Strokes whose attack is not known are heard by the rise of the mix, in its best bands.
_RISE_DB = (1.5, 6.0)


def audibility(levels: np.ndarray, positions: np.ndarray, attacks: np.ndarray) -> np.ndarray:
    """How well each stroke is heard in the mix, 0 to 1: a soft hat under a snare is not, whoever played it.

    Args:
        levels: of the mix in dB, shape (frames, bands).
        positions: of the strokes in frames, shape (n,).
        attacks: levels of each stroke alone in dB, shape (n, bands); all at the lowest where not known.
    """
    if not len(positions):
        return np.zeros(0)
    last, frames = len(levels) - 1, np.round(positions).astype(int)
    after = np.stack([levels[np.clip(frames + k, 0, last)] for k in (0, 1, 2)]).max(axis=0)
    before = np.stack([levels[np.clip(frames + k, 0, last)] for k in (-4, -3)]).mean(axis=0)
    share = np.minimum(np.sort(attacks - after, axis=1)[:, -_BEST_BANDS:], 0.0).mean(axis=1)
    by_share = np.clip((share - _UNHEARD_DB) / (_HEARD_DB - _UNHEARD_DB), 0.0, 1.0)
    rise = np.sort(after - before, axis=1)[:, -_BEST_BANDS:].mean(axis=1)
    by_rise = np.clip((rise - _RISE_DB[0]) / (_RISE_DB[1] - _RISE_DB[0]), 0.0, 1.0)
    known = attacks.max(axis=1) > FLOOR_DB + 1.0
    return np.where(known, by_share, by_rise)


def make_targets(
    levels: np.ndarray, strokes: np.ndarray, heard: np.ndarray, config: TargetConfig, frames: FrameConfig
) -> Targets:
    """Targets of one piece.

    Args:
        levels: of the mix in dB, shape (frames, bands).
        strokes: table of :data:`beatsight.dataset.frames.shards.STROKE`, times from the piece's first frame.
        heard: of each stroke, :func:`audibility`.
        config: the settings.
        frames: of the levels.
    """
    n = len(levels)
    onsets = np.zeros((n, len(GROUPS) + len(ARTICULATIONS)), np.float32)
    faint = np.ones_like(onsets)
    velocity, openness = np.zeros((n, len(GROUPS)), np.float32), np.zeros((n, 1), np.float32)
    asked, asked_openness = np.zeros_like(velocity), np.zeros_like(openness)
    if len(strokes):
        positions = strokes["time_s"] / frames.hop_s
        weights = config.inaudible_weight + (1.0 - config.inaudible_weight) * heard
        reach = int(np.ceil(config.half_width))
        for position, stroke, weight in zip(positions, strokes, weights, strict=True):
            group, articulation = COARSE[stroke["label"]], _ARTICULATION[stroke["label"]]
            near = np.arange(max(0, int(position) - reach + 1), min(n, int(position) + reach + 1))
            height = np.maximum(0.0, 1.0 - np.abs(near - position) / config.half_width)
            top = near[height >= 0.45]
            for column in ([group] if group != _NONE else []) + (
                [len(GROUPS) + articulation] if articulation != _NONE else []
            ):
                onsets[near, column] = np.maximum(onsets[near, column], height)
                faint[near, column] = np.minimum(faint[near, column], weight)
            if group != _NONE:
                louder = stroke["velocity"] >= velocity[top, group]
                velocity[top[louder], group] = stroke["velocity"]
                asked[top, group] = weight
            if _STICK_HAT[stroke["label"]] and not np.isnan(stroke["openness"]):
                openness[top, 0] = stroke["openness"]
                asked_openness[top, 0] = weight
    heights = 1.0 + (config.onset_weight - 1.0) * onsets
    return Targets(onsets, heights * faint, velocity, asked, openness, asked_openness)
