"""Songs rendered to shards: drum tracks and backings, in parallel and resumable.

Song k of a folder depends on the seed, on its kind and on k alone, so any number of processes gives the same
shards, and a killed run goes on where it was.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FLOOR_DB, FrameConfig, song_levels
from beatsight.audio.io import SAMPLE_RATE
from beatsight.dataset.frames.shards import shard_names, to_steps, write_shard
from beatsight.synth.studio.backing import Recordings, load_recordings, make_backing
from beatsight.synth.studio.bank import Bank, load_bank
from beatsight.synth.studio.drumset import Drumset, DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig, place_strokes, treat_bus
from beatsight.synth.studio.playing import (
    Groove,
    PlayingConfig,
    Stroke,
    draw_strokes,
    groove_weights,
    read_grooves,
)

# Every track is brought to this level over its loud part.
LEVEL_DB = -20.0
_LOUD_SHARE = 0.03


@dataclass(frozen=True)
class RenderConfig:
    """What is rendered.

    Attributes:
        kits: folders of kits.
        leave_out: kits not to use.
        only: where given, only these kits.
        grooves: folder of MIDI performances.
        split: which of them, by their info.csv; None for all.
        recordings: files without drums for the backings.
        seconds: length of a song.
        songs: songs a shard.
        seed: of everything.
        playing, drumset, bus: how songs vary.
        frames: the spectrogram.
    """

    kits: tuple[Path, ...]
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    grooves: Path = Path()
    split: str | None = None
    recordings: tuple[Path, ...] = ()
    seconds: float = 30.0
    songs: int = 40
    seed: int = 0
    playing: PlayingConfig = field(default_factory=PlayingConfig)
    drumset: DrumsetConfig = field(default_factory=DrumsetConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    frames: FrameConfig = field(default_factory=FrameConfig)


def levelled(audio: np.ndarray) -> np.ndarray:
    """The track with its loud half-seconds at ``LEVEL_DB`` (RMS); silence stays silence."""
    size = SAMPLE_RATE // 2
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    loud = power[power > _LOUD_SHARE * power.max(initial=0.0)]
    if not len(loud):
        return audio
    return audio * np.float32(10 ** (LEVEL_DB / 20) / np.sqrt(loud.mean()))


@dataclass(frozen=True, eq=False)
class Rendered:
    """One track: audio (samples,), the strokes in it, its levels (frames, bands) in dB, and the levels of each
    stroke alone as the track has it (strokes, bands); the lowest level where they are not known."""

    audio: np.ndarray
    strokes: list[Stroke]
    levels: np.ndarray
    attacks: np.ndarray


class Studio:
    """Kits, performances and recordings, loaded, that render any song by its number."""

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self.bank: Bank = load_bank(config.kits, leave_out=config.leave_out, only=config.only)
        self.grooves: list[Groove] = read_grooves(config.grooves, split=config.split)[0]
        self._weights = groove_weights(self.grooves)
        self.recordings: Recordings = load_recordings(config.recordings)

    def drums(self, number: int) -> Rendered:
        """The drum track of a song."""
        config = self.config
        rng = np.random.default_rng([config.seed, 0, number])
        n = round(config.seconds * SAMPLE_RATE)
        strokes = draw_strokes(rng, self.grooves, self._weights, config.seconds, config.playing)
        drums = Drumset(rng, self.bank, config.drumset)
        placed = place_strokes(rng, drums, strokes, n)
        audio = levelled(treat_bus(rng, placed.track, placed.send, config.bus))
        levels = song_levels(audio, config.frames)
        # What the bus did to the spectrum at that moment, it did to the stroke.
        dry = song_levels(placed.track, config.frames)
        at = [min(round(s.time_s / config.frames.hop_s) + 1, len(dry) - 1) for s in placed.strokes]
        attacks = placed.attacks_db + (levels[at] - dry[at]) if at else placed.attacks_db
        return Rendered(audio, placed.strokes, levels, attacks.reshape(len(at), config.frames.n_mels))

    def backing(self, number: int) -> Rendered:
        """The backing of a song; of the percussion in it no attacks are known."""
        rng = np.random.default_rng([self.config.seed, 1, number])
        n = round(self.config.seconds * SAMPLE_RATE)
        audio, strokes = make_backing(rng, self.bank, self.recordings, n)
        audio, bands = levelled(audio), self.config.frames.n_mels
        return Rendered(
            audio, strokes, song_levels(audio, self.config.frames), np.full((len(strokes), bands), FLOOR_DB)
        )


_studio: Studio | None = None


def _start(config: RenderConfig) -> None:
    global _studio
    _studio = Studio(config)


def _shard(job: tuple[Path, str, int]) -> str:
    folder, kind, number = job
    assert _studio is not None
    config = _studio.config
    made = [
        _studio.drums(song) if kind == "drums" else _studio.backing(song)
        for song in range(number * config.songs, (number + 1) * config.songs)
    ]
    levels = np.stack([to_steps(one.levels) for one in made])
    attacks = to_steps(np.concatenate([one.attacks for one in made]))
    write_shard(folder / kind, f"{number:05d}", levels, [one.strokes for one in made], attacks)
    return f"{kind} {number}"


def render_shards(
    config: RenderConfig,
    folder: Path,
    *,
    drums: int,
    backings: int,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render shards ``drums/00000 …`` and ``backings/00000 …`` that are not there yet.

    Args:
        config: what to render.
        folder: where to.
        drums, backings: how many shards of each.
        workers: processes.
        progress: called with (shards done, of those that were missing).

    Returns:
        how many were rendered.

    Raises:
        InputError: kits, performances or recordings cannot be used.
    """
    jobs: list[tuple[Path, str, int]] = []
    for kind, count in (("drums", drums), ("backings", backings)):
        there = set(shard_names(folder / kind))
        jobs += [(folder, kind, n) for n in range(count) if f"{n:05d}" not in there]
    # Both kinds grow together, so that training can begin before all is rendered.
    jobs.sort(key=lambda job: job[2] / max(1, drums if job[1] == "drums" else backings))
    if not jobs:
        return 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(jobs)), initializer=_start, initargs=(config,)) as pool:
        for done, _ in enumerate(pool.imap_unordered(_shard, jobs), start=1):
            if progress:
                progress(done, len(jobs))
    return len(jobs)


def find_recordings(folders: Sequence[Path], leave_out: Sequence[str] = ()) -> tuple[Path, ...]:
    """Audio files under folders, without those whose name contains one of ``leave_out``."""
    from beatsight.audio.io import find_audio

    return tuple(
        path
        for folder in folders
        for path in find_audio(folder)
        if not any(word in path.name for word in leave_out)
    )
