"""Recorded instruments in the backing: folders of notes, played as bass, chords and melody.

An instrument is a folder of audio files that are named after their pitches, as sample packs are: ``A3.mp3``,
``Cs4.wav`` or ``C#4.wav`` (sharp), ``Eb2.flac`` (flat); middle C is C4, MIDI note 60. A note that is not
there is the nearest one, faster or slower.

Conventions: mono float32 at 44.1 kHz; int16 in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio import io
from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError
from beatsight.synth.studio.filters import low_pass

_PITCH = re.compile(r"([A-Ga-g])(s|#|♯|b|♭)?(-?\d)")
_STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_ACCIDENTALS = {"s": 1, "#": 1, "♯": 1, "b": -1, "♭": -1, None: 0}
# Instruments that reach below this play the bass (A2).
_BASS_BELOW = 33
_LONGEST_S = 4.0
_CHORDS = ((0, 4, 7), (0, 3, 7), (0, 7, 12), (0, 4, 7, 12), (0, 3, 7, 10), (0, 5, 7))
_SCALE = (0, 2, 3, 5, 7, 8, 10, 12)


@dataclass(frozen=True, eq=False)
class Instrument:
    """Notes by MIDI number: int16 samples with the factor to float."""

    name: str
    notes: dict[int, tuple[np.ndarray, float]]

    def note(self, pitch: int, seconds: float) -> np.ndarray:
        """A note of at most so many seconds, float32."""
        nearest = min(self.notes, key=lambda known: (abs(known - pitch), known))
        stored, scale = self.notes[nearest]
        ratio = 2.0 ** ((pitch - nearest) / 12.0)
        count = min(round(seconds * SAMPLE_RATE), int((len(stored) - 1) / ratio))
        at = np.arange(count) * ratio
        audio = np.interp(at, np.arange(len(stored)), stored).astype(np.float32) * np.float32(scale)
        fade = min(len(audio), 1200)
        audio[len(audio) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return audio


def pitch_of(stem: str) -> int | None:
    """MIDI number of a file name; None for another name.

    >>> pitch_of("A3"), pitch_of("Cs4"), pitch_of("Eb2"), pitch_of("loop")
    (57, 61, 39, None)
    """
    match = _PITCH.fullmatch(stem)
    if match is None:
        return None
    letter, accidental, octave = match.groups()
    return _STEPS[letter.lower()] + _ACCIDENTALS[accidental] + 12 * (int(octave) + 1)


def read_instruments(
    folders: Iterable[Path],
) -> tuple[list[Instrument], list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Every instrument under some folders.

    Returns:
        the instruments; (path, reason) of files that are no notes; and of notes that cannot be read.

    Raises:
        InputError: a folder is missing or holds no instrument.
    """
    found: list[Instrument] = []
    skipped: list[tuple[Path, str]] = []
    damaged: list[tuple[Path, str]] = []
    for folder in folders:
        if not folder.exists():
            raise InputError(f"{folder}: no such folder or SoundFont")
        if not folder.is_dir():
            raise InputError(f"{folder}: is neither a folder of notes nor a SoundFont (.sf2)")
        by_folder: dict[Path, dict[int, tuple[np.ndarray, float]]] = {}
        for path in io.find_audio(folder):
            pitch = pitch_of(path.stem)
            if pitch is None:
                skipped.append((path, "its name is no pitch, such as A3 or Cs4"))
                continue
            try:
                audio = io.load(path)[: round(_LONGEST_S * SAMPLE_RATE)]
            except InputError as error:
                damaged.append((path, str(error)))
                continue
            peak = float(np.abs(audio).max(initial=0.0))
            if peak == 0.0:
                skipped.append((path, "is silent"))
                continue
            stored = np.round(audio * (32767.0 / peak)).astype(np.int16)
            by_folder.setdefault(path.parent, {})[pitch] = (stored, 1.0 / 32767.0)
        if not by_folder and damaged:
            raise InputError(f"{folder}: holds no note that can be read; {damaged[0][1]}")
        if not by_folder:
            raise InputError(f"{folder}: holds no instrument: audio files named after pitches (A3, Cs4)")
        found += [Instrument(path.name, notes) for path, notes in sorted(by_folder.items())]
    return found, skipped, damaged


class _Part:
    """What one instrument plays: a rhythm over four chords."""

    def __init__(self, rng: np.random.Generator, instrument: Instrument, beat_s: float) -> None:
        self._rng, self._instrument = rng, instrument
        self._gap = beat_s / float(rng.choice((0.5, 1, 2, 2, 3, 4)))
        self._pattern = rng.random(8) < rng.uniform(0.35, 1.0)
        self._strum_s = float(rng.uniform(0.0, 0.03))
        self._chord = _CHORDS[int(rng.integers(len(_CHORDS)))]
        self._kind = "bass" if min(instrument.notes) < _BASS_BELOW else str(rng.choice(("chords", "melody")))
        low, high = min(instrument.notes), max(instrument.notes)
        self._low = int(rng.integers(low, max(low + 1, min(high - 12, low + 24))))
        self._made: dict[int, np.ndarray] = {}

    def play(self, n: int, roots: list[int], bar_s: float) -> np.ndarray:
        """The part, shape (n,)."""
        rng, track = self._rng, np.zeros(n, np.float32)
        length = float(rng.uniform(0.15, 2.5))
        for index, time in enumerate(np.arange(0.02, n / SAMPLE_RATE, self._gap)):
            if not self._pattern[index % 8]:
                continue
            root = self._low + roots[int(time / bar_s) % len(roots)]
            audio = self._sound(root, length)
            first = max(0, round((time + rng.normal(0.0, 0.005)) * SAMPLE_RATE))
            audio = audio[: max(0, n - first)]
            track[first : first + len(audio)] += audio * np.float32(rng.uniform(0.5, 1.0))
        return track

    def _sound(self, root: int, length: float) -> np.ndarray:
        if self._kind == "melody":
            root += int(self._rng.choice(_SCALE))
        if root not in self._made:
            intervals = self._chord if self._kind == "chords" else (0,)
            notes = [self._instrument.note(root + interval, length) for interval in intervals]
            strum = round(self._strum_s * SAMPLE_RATE) if len(notes) > 1 else 0
            out = np.zeros(max(len(note) + k * strum for k, note in enumerate(notes)), np.float32)
            for k, note in enumerate(notes):
                out[k * strum : k * strum + len(note)] += note
            self._made[root] = out
        return self._made[root]


def play_instruments(rng: np.random.Generator, instruments: list[Instrument], n: int) -> np.ndarray:
    """One to three instruments in one rhythm and harmony; float32, shape (n,)."""
    beat_s = float(rng.uniform(0.3, 0.9))
    roots = [int(root) for root in rng.choice(_SCALE, size=4)]
    track = np.zeros(n, np.float32)
    count = min(len(instruments), int(rng.integers(1, 4)))
    for index in rng.choice(len(instruments), size=count, replace=False):
        part = _Part(rng, instruments[int(index)], beat_s).play(n, roots, 4 * beat_s)
        rms = float(np.sqrt(np.mean(np.square(part, dtype=np.float64))))
        if rms == 0.0:
            continue
        part = part / np.float32(rms)
        if rng.random() < 0.25:
            part = np.tanh(part * np.float32(np.exp(rng.uniform(-0.5, 2.5))))
            part = sosfilt(low_pass(rng.uniform(3000.0, 10000.0)), part).astype(np.float32)
        track += part * np.float32(10 ** (rng.normal(0.0, 4.0) / 20))
    return track
