"""Songs rendered to shards: drum tracks and backings, in parallel and resumable.

Song k of a folder depends on the seed, on its kind and on k alone, so any number of processes gives the same
shards, and a killed run goes on where it was.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FLOOR_DB, FrameConfig, song_levels
from beatsight.audio.io import find_audio
from beatsight.dataset.frames.shards import shard_names, to_steps, write_shard
from beatsight.synth.studio.backing import BackingConfig, load_recordings
from beatsight.synth.studio.bank import load_bank
from beatsight.synth.studio.drumset import DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.performances import Stroke, read_grooves
from beatsight.synth.studio.playing import PlayingConfig
from beatsight.synth.studio.song import SongConfig, Stock, make_band, make_drums, moved
from beatsight.synth.studio.soundfonts import find_instruments, with_soundfonts


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
        instruments: folders of notes, or SoundFonts, whose instruments play in the backings.
        soundfonts: SoundFonts whose drum kits are played beside the others.
        seconds: length of a song.
        songs: songs a shard.
        seed: of everything.
        playing, drumset, bus, backing: how songs vary.
        frames: the spectrogram.
    """

    kits: tuple[Path, ...]
    leave_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    grooves: Path = Path()
    split: str | None = None
    recordings: tuple[Path, ...] = ()
    instruments: tuple[Path, ...] = ()
    soundfonts: tuple[Path, ...] = ()
    seconds: float = 30.0
    songs: int = 40
    seed: int = 0
    playing: PlayingConfig = field(default_factory=PlayingConfig)
    drumset: DrumsetConfig = field(default_factory=DrumsetConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    backing: BackingConfig = field(default_factory=BackingConfig)
    frames: FrameConfig = field(default_factory=FrameConfig)


@dataclass(frozen=True, eq=False)
class Rendered:
    """One track.

    Attributes:
        audio: shape (samples,).
        strokes: those in it.
        levels: its mel levels in dB, shape (frames, bands).
        attacks: levels of each stroke alone as the track has it, shape (strokes, bands); the lowest level
            where they are not known.
    """

    audio: np.ndarray
    strokes: list[Stroke]
    levels: np.ndarray
    attacks: np.ndarray


class Studio:
    """Kits, performances and recordings, loaded, that render any song by its number."""

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        self.stock = Stock.of(
            with_soundfonts(
                load_bank(config.kits, leave_out=config.leave_out, only=config.only), config.soundfonts
            ),
            read_grooves(config.grooves, split=config.split)[0],
            replace(
                load_recordings(config.recordings),
                instruments=tuple(find_instruments(config.instruments)),
            ),
        )
        self._song = SongConfig(
            config.seconds, config.seed, config.playing, config.drumset, config.bus, config.backing
        )

    def drums(self, number: int) -> Rendered:
        """The drum track of a song."""
        frames = self.config.frames
        track = make_drums(self.stock, self._song, number)
        placed, damage = track.placed, track.damage
        audio = damage.worn(damage.warped(track.audio))
        levels = song_levels(audio, frames)
        # What the bus did to the spectrum at that moment, it did to the stroke.
        dry = song_levels(placed.track, frames)
        at = [min(round(s.time_s / frames.hop_s) + 1, len(dry) - 1) for s in placed.strokes]
        attacks = placed.attacks_db + (levels[at] - dry[at]) if at else placed.attacks_db
        attacks = attacks.reshape(len(at), frames.n_mels)
        return Rendered(audio, moved(placed.strokes, damage), levels, attacks)

    def backing(self, number: int) -> Rendered:
        """The backing of a song; of the percussion in it no attacks are known."""
        audio, strokes = make_band(self.stock, self._song, number)
        frames = self.config.frames
        unknown = np.full((len(strokes), frames.n_mels), FLOOR_DB)
        return Rendered(audio, strokes, song_levels(audio, frames), unknown)


_studio: Studio | None = None


def _start(studio: Studio) -> None:
    global _studio
    _studio = studio


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
    # Read here and handed over: a process that fails to start would be started again for ever.
    studio = Studio(config)
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(jobs)), initializer=_start, initargs=(studio,)) as pool:
        for done, _ in enumerate(pool.imap_unordered(_shard, jobs), start=1):
            if progress:
                progress(done, len(jobs))
    return len(jobs)


def find_recordings(folders: Sequence[Path], leave_out: Sequence[str] = ()) -> tuple[Path, ...]:
    """Audio files under folders, without those whose name contains one of ``leave_out``."""
    return tuple(
        path
        for folder in folders
        for path in find_audio(folder)
        if not any(word in path.name for word in leave_out)
    )
