"""SoundFonts in the studio: drum presets as pieces of the bank, melodic presets as instruments of backings.

A drum preset is a kit: its keys are General MIDI percussion, each velocity range a layer. Presets that play
the same samples on a key share that piece; it is taken once. Left and right samples of a stroke are
microphones.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, resample
from beatsight.errors import InputError
from beatsight.synth.sample_kit import NOMINAL_OPENNESS
from beatsight.synth.soundfont import DRUM_BANK, SoundFont, Zone, read_soundfont
from beatsight.synth.studio.bank import HIHAT, Bank, Piece, Take, role_of
from beatsight.synth.studio.instruments import Instrument, read_instruments
from beatsight.taxonomy import from_note

# .sf3 is named here to be refused as what it is.
_SUFFIXES = frozenset({".sf2", ".sf3"})
_INT16 = 32767.0
# No stroke rings longer, whatever its tuning.
_STROKE_S = 30.0
# Notes of an instrument are kept this long; loops are played round until then.
_NOTE_S = 3.0
# One note in so many semitones is enough: others are played from it.
_NOTE_STEP = 4
_MOST_NOTES = 16
# General MIDI: sound effects, from the guitar's fret noise on, are no band.
_LAST_PROGRAM = 111
# From 48 on drum presets are timpani, marching bands and sounds: other things on the same keys.
_LAST_DRUM_PROGRAM = 47


def is_soundfont(path: Path) -> bool:
    """Whether a path is meant as a SoundFont, which need not be there.

    >>> is_soundfont(Path("Fluid.SF2")), is_soundfont(Path("notes"))
    (True, False)
    """
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def soundfont_pieces(path: str | os.PathLike[str]) -> Iterator[Piece]:
    """Pieces of all drum presets.

    Raises:
        InputError: the file cannot be read or has no drum preset.
    """
    font = read_soundfont(path)
    presets = [
        preset for preset in font.presets if preset.bank == DRUM_BANK and preset.program <= _LAST_DRUM_PROGRAM
    ]
    if not presets:
        raise InputError(f"{font.path}: holds no drum kit (bank {DRUM_BANK})")
    seen: set[tuple[str, frozenset[str]]] = set()
    for preset in presets:
        kit = f"{font.path.stem}/{preset.name}"
        hats: list[Take] = []
        for key in range(128):
            label = from_note(key, "gm")
            zones = [zone for zone in preset.zones if zone.keys[0] <= key <= zone.keys[1]]
            if label is None or not zones:
                continue
            identity = (label, frozenset(zone.sample for zone in zones))
            if identity in seen:
                continue
            seen.add(identity)
            takes = _takes(font, label, key, zones)
            if role_of(label) == HIHAT:
                hats += takes
            elif takes:
                yield Piece(kit, role_of(label), f"{label}-{key}", tuple(takes), _mics(takes))
        if hats:
            yield Piece(kit, HIHAT, HIHAT, tuple(hats), _mics(hats))


def with_soundfonts(bank: Bank, paths: Sequence[Path]) -> Bank:
    """The bank with the drum presets of some SoundFonts added.

    Raises:
        InputError: a file cannot be read or has no drum preset, or no drum in them that has a name.
    """
    pieces = {role: list(known) for role, known in bank.pieces.items()}
    for path in paths:
        own = list(soundfont_pieces(path))
        if not own:
            raise InputError(f"{path}: holds no drum that can be named by its General MIDI key")
        for piece in own:
            pieces.setdefault(piece.role, []).append(piece)
    return replace(bank, pieces={role: tuple(found) for role, found in pieces.items()})


def find_instruments(places: Sequence[Path]) -> list[Instrument]:
    """The instruments of folders of notes and of SoundFonts.

    Raises:
        InputError: a place is missing or holds no instrument, or a note cannot be read.
    """
    found, _, damaged = readable_instruments(places)
    if damaged:
        raise InputError(damaged[0][1])
    return found


def readable_instruments(
    places: Sequence[Path],
) -> tuple[list[Instrument], list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Like :func:`find_instruments`, without the notes that cannot be read.

    Returns:
        the instruments; (path, reason) of files that are no notes; and of notes that cannot be read.

    Raises:
        InputError: a place is missing or holds no instrument.
    """
    found: list[Instrument] = []
    skipped: list[tuple[Path, str]] = []
    damaged: list[tuple[Path, str]] = []
    for place in places:
        if is_soundfont(place):
            found += soundfont_instruments(place)
        else:
            instruments, others, unread = read_instruments([place])
            found, skipped, damaged = [*found, *instruments], [*skipped, *others], [*damaged, *unread]
    return found, skipped, damaged


def _mics(takes: list[Take]) -> dict[str, str]:
    return {name: "overhead" for take in takes for name in take.mics}


def _takes(font: SoundFont, label: str, key: int, zones: list[Zone]) -> list[Take]:
    layers: dict[tuple[int, int], list[Zone]] = {}
    for zone in zones:
        layers.setdefault(zone.velocities, []).append(zone)
    takes = []
    for (low, high), parts in sorted(layers.items()):
        mics, scales = {}, {}
        for number, zone in enumerate(parts):
            audio = _pitched(font, zone, key)
            peak = float(np.abs(audio).max(initial=0.0))
            if peak > 0.0:
                mics[f"mic{number}"] = np.round(audio * (_INT16 / peak)).astype(np.int16)
                scales[f"mic{number}"] = peak / _INT16 * 10 ** (zone.gain_db / 20)
        if not mics:
            continue
        whole = (low, high) == (0, 127)
        velocity = None if whole else (max(low, 1) + high) / 2 / 127
        takes.append(Take(label, velocity, NOMINAL_OPENNESS.get(label), False, mics, scales))
    return takes


def _pitched(font: SoundFont, zone: Zone, key: float) -> np.ndarray:
    """A zone's sample as it sounds on a key, at 44.1 kHz."""
    audio = font.audio(zone)
    if zone.sample_rate != SAMPLE_RATE:
        audio = resample(audio, zone.sample_rate, SAMPLE_RATE)
    ratio = 2.0 ** ((key - zone.root) / 12.0)
    if abs(ratio - 1.0) < 1e-3 or len(audio) < 2:
        return audio
    return _played(audio, ratio, _STROKE_S).astype(np.float32)


def _played(audio: np.ndarray, ratio: float, seconds: float) -> np.ndarray:
    """Audio so many times faster, at most so many seconds of it at 44.1 kHz."""
    count = min(math.ceil((len(audio) - 1) / ratio), round(seconds * SAMPLE_RATE))
    return np.interp(np.arange(count) * ratio, np.arange(len(audio)), audio)


def soundfont_instruments(path: str | os.PathLike[str]) -> list[Instrument]:
    """Melodic presets of bank 0, sound effects left out.

    Raises:
        InputError: the file cannot be read or has no such preset.
    """
    font = read_soundfont(path)
    found = []
    for preset in font.presets:
        if preset.bank == 0 and preset.program <= _LAST_PROGRAM:
            notes = _notes(font, preset.zones)
            if notes:
                found.append(Instrument(preset.name, notes))
    if not found:
        raise InputError(f"{font.path}: holds no instrument in bank 0")
    return found


def _notes(font: SoundFont, zones: tuple[Zone, ...]) -> dict[int, tuple[np.ndarray, float]]:
    """Some notes of a preset, loud ones, spread over its range."""
    notes: dict[int, tuple[np.ndarray, float]] = {}
    for zone in sorted(zones, key=lambda z: (-z.velocities[1], z.keys)):
        key = round(min(max(zone.root, zone.keys[0]), zone.keys[1]))
        if len(notes) >= _MOST_NOTES or any(abs(key - other) < _NOTE_STEP for other in notes):
            continue
        audio = _sustained(font, zone)
        ratio = 2.0 ** ((key - zone.root) / 12.0) * zone.sample_rate / SAMPLE_RATE
        sound = _played(audio, ratio, _NOTE_S)
        peak = float(np.abs(sound).max(initial=0.0))
        if peak > 0.0:
            notes[key] = (np.round(sound * (_INT16 / peak)).astype(np.int16), 1.0 / _INT16)
    return notes


def _sustained(font: SoundFont, zone: Zone) -> np.ndarray:
    """The sample, its loop played round for three seconds."""
    audio, (start, end) = font.audio(zone), zone.loop
    wanted = round(_NOTE_S * zone.sample_rate)
    if end <= start or len(audio) >= wanted:
        return audio
    rounds = -(-(wanted - end) // (end - start))
    return np.concatenate([audio[:end], np.tile(audio[start:end], max(rounds, 0))])
