"""Shards of rendered songs with planted strokes, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from beatsight.audio.frames import FrameConfig
from beatsight.dataset.frames.shards import to_steps, write_shard
from beatsight.synth.studio.performances import Stroke

FRAMES = FrameConfig()
# Which bands a drum's strokes raise.
BANDS = {"kick": slice(0, 10), "snare": slice(20, 40), "hihat_closed": slice(60, 80)}


def song(rng: np.random.Generator, frames: int, *, silent: bool = False) -> tuple[np.ndarray, list[Stroke]]:
    """Levels in dB and strokes: each raises its drum's bands to -10 dB, which then fall by 3 dB a frame."""
    levels = rng.normal(-60.0, 2.0, (frames, FRAMES.n_mels)).astype(np.float32)
    strokes = []
    if not silent:
        for label, bands in BANDS.items():
            for at in np.arange(rng.integers(5, 30), frames - 10, rng.integers(25, 45)):
                fall = -10.0 - 3.0 * np.arange(min(15, frames - at))[:, None]
                levels[at : at + len(fall), bands] = np.maximum(levels[at : at + len(fall), bands], fall)
                openness = 0.1 if label.startswith("hihat") else None
                strokes.append(Stroke(float(at) * FRAMES.hop_s, label, 0.6, openness))
    return levels, sorted(strokes, key=lambda s: (s.time_s, s.label))


def write_songs(folder: Path, *, songs: int = 4, frames: int = 400, seed: int = 0) -> Path:
    """One shard of drums and one of quiet backings in ``folder``."""
    rng = np.random.default_rng(seed)
    for kind in ("drums", "backings"):
        made = [song(rng, frames, silent=kind == "backings") for _ in range(songs)]
        attacks = []
        for _, strokes in made:
            for stroke in strokes:
                alone = np.full(FRAMES.n_mels, -90.0)
                alone[BANDS[stroke.label]] = -10.0
                attacks.append(alone)
        stored = to_steps(np.array(attacks).reshape(len(attacks), FRAMES.n_mels))
        levels = np.stack([to_steps(levels) for levels, _ in made])
        write_shard(folder / kind, "00000", levels, [strokes for _, strokes in made], stored)
    return folder
