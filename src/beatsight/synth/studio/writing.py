"""A labelled set on disk: songs of recorded kits as WAV files, and all their labels in one ``events.jsonl``.

A folder holds, for each song, ``<name>.wav`` (the mix, 16 bit), with stems ``<name>.drums.wav`` and
``<name>.backing.wav``, and ``<name>.events.jsonl``; for all of them ``events.jsonl`` and ``studio.json``,
the settings. A song's events are written last: where they are, the song is whole, and a run that was killed
goes on with the next. Song k is the same for any number of processes and of songs.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from beatsight.audio.io import AUDIO_SUFFIXES, SAMPLE_RATE, find_audio, save
from beatsight.errors import InputError, UsageError
from beatsight.events import write_records
from beatsight.files import atomic_path, read_bytes, sha256_file, write_text
from beatsight.synth.studio.backing import Recordings, load_recordings
from beatsight.synth.studio.bank import load_bank
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.performances import read_grooves
from beatsight.synth.studio.song import SongConfig, Stock, make_song, song_name
from beatsight.version import VERSION

SETTINGS, TABLE = "studio.json", "events.jsonl"
# In a set for hearing and training, unlike in shards, the damage is part of the songs.
SET_BUS = BusConfig(bleed_share=0.3, tape_share=0.12, mp3_share=0.12)
MIN_SECONDS = 3.0
_INPUTS = AUDIO_SUFFIXES | {".toml", ".sfz", ".mid", ".midi", ".csv"}
_MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class SetConfig:
    """What is made.

    Attributes:
        kits: kits, folders of kits, or ``.sfz`` files.
        grooves: folder of MIDI performances.
        backing: files or folders of recordings without drums; the rest of the backings is synthesised.
        songs: how many.
        song: how they vary.
        drums_only: without backings.
        stems: drums and backing are written apart as well.
    """

    kits: tuple[Path, ...]
    grooves: Path
    backing: tuple[Path, ...] = ()
    songs: int = 20
    song: SongConfig = field(default_factory=lambda: SongConfig(bus=SET_BUS))
    drums_only: bool = False
    stems: bool = False


@dataclass(frozen=True)
class SetResult:
    """What was done.

    Attributes:
        table: the events of all songs.
        songs, made: how many there are, and how many this run made.
        events: rows of the table.
        kits: names of the kits that were read.
        skipped: (path, reason) of files that are no stroke of a drum that can be named.
        damaged: (path, reason) of files that cannot be read.
    """

    table: Path
    songs: int
    made: int
    events: int
    kits: tuple[str, ...]
    skipped: tuple[tuple[Path, str], ...]
    damaged: tuple[tuple[Path, str], ...]


def _recordings(places: Sequence[Path]) -> tuple[Recordings, list[tuple[Path, str]]]:
    """Those that can be read, and (path, reason) of the others."""
    long: list[tuple[np.ndarray, float]] = []
    short: list[tuple[np.ndarray, float]] = []
    damaged: list[tuple[Path, str]] = []
    for place in places:
        if not place.exists():
            raise InputError(f"{place}: no such folder of recordings")
        files = find_audio(place) if place.is_dir() else [place]
        if not files:
            raise InputError(f"{place}: holds no recording; wav, flac, ogg and mp3 are read")
        for path in files:
            try:
                one = load_recordings([path])
            except InputError as error:
                damaged.append((path, str(error)))
                continue
            long += one.long
            short += one.short
    return Recordings(tuple(long), tuple(short)), damaged


def load_stock(config: SetConfig) -> tuple[Stock, list[tuple[Path, str]], list[tuple[Path, str]]]:
    """What the songs are made of; (path, reason) of what is no stroke; and of what cannot be read.

    Raises:
        InputError: nothing usable is left of the kits or of the performances, or a folder is not there.
    """
    bank = load_bank(config.kits)
    grooves, unread = read_grooves(config.grooves)
    recordings, silent = _recordings(config.backing)
    damaged = [*bank.damaged, *unread, *silent]
    return Stock.of(bank, grooves, recordings), list(bank.skipped), damaged


def _files(places: Sequence[Path]) -> Iterator[tuple[int, str, Path]]:
    for number, place in enumerate(places):
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for path in files:
            if path.suffix.lower() in _INPUTS and path.is_file():
                yield number, path.relative_to(place).as_posix(), path


def _inputs_digest(config: SetConfig) -> str:
    digest = hashlib.sha256()
    for number, name, path in _files((*config.kits, config.grooves, *config.backing)):
        digest.update(f"{number} {name} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _settings(config: SetConfig) -> dict[str, object]:
    return {
        "made_by": f"beatsight {VERSION}",
        "seconds": config.song.seconds,
        "seed": config.song.seed,
        "drums_only": config.drums_only,
        "stems": config.stems,
        "effects": msgspec.to_builtins((config.song.playing, config.song.drumset, config.song.bus)),
        "inputs": _inputs_digest(config),
    }


def _check_settings(folder: Path, settings: dict[str, object]) -> None:
    """Write the settings, or compare them with those of the songs that are there."""
    path = folder / SETTINGS
    text = msgspec.json.format(msgspec.json.encode(settings), indent=2).decode() + "\n"
    if not path.is_file():
        write_text(path, text)
        return
    try:
        there = msgspec.json.decode(read_bytes(path), type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: does not say how the songs were made: {error}") from None
    # As they come back from a file.
    now = msgspec.json.decode(text.encode(), type=dict[str, object])
    changed = [name for name, value in now.items() if there.get(name) != value]
    if changed:
        raise InputError(
            f"{path}: the songs in this folder were made with other {', '.join(changed)}; give another folder"
        )


_working: tuple[Stock, SetConfig, Path] | None = None


def _start(work: tuple[Stock, SetConfig, Path]) -> None:
    global _working
    _working = work


def _write_song(number: int) -> int:
    assert _working is not None
    stock, config, folder = _working
    song = make_song(stock, config.song, number, drums_only=config.drums_only)
    save(folder / f"{song.name}.wav", song.audio, SAMPLE_RATE)
    if config.stems:
        save(folder / f"{song.name}.drums.wav", song.drums, SAMPLE_RATE)
        save(folder / f"{song.name}.backing.wav", song.backing, SAMPLE_RATE)
    write_records(folder / f"{song.name}.{TABLE}", song.events)
    return number


def _is_whole(config: SetConfig, folder: Path, number: int) -> bool:
    name = song_name(config.song, number)
    return (folder / f"{name}.wav").is_file() and (folder / f"{name}.{TABLE}").is_file()


def _make_missing(
    work: tuple[Stock, SetConfig, Path],
    missing: list[int],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    if workers == 1 or len(missing) == 1:
        _start(work)
        for done, number in enumerate(missing, start=1):
            _write_song(number)
            if progress:
                progress(done, len(missing))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(missing)), initializer=_start, initargs=(work,)) as pool:
        for done, _ in enumerate(pool.imap_unordered(_write_song, missing), start=1):
            if progress:
                progress(done, len(missing))


def write_set(
    config: SetConfig,
    folder: Path,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SetResult:
    """Make the songs that are not there yet, and the table of all.

    Args:
        config: what to make.
        folder: where to; made when missing. Songs that are there stay, if they were made in the same way.
        workers: processes; each holds the kits in memory.
        progress: called with (songs made, of those that were missing).

    Raises:
        UsageError: a length that no song has, or the folder is a file.
        InputError: nothing usable in the inputs, or the folder holds songs made with other settings or from
            other files.
    """
    if not MIN_SECONDS <= config.song.seconds <= _MOST_SECONDS:
        raise UsageError(
            f"a song must last {MIN_SECONDS:.0f} to {_MOST_SECONDS:.0f} s, not {config.song.seconds}"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; give a folder")
    stock, skipped, damaged = load_stock(config)
    _check_settings(folder, _settings(config))
    missing = [number for number in range(config.songs) if not _is_whole(config, folder, number)]
    if missing:
        _make_missing((stock, config, folder), missing, workers, progress)
    parts = [
        read_bytes(folder / f"{song_name(config.song, number)}.{TABLE}") for number in range(config.songs)
    ]
    with atomic_path(folder / TABLE) as path, path.open("wb") as table:
        table.writelines(parts)
    return SetResult(
        table=folder / TABLE,
        songs=config.songs,
        made=len(missing),
        events=sum(part.count(b"\n") for part in parts),
        kits=stock.bank.kits(),
        skipped=tuple(skipped),
        damaged=tuple(damaged),
    )
