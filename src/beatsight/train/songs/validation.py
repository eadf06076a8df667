"""Validation songs: mixtures of held-out drum tracks and backings, the same for every model that is judged.

A third are drums alone, a third have a backing about as loud as the drums, a third are the band alone.
Strokes that nobody can hear (see :func:`beatsight.train.songs.targets.audibility`) count neither as found nor
as missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FrameConfig
from beatsight.dataset.frames.shards import LABELS
from beatsight.metrics.onsets import match_onsets
from beatsight.models.song_labels import GROUPS, group_of
from beatsight.train.songs.mixtures import MixConfig, Mixer, Source

HEARD = 0.3
_GROUP = np.array([GROUPS.index(g) if (g := group_of(label)) else -1 for label in LABELS])


@dataclass(frozen=True, eq=False)
class ValidationSong:
    """One song.

    Attributes:
        kind: ``drums``, ``mix`` or ``band``.
        levels: dB, shape (frames, bands).
        strokes: table of :data:`beatsight.dataset.frames.shards.STROKE`.
        heard: of each stroke, 0..1.
    """

    kind: str
    levels: np.ndarray
    strokes: np.ndarray
    heard: np.ndarray

    def onsets(self, group: str) -> tuple[np.ndarray, np.ndarray]:
        """Times in seconds of a group's strokes that are heard, and of those that are not."""
        mine = _GROUP[self.strokes["label"]] == GROUPS.index(group)
        times, heard = self.strokes["time_s"][mine].astype(float), self.heard[mine] >= HEARD
        return times[heard], times[~heard]


def validation_songs(folder: Path, frames: FrameConfig, count: int, seconds: float) -> list[ValidationSong]:
    """The first ``count`` songs of each kind, from the shards in ``folder``.

    Raises:
        InputError: shards are missing or damaged.
    """
    length = round(seconds / frames.hop_s)
    quiet = MixConfig(
        frames=length,
        backing_share=0.0,
        second_backing_share=0.0,
        backing_db=(-3.0, 3.0),
        drumless_share=0.0,
        gain_db=(-6.0, 0.0),
        tilt_db=(0.0, 0.0),
        eq_share=0.0,
        limit_share=0.0,
        noise_share=0.0,
        squeeze_share=0.0,
    )
    full = replace(quiet, backing_share=1.0)
    band = replace(quiet, drumless_share=1.0)
    songs = []
    for kind, config in (("drums", quiet), ("mix", full), ("band", band)):
        mixer = Mixer(Source([folder / "drums"]), Source([folder / "backings"]), config, frames)
        for number in range(count):
            piece = mixer.piece(np.random.default_rng([9, number]))
            if kind == "band" and len(piece.strokes):
                continue  # percussion: what is found there may be right
            songs.append(ValidationSong(kind, piece.levels, piece.strokes, piece.heard))
    return songs


def score_times(
    reference: np.ndarray, unheard: np.ndarray, found: np.ndarray, tolerance_s: float = 0.05
) -> tuple[int, int, int]:
    """Hits found, false and missed; what falls on a stroke that nobody hears is none of them.

    >>> score_times(np.array([1.0]), np.array([2.0]), np.array([1.01, 2.0, 3.0]))
    (1, 1, 0)
    """
    pairs = match_onsets(reference, found, tolerance_s)
    extra = np.delete(found, pairs[:, 1])
    excused = len(match_onsets(unheard, extra, tolerance_s))
    return len(pairs), len(extra) - excused, len(reference) - len(pairs)


def f_measure(counts: Sequence[int]) -> float:
    """F of (found, false, missed); 1 where there was nothing to find and nothing was.

    >>> f_measure((2, 1, 1))
    0.6666666666666666
    """
    true, false, missed = counts
    return 2 * true / (2 * true + false + missed) if true + false + missed else 1.0
