"""Songs rendered to shards: drum tracks and backings, in parallel and resumable.

Song k of a folder depends on the seed, on its kind and on k alone, so any number of processes gives the same
shards, and a killed run goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FLOOR_DB, FrameConfig, song_levels
from beatsight.audio.io import find_audio
from beatsight.dataset.frames.shards import shard_names, to_steps, write_shard
from beatsight.errors import BeatSightError, InputError
from beatsight.synth.studio.backing import BackingConfig, load_recordings
from beatsight.synth.studio.bank import load_bank, read_kits
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
    """Kits, performances and recordings, loaded, that render any song by its number.

    Raises:
        InputError: they cannot be used, or a kit that is to be left out, or used alone, is not there.
    """

    def __init__(self, config: RenderConfig) -> None:
        self.config = config
        _check_names(config)
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


def _check_names(config: RenderConfig) -> None:
    # A kit that is held out under a name that no kit has would be learnt from.
    if asked := [*config.leave_out, *config.only]:
        known = {kit.name for folder in config.kits for kit in read_kits(folder)}
        if unknown := [name for name in asked if name not in known]:
            raise InputError(f"no kit is named {unknown[0]!r}; there are {', '.join(sorted(known))}")


_Job = tuple[Path, str, int]


def _write(studio: Studio, job: _Job) -> None:
    folder, kind, number = job
    config = studio.config
    made = [
        studio.drums(song) if kind == "drums" else studio.backing(song)
        for song in range(number * config.songs, (number + 1) * config.songs)
    ]
    levels = np.stack([to_steps(one.levels) for one in made])
    attacks = to_steps(np.concatenate([one.attacks for one in made]))
    write_shard(folder / kind, f"{number:05d}", levels, [one.strokes for one in made], attacks)


# Of a worker: set once when it starts.
_here: list[Studio | InputError] = []


def _start(config: RenderConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word; the parent has one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Every worker reads for itself: hundreds of megabytes handed over would stop the parent for ever where a
    # worker is killed while it takes them.
    try:
        _here.append(Studio(config))
    except InputError as error:  # kept for the first job, whose fault the parent hears of
        _here.append(error)


def _end_with_parent() -> None:
    # A worker whose parent was killed would wait for work for ever.
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _there(job: _Job) -> None:
    if isinstance(_here[0], InputError):
        raise _here[0]
    _write(_here[0], job)


def missing_shards(folder: Path, drums: int, backings: int) -> list[tuple[str, int]]:
    """Kind and number of the shards that are not in a folder yet, in the order in which they are made."""
    missing = []
    for kind, count in (("drums", drums), ("backings", backings)):
        there = set(shard_names(folder / kind))
        missing += [(n / count, kind, n) for n in range(count) if f"{n:05d}" not in there]
    # Both kinds grow together, so that a stopped run has some of either.
    return [(kind, number) for _, kind, number in sorted(missing)]


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
        BeatSightError: a process ended early.
    """
    jobs = [(folder, kind, number) for kind, number in missing_shards(folder, drums, backings)]
    if not jobs:
        return 0
    for done, _ in enumerate(_written(config, jobs, workers), start=1):
        if progress:
            progress(done, len(jobs))
    return len(jobs)


def _written(config: RenderConfig, jobs: Sequence[_Job], workers: int) -> Iterator[None]:
    """Yields as often as a shard is written."""
    if workers == 1 or len(jobs) == 1:
        studio = Studio(config)
        for job in jobs:
            _write(studio, job)
            yield
        return
    with ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(config,),
    ) as pool:
        try:
            for future in as_completed([pool.submit(_there, job) for job in jobs]):
                future.result()
                yield
        except BrokenProcessPool as error:
            raise BeatSightError(
                "a process that rendered songs ended early; is memory short for so many workers?"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def find_recordings(
    folders: Sequence[Path], leave_out: Sequence[str] = (), only: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Audio files under folders, by words in their names.

    Args:
        folders: where to look, at any depth.
        leave_out: files whose name contains one of these are not used.
        only: where given, a name must contain one of these.

    Raises:
        InputError: a folder is missing or holds no audio, or no name contains one of the words.
    """
    found: list[Path] = []
    for folder in folders:
        files = find_audio(folder)
        if not files:
            raise InputError(
                f"{folder}: holds no recordings" if folder.is_dir() else f"{folder}: no such folder"
            )
        found += files
    # A recording that is held out by a word that no name contains would be learnt from.
    for word in (*leave_out, *only):
        if not any(word in path.name for path in found):
            raise InputError(f"no recording has {word!r} in its name")
    return tuple(
        path
        for path in found
        if not any(word in path.name for word in leave_out)
        and (not only or any(word in path.name for word in only))
    )
