"""Shards of rendered songs: mel levels of drums and of backings, apart, and the strokes in them.

Drums and backings are kept apart so that training can mix any two at any level: an hour of each gives
thousands of hours of mixtures.

A shard is three files: ``<name>.levels.npy``, uint8 of shape (songs, frames, bands) in steps of half a dB
from -90 dB; ``<name>.strokes.npy``, a table of :data:`STROKE`; and ``<name>.attacks.npy``, the levels of
every stroke alone, uint8 of shape (strokes, bands) likewise. They are written aside and renamed, the levels
last, so that a shard with levels is whole. ``np.load`` reads them without pickle.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FLOOR_DB
from beatsight.errors import InputError
from beatsight.files import atomic_path
from beatsight.synth.studio.performances import Stroke
from beatsight.taxonomy import CANONICAL

STEP_DB = 0.5
LABELS = CANONICAL
STROKE = np.dtype(
    [("song", "<u2"), ("label", "u1"), ("time_s", "<f4"), ("velocity", "<f4"), ("openness", "<f4")]
)
_LEVELS, _STROKES, _ATTACKS = ".levels.npy", ".strokes.npy", ".attacks.npy"


@dataclass(frozen=True, eq=False)
class Shard:
    """Levels (mapped from disk, not in memory), strokes and their attacks of some songs."""

    levels: np.ndarray
    strokes: np.ndarray
    attacks: np.ndarray

    def strokes_of(self, song: int) -> slice:
        """Which strokes are those of one song; they stand in order of time."""
        first, last = np.searchsorted(self.strokes["song"], (song, song + 1))
        return slice(int(first), int(last))


def to_steps(levels_db: np.ndarray) -> np.ndarray:
    """dB to uint8 steps.

    >>> to_steps(np.array([-90.0, -89.5, 100.0])).tolist()
    [0, 1, 255]
    """
    return np.clip(np.round((levels_db - FLOOR_DB) / STEP_DB), 0, 255).astype(np.uint8)


def stroke_table(songs: Sequence[Sequence[Stroke]]) -> np.ndarray:
    """Strokes of several songs as a table of :data:`STROKE`; openness NaN where there is none."""
    index = {label: number for number, label in enumerate(LABELS)}
    rows = [
        (
            number,
            index[s.label],
            s.time_s,
            s.velocity,
            np.nan if s.openness is None else s.openness,
        )
        for number, strokes in enumerate(songs)
        for s in strokes
    ]
    return np.array(rows, STROKE)


def write_shard(
    folder: Path, name: str, levels: np.ndarray, songs: Sequence[Sequence[Stroke]], attacks: np.ndarray
) -> None:
    """Write one shard; levels are uint8 steps of shape (songs, frames, bands), attacks (strokes, bands)."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, array in ((_STROKES, stroke_table(songs)), (_ATTACKS, attacks), (_LEVELS, levels)):
        with atomic_path(folder / f"{name}{suffix}") as path, path.open("wb") as file:
            np.save(file, array, allow_pickle=False)


def shard_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the whole shards in a folder, sorted."""
    return sorted(path.name.removesuffix(_LEVELS) for path in Path(folder).glob(f"*{_LEVELS}"))


def read_shard(folder: Path, name: str) -> Shard:
    """Open a shard.

    Raises:
        InputError: it is damaged or of another kind.
    """
    levels_path, strokes_path = folder / f"{name}{_LEVELS}", folder / f"{name}{_STROKES}"
    try:
        levels = np.load(levels_path, mmap_mode="r", allow_pickle=False)
        strokes = np.load(strokes_path, allow_pickle=False)
        attacks = np.load(folder / f"{name}{_ATTACKS}", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{levels_path}: is not a whole shard of rendered songs: {error}") from None
    if (
        levels.ndim != 3
        or levels.dtype != np.uint8
        or strokes.dtype != STROKE
        or (attacks.shape != (len(strokes), levels.shape[2]))
    ):
        raise InputError(f"{levels_path}: is not a shard of rendered songs")
    return Shard(levels, strokes, attacks)
