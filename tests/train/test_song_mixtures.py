"""Mixing pieces for the transcriber: bands that play along, and the tone of backings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from song_shards import BANDS, FRAMES, song, write_songs

from beatsight.dataset.frames.shards import LABELS, to_steps, write_shard
from beatsight.train.songs.mixtures import MixConfig, Mixer, Piece, Source

# Nothing drawn but what a test asks for.
STILL = MixConfig(
    frames=300, backing_share=0.0, second_backing_share=0.0, drumless_share=0.0, backing_db=(0.0, 0.0),
    gain_db=(0.0, 0.0), tilt_db=(0.0, 0.0), eq_share=0.0, limit_share=0.0, noise_share=0.0, squeeze_share=0.0,
)  # fmt: skip
# Bands that no planted drum raises.
NOTES = slice(45, 55)
# A cut note begins up to two frames before it is heard, and is put a frame beside the stroke.
LATE = 3


@pytest.fixture(scope="module")
def drums(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source([write_songs(tmp_path_factory.mktemp("drums"), frames=400) / "drums"])


@pytest.fixture(scope="module")
def backings(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Short notes, each raising its bands to -10 dB."""
    levels = np.full((1, 1600, FRAMES.n_mels), -80.0, np.float32)
    for at in range(50, 1400, 200):
        levels[0, at : at + 6, NOTES] = -10.0
    folder = tmp_path_factory.mktemp("backings")
    write_shard(folder, "00000", to_steps(levels), [[]], np.zeros((0, FRAMES.n_mels), np.uint8))
    return Source([folder])


def note_starts(piece: Piece) -> np.ndarray:
    """Frames at which a note rises out of the quiet."""
    rise = np.diff(piece.levels[:, NOTES].mean(axis=1))
    return np.flatnonzero(rise > 15.0) + 1


def frames_of(piece: Piece, label: str) -> np.ndarray:
    return piece.strokes["time_s"][piece.strokes["label"] == LABELS.index(label)] / FRAMES.hop_s


def distance(starts: np.ndarray, frames: np.ndarray) -> np.ndarray:
    return np.abs(starts[:, None] - frames).min(axis=1) if len(frames) else np.full(len(starts), np.inf)


def test_a_band_plays_with_the_drums(drums: Source, backings: Source) -> None:
    mixer, apart, seen = Mixer(drums, backings, replace(STILL, together_share=1.0), FRAMES), 0, 0
    for number in range(30):
        piece = mixer.piece(np.random.default_rng(number))
        starts = note_starts(piece)
        on_strokes = distance(starts, piece.strokes["time_s"] / FRAMES.hop_s) <= LATE
        seen += len(starts)
        # Two bands in five play between the strokes as well.
        apart += not on_strokes.all()
        assert on_strokes.mean() >= 0.3 if len(starts) else True
    assert seen > 100 and 3 <= apart <= 20


def test_a_band_follows_one_or_two_kinds_of_drums(drums: Source, backings: Source) -> None:
    def with_one_drum_only(voice_share: float) -> int:
        config = replace(STILL, together_share=1.0, voice_share=voice_share)
        mixer, count = Mixer(drums, backings, config, FRAMES), 0
        for number in range(120):
            piece = mixer.piece(np.random.default_rng(number))
            starts = note_starts(piece)
            near = [distance(starts, frames_of(piece, label)) <= LATE for label in BANDS]
            count += len(starts) > 4 and any(drum.all() for drum in near)
        return count

    assert with_one_drum_only(1.0) >= 10 and with_one_drum_only(0.0) <= 3


def test_the_tone_of_a_backing_is_its_own(drums: Source, tmp_path: Path) -> None:
    silent = to_steps(np.full((1, 400, FRAMES.n_mels), -90.0))
    write_shard(tmp_path / "drums", "00000", silent, [[]], np.zeros((0, FRAMES.n_mels), np.uint8))
    levels, _ = song(np.random.default_rng(3), 400)
    write_shard(
        tmp_path / "backings", "00000", to_steps(levels[None] + 40.0), [[]], np.zeros((0, 80), np.uint8)
    )
    config = replace(STILL, backing_share=1.0)
    pieces = [
        Mixer(Source([tmp_path / "drums"]), Source([tmp_path / "backings"]), each, FRAMES).piece(
            np.random.default_rng(5)
        )
        for each in (config, replace(config, tone_db=6.0))
    ]
    change = pieces[1].levels - pieces[0].levels
    assert np.std(change, axis=0).max() < 0.6  # one equaliser for all frames
    assert np.std(change.mean(axis=0)) > 2.0
    # The drums keep theirs.
    first, second = (
        Mixer(drums, None, replace(STILL, tone_db=tone), FRAMES).piece(np.random.default_rng(6))
        for tone in (0.0, 6.0)
    )
    assert np.array_equal(first.levels, second.levels)


def test_crackle_is_short_and_in_every_band(tmp_path: Path) -> None:
    silent = to_steps(np.full((1, 400, FRAMES.n_mels), -90.0))
    write_shard(tmp_path, "00000", silent, [[]], np.zeros((0, FRAMES.n_mels), np.uint8))
    source, heard = Source([tmp_path]), 0
    for number in range(20):
        piece = Mixer(source, None, replace(STILL, crackle_share=1.0), FRAMES).piece(
            np.random.default_rng(number)
        )
        clicks = np.flatnonzero(piece.levels.max(axis=1) > -75.0)
        heard += len(clicks)
        assert not len(clicks) or np.ptp(piece.levels[clicks], axis=1).max() < 3.0
        # A click fills the frames whose windows hold it; the loudest of a row is no row's end.
        assert all(len(run) < 60 for run in np.split(clicks, np.flatnonzero(np.diff(clicks) > 1) + 1))
    assert heard > 100
