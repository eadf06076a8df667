"""Shards of rendered songs: the same songs as the studio makes, whatever the order, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.frames import FrameConfig, song_levels
from beatsight.dataset.frames.render import RenderConfig, Studio, find_recordings, render_shards
from beatsight.dataset.frames.shards import LABELS, read_shard, shard_names, to_steps
from beatsight.errors import InputError
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.song import SongConfig, make_band, make_drums, moved
from planted_kits import plant_groove, plant_kit


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RenderConfig:
    folder = tmp_path_factory.mktemp("inputs")
    plant_kit(folder / "kit")
    plant_groove(folder / "midi" / "one.mid")
    return RenderConfig((folder / "kit",), grooves=folder / "midi", seconds=3.0, songs=2, seed=4)


def test_a_track_is_the_studios_song(config: RenderConfig) -> None:
    studio = Studio(config)
    song = SongConfig(config.seconds, config.seed)
    track, rendered = make_drums(studio.stock, song, 1), studio.drums(1)
    assert rendered.audio.tobytes() == track.audio.tobytes() and rendered.strokes == track.placed.strokes
    assert rendered.attacks.shape == (len(rendered.strokes), config.frames.n_mels)
    assert np.array_equal(rendered.levels, song_levels(track.audio, FrameConfig()))
    band, strokes = make_band(studio.stock, song, 1)
    backing = studio.backing(1)
    assert backing.audio.tobytes() == band.tobytes() and backing.strokes == strokes


def test_strokes_follow_the_tape(config: RenderConfig) -> None:
    bus = BusConfig(tape_share=1.0)
    studio = Studio(RenderConfig(**{**config.__dict__, "bus": bus}))
    track, rendered = make_drums(studio.stock, SongConfig(3.0, 4, bus=bus), 0), studio.drums(0)
    assert rendered.strokes == moved(track.placed.strokes, track.damage) != track.placed.strokes


def test_shards_hold_the_songs_and_are_made_once(config: RenderConfig, tmp_path: Path) -> None:
    assert render_shards(config, tmp_path, drums=1, backings=1, workers=1) == 2
    assert render_shards(config, tmp_path, drums=1, backings=1, workers=1) == 0
    assert shard_names(tmp_path / "drums") == ["00000"]
    shard = read_shard(tmp_path / "drums", "00000")
    studio = Studio(config)
    for number in range(config.songs):
        rendered = studio.drums(number)
        assert np.array_equal(shard.levels[number], to_steps(rendered.levels))
        rows = shard.strokes[shard.strokes_of(number)]
        assert [LABELS[row["label"]] for row in rows] == [s.label for s in rendered.strokes]
        assert np.allclose(rows["time_s"], [s.time_s for s in rendered.strokes], atol=1e-6)
    path = tmp_path / "drums" / "00000.levels.npy"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="is not a whole shard of rendered songs"):
        read_shard(tmp_path / "drums", "00000")


def test_inputs_that_cannot_be_used_end_at_once(config: RenderConfig, tmp_path: Path) -> None:
    broken = RenderConfig(**{**config.__dict__, "kits": (tmp_path,)})
    with pytest.raises(InputError, match="holds no drum kit"):
        render_shards(broken, tmp_path / "out", drums=1, backings=0, workers=2)


def test_recordings_are_found_without_those_left_out(tmp_path: Path) -> None:
    for name in ("a.wav", "speech.flac", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find_recordings([tmp_path], ["speech"])] == ["a.wav"]
