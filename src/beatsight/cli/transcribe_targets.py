"""Which charts ``beatsight transcribe`` writes of which songs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from beatsight.audio.io import find_audio
from beatsight.charts import SUFFIXES
from beatsight.errors import InputError, UsageError
from beatsight.transcription.batch import Job


class _Song(NamedTuple):
    """A song, and its folder below the one that was named (empty for songs named themselves)."""

    path: Path
    below: Path


def jobs_of(songs: list[Path], outputs: list[Path], formats: list[str]) -> list[Job]:
    """The songs that files and folders stand for, each with its charts.

    Songs of a folder keep their place below it.

    Raises:
        UsageError: formats, outputs and songs do not go together.
        InputError: a folder holds no audio.
    """
    suffixes = [f".{name.lstrip('.').lower()}" for name in formats]
    if unknown := [suffix for suffix in suffixes if suffix not in SUFFIXES]:
        raise UsageError(f"unknown chart format {unknown[0]!r}; known: {', '.join(SUFFIXES)}")
    if not songs:
        raise UsageError("no song is named; see beatsight transcribe --help")
    files = [path for path in outputs if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    alone = len(songs) == 1 and not songs[0].is_dir()
    if alone and files and not formats:
        if other := [path for path in outputs if path not in files]:
            raise UsageError(f"{other[0]}: unknown chart format; known: {', '.join(SUFFIXES)}")
        return [Job(songs[0], tuple(files))]
    if files or len(outputs) > 1:
        is_folder = len(songs) == 1 and not alone
        what = f"the songs of the folder {songs[0]}" if is_folder else "several songs, or --format,"
        raise UsageError(f"{what} go into one folder: -o FOLDER, with --format for the kinds of chart")
    if alone and outputs and outputs[0].suffix and not outputs[0].is_dir():
        raise UsageError(f"{outputs[0]}: unknown chart format; known: {', '.join(SUFFIXES)}")
    if outputs and outputs[0].exists() and not outputs[0].is_dir():
        raise UsageError(f"{outputs[0]}: is a file, not a folder for charts")
    return _into_folder(_found(songs), outputs[0] if outputs else None, suffixes or [".bsm"])


def _found(songs: list[Path]) -> list[_Song]:
    found = []
    for path in songs:
        if not path.is_dir():
            found.append(_Song(path, Path()))
            continue
        inside = find_audio(path)
        if not inside:
            raise InputError(f"{path}: holds no audio files")
        found += [_Song(song, song.parent.relative_to(path)) for song in inside]
    return found


def _into_folder(songs: list[_Song], folder: Path | None, suffixes: list[str]) -> list[Job]:
    places = [(folder / song.below if folder else song.path.parent) / song.path.stem for song in songs]
    by_place: dict[Path, Path] = {}
    for song, place in zip(songs, places, strict=True):
        if (other := by_place.setdefault(place, song.path)) is not song.path:
            raise UsageError(f"{other} and {song.path}: their charts would overwrite each other")
    return [
        # Not with_suffix: a name may hold dots.
        Job(song.path, tuple(place.parent / f"{place.name}{suffix}" for suffix in suffixes))
        for song, place in zip(songs, places, strict=True)
    ]
