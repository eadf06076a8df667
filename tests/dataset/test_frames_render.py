"""Shards of rendered songs: the same songs as the studio makes, whatever the order, and damaged files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
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


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_inputs_that_cannot_be_used_end_at_once(config: RenderConfig, tmp_path: Path, workers: int) -> None:
    broken = RenderConfig(**{**config.__dict__, "kits": (tmp_path,)})
    with pytest.raises(InputError, match="holds no drum kit"):
        render_shards(broken, tmp_path / "out", drums=2, backings=0, workers=workers)


def test_a_kit_that_is_held_out_by_a_name_that_none_has_is_not_learnt_from(config: RenderConfig) -> None:
    for odd in ({"leave_out": ("planted", "kid")}, {"only": ("kid",)}):
        with pytest.raises(InputError, match="no kit is named 'kid'; there are planted"):
            Studio(RenderConfig(**{**config.__dict__, **odd}))


def test_recordings_are_found_by_words_in_their_names(tmp_path: Path) -> None:
    for name in ("a.wav", "speech.flac", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [p.name for p in find_recordings([tmp_path], ["speech"])] == ["a.wav"]
    assert [p.name for p in find_recordings([tmp_path], [], ["speech"])] == ["speech.flac"]
    with pytest.raises(InputError, match="no recording has 'speach' in its name"):
        find_recordings([tmp_path], ["speach"])
    with pytest.raises(InputError, match="none: no such folder"):
        find_recordings([tmp_path, tmp_path / "none"])


@pytest.mark.slow
def test_processes_give_the_same_shards(config: RenderConfig, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    render_shards(config, tmp_path / "one", drums=1, backings=1, workers=1)
    render_shards(
        config, tmp_path / "two", drums=1, backings=1, workers=2, progress=lambda *step: seen.append(step)
    )
    assert seen == [(1, 2), (2, 2)]
    for path in (tmp_path / "one").rglob("*.npy"):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


# One of two processes is killed while both work, or the parent is: nothing may be left of them.
KILLED = """
import multiprocessing, os, signal, sys, threading, time
from pathlib import Path
from beatsight.dataset.frames.render import RenderConfig, render_shards
from beatsight.errors import BeatSightError


def kill(folder, whom):
    while not any(folder.rglob("*.levels.npy")):
        time.sleep(0.05)
    children = multiprocessing.active_children()
    print(*(child.pid for child in children), flush=True)
    os.kill(children[0].pid if whom == "child" else os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    folder, whom = Path(sys.argv[1]), sys.argv[2]
    config = RenderConfig((folder / "kit",), grooves=folder / "midi", seconds=3.0, songs=2, seed=4)
    threading.Thread(target=kill, args=(folder / "out", whom), daemon=True).start()
    try:
        render_shards(config, folder / "out", drums=900, backings=900, workers=2)
    except BeatSightError as error:
        sys.exit(str(error))
"""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("whom", ["child", "parent"])
def test_the_end_of_a_process_is_the_end_of_all(tmp_path: Path, whom: str) -> None:
    plant_kit(tmp_path / "kit")
    plant_groove(tmp_path / "midi" / "one.mid")
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "killed.py"), str(tmp_path), whom],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    if whom == "child":
        assert done.returncode == 1 and "a process that rendered songs ended early" in done.stderr
    else:
        assert done.returncode == -9
    ended = time.monotonic() + 60.0
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    while any(_lives(pid) for pid in pids) and time.monotonic() < ended:
        time.sleep(0.2)
    assert not any(_lives(pid) for pid in pids)
