"""A labelled set on disk: songs of recorded kits as WAV files, and all their labels in one ``events.jsonl``.

A folder holds, for each song, ``<name>.wav`` (the mix, 16 bit), with stems ``<name>.drums.wav`` and
``<name>.backing.wav``, and ``<name>.events.jsonl``; for all of them ``events.jsonl`` and ``studio.json``,
the settings. A song's events are written last: where they are, the song is whole, and a run that was killed
goes on with the next. Song k is the same for any number of processes and of songs.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.errors import InputError, UsageError
from beatsight.events import write_records
from beatsight.files import atomic_path, read_bytes, write_text
from beatsight.synth.studio.backing import BackingConfig
from beatsight.synth.studio.inputs import Left, inputs_digest, read_kits_and_soundfonts, read_recordings
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.performances import read_grooves
from beatsight.synth.studio.song import SongConfig, Stock, make_song, song_name
from beatsight.synth.studio.soundfonts import readable_instruments
from beatsight.version import VERSION

SETTINGS, TABLE = "studio.json", "events.jsonl"
# In a set for hearing and training, unlike in shards, the damage is part of the songs.
SET_BUS = BusConfig(bleed_share=0.3, tape_share=0.12, mp3_share=0.12)
# Most songs, since who gives instruments wants to hear them; the others keep the rest of the band from being
# told by them. Without instruments nothing changes.
SET_BACKING = BackingConfig(instrument_share=0.6)
MIN_SECONDS = 3.0
_MOST_SECONDS = 3600.0


@dataclass(frozen=True)
class SetConfig:
    """What is made.

    Attributes:
        kits: kits, folders of kits, ``.sfz`` files, or SoundFonts, of which the drum presets are kits.
        grooves: folder of MIDI performances.
        backing: files or folders of recordings without drums; the rest of the backings is synthesised.
        songs: how many.
        song: how they vary.
        drums_only: without backings.
        stems: drums and backing are written apart as well.
        instruments: folders of notes, or SoundFonts, whose instruments play in the backings.
    """

    kits: tuple[Path, ...]
    grooves: Path
    backing: tuple[Path, ...] = ()
    songs: int = 20
    song: SongConfig = field(default_factory=lambda: SongConfig(bus=SET_BUS, backing=SET_BACKING))
    drums_only: bool = False
    stems: bool = False
    instruments: tuple[Path, ...] = ()


@dataclass(frozen=True)
class SetResult:
    """What was done.

    Attributes:
        table: the events of all songs.
        songs, made: how many there are, and how many this run made.
        events: rows of the table.
        kits: names of the kits that were read.
        instruments: how many were read.
        skipped: (path, reason) of files that are no stroke of a drum that can be named, and no note.
        damaged: (path, reason) of files that cannot be read.
    """

    table: Path
    songs: int
    made: int
    events: int
    kits: tuple[str, ...]
    instruments: int
    skipped: Left
    damaged: Left


def load_stock(config: SetConfig) -> tuple[Stock, Left, Left]:
    """What the songs are made of; what is no stroke and no note; and what cannot be read.

    Raises:
        InputError: nothing usable is left of the kits or of the performances, a folder is not there, or a
            SoundFont cannot be used.
    """
    bank = read_kits_and_soundfonts(config.kits)
    grooves, unread = read_grooves(config.grooves)
    recordings, silent = read_recordings(config.backing)
    instruments, others, cut = readable_instruments(config.instruments)
    recordings = replace(recordings, instruments=tuple(instruments))
    damaged = (*bank.damaged, *unread, *silent, *cut)
    return Stock.of(bank, grooves, recordings), (*bank.skipped, *others), damaged


def _inputs_digest(config: SetConfig) -> str:
    return inputs_digest(
        {
            "kits": config.kits,
            "grooves": (config.grooves,),
            "backing": config.backing,
            "instruments": config.instruments,
        }
    )


def _settings(config: SetConfig) -> dict[str, object]:
    song = config.song
    return {
        "made_by": f"beatsight {VERSION}",
        "seconds": song.seconds,
        "seed": song.seed,
        "drums_only": config.drums_only,
        "stems": config.stems,
        "effects": msgspec.to_builtins((song.playing, song.drumset, song.bus, song.backing)),
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
        instruments=len(stock.recordings.instruments),
        skipped=skipped,
        damaged=damaged,
    )
