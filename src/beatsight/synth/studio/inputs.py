"""What a set of songs is made from: a user's folders and files, read as far as they can be, and their digest.

A file that cannot be read is left out and named; a folder or a SoundFont that is missing, or of no use at
all, is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from beatsight.audio.io import AUDIO_SUFFIXES, find_audio
from beatsight.errors import InputError
from beatsight.files import sha256_file
from beatsight.synth.studio.backing import Recordings, load_recordings
from beatsight.synth.studio.bank import Bank, load_bank
from beatsight.synth.studio.soundfonts import is_soundfont, with_soundfonts

# (path, reason) of files that are left out.
Left = tuple[tuple[Path, str], ...]
# What is read out of folders; a SoundFont is given by itself.
_INPUTS = AUDIO_SUFFIXES | {".toml", ".sfz", ".mid", ".midi", ".csv"}


def read_kits_and_soundfonts(places: Sequence[Path]) -> Bank:
    """The strokes of kits, of folders of kits, of ``.sfz`` files, and of the drum presets of SoundFonts.

    Raises:
        InputError: a place holds no kit, a SoundFont cannot be read or has no drum preset, or nothing usable
            is left.
    """
    fonts = [place for place in places if is_soundfont(place)]
    kits = [place for place in places if not is_soundfont(place)]
    return with_soundfonts(load_bank(kits) if kits else Bank({}, ()), fonts)


def read_recordings(places: Sequence[Path]) -> tuple[Recordings, Left]:
    """The recordings of files and folders that can be read, and those that cannot.

    Raises:
        InputError: a place is missing or holds no recording.
    """
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
    return Recordings(tuple(long), tuple(short)), tuple(damaged)


def inputs_digest(places: Mapping[str, Sequence[Path]]) -> str:
    """A hash of the names and contents of all files that may be read, and of what they serve.

    Args:
        places: purpose -> the folders and files given for it, in their order.
    """
    digest = hashlib.sha256()
    for purpose, given in places.items():
        for number, place in enumerate(given):
            for name, path in _files(place):
                digest.update(f"{purpose} {number} {name} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _files(place: Path) -> Iterator[tuple[str, Path]]:
    if not place.is_dir():
        yield place.name, place  # which kits are named after
        return
    for path in sorted(place.rglob("*")):
        if path.suffix.lower() in _INPUTS and path.is_file():
            yield path.relative_to(place).as_posix(), path
