"""Strummed guitars of recorded notes: what fools a drum transcriber most.

Six strings crossed by a pick within some hundredths of a second begin like a ride cymbal; strokes on damped
strings begin like a hat. Both come on the beat, where drums do.

Conventions: mono float32 at 44.1 kHz; strings from the lowest, frets from the nut, None for one not played.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.room import shelf
from beatsight.synth.studio.filters import high_pass
from beatsight.synth.studio.instruments import Instrument

_TUNING = (40, 45, 50, 55, 59, 64)
_Shape = tuple[int | None, ...]
# Chords as they are gripped: E, A, D, G, C, E minor, A minor, D minor, F, B minor, and two power chords.
_SHAPES: tuple[_Shape, ...] = (
    (0, 2, 2, 1, 0, 0), (None, 0, 2, 2, 2, 0), (None, None, 0, 2, 3, 2), (3, 2, 0, 0, 0, 3),
    (None, 3, 2, 0, 1, 0), (0, 2, 2, 0, 0, 0), (None, 0, 2, 2, 1, 0), (None, None, 0, 2, 3, 1),
    (1, 3, 3, 2, 1, 1), (None, 2, 4, 4, 3, 2), (3, 5, 5, None, None, None), (None, 3, 5, 5, None, None),
)  # fmt: skip
_RING_S = 2.5
_FADE = 500
_VARIANTS = 2


def guitars_of(instruments: Sequence[Instrument]) -> list[Instrument]:
    """Those whose name says so."""
    return [instrument for instrument in instruments if "guitar" in instrument.name.lower()]


class _Player:
    """One guitar, tuned, with a hand of its own; strokes are built once and used again."""

    def __init__(self, rng: np.random.Generator, guitar: Instrument) -> None:
        self._rng, self._guitar = rng, guitar
        self._capo = int(rng.integers(-2, 6))
        self._cross_s = float(rng.uniform(0.002, 0.012))
        self._pick = float(rng.uniform(0.0, 0.5)) if rng.random() < 0.6 else 0.0
        self._damped_s = float(rng.uniform(0.02, 0.06))
        self._made: dict[tuple[_Shape, bool, bool, int], np.ndarray] = {}

    def stroke(self, shape: _Shape, *, up: bool, damped: bool) -> np.ndarray:
        """All strings of a chord, one after the other; an upstroke catches the high ones only."""
        key = (shape, up, damped, int(self._rng.integers(_VARIANTS)))
        if key not in self._made:
            self._made[key] = self._build(shape, up, damped)
        return self._made[key]

    def _build(self, shape: _Shape, up: bool, damped: bool) -> np.ndarray:
        rng = self._rng
        strings = [k for k, fret in enumerate(shape) if fret is not None]
        if up:
            strings = strings[::-1][: int(rng.integers(2, 5))]
        seconds = self._damped_s if damped else _RING_S
        out = np.zeros(round((seconds + 0.15) * SAMPLE_RATE), np.float32)
        for order, string in enumerate(strings):
            pitch = _TUNING[string] + (shape[string] or 0) + self._capo
            note = self._guitar.note(pitch, seconds) * np.float32(rng.uniform(0.6, 1.0))
            if damped:
                note *= np.exp(-np.arange(len(note)) / (0.3 * self._damped_s * SAMPLE_RATE)).astype(
                    np.float32
                )
            first = round(order * self._cross_s * float(rng.uniform(0.6, 1.4)) * SAMPLE_RATE)
            out[first : first + len(note)] += note
            if self._pick:
                n = int(rng.integers(60, 260))
                scrape = rng.standard_normal(n).astype(np.float32) * np.hanning(n).astype(np.float32)
                out[first : first + n] += scrape * np.float32(
                    self._pick * float(np.abs(note).max(initial=0.0))
                )
        return out


def _rhythm(rng: np.random.Generator, slots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each slot of a bar: how hard, 0 for no stroke; whether upwards; whether on damped strings."""
    played = rng.random(slots) < rng.uniform(0.4, 1.0)
    played[0] = True
    strength = played * rng.uniform(0.35, 1.0, slots)
    damped = rng.random(slots) < (rng.uniform(0.0, 0.6) if rng.random() < 0.5 else 0.0)
    up = (np.arange(slots) % 2 == 1) & (rng.random() < 0.8)
    return strength, up, damped


def play_guitar(rng: np.random.Generator, guitars: Sequence[Instrument], n: int) -> np.ndarray:
    """A rhythm guitar, in two takes now and then; float32, shape (n,)."""
    guitar = guitars[int(rng.integers(len(guitars)))]
    beat_s, division = float(rng.uniform(0.3, 0.8)), int(rng.choice((2, 2, 4, 4, 3, 1)))
    chords = [_SHAPES[int(k)] for k in rng.integers(len(_SHAPES), size=4)]
    rhythm = _rhythm(rng, 4 * division)
    track = np.zeros(n, np.float32)
    for _ in range(1 + (rng.random() < 0.35)):
        track += _take(rng, _Player(rng, guitar), chords, rhythm, beat_s / division, n)
    sections = [
        high_pass(rng.uniform(50.0, 220.0)),
        shelf(rng.uniform(2000.0, 6000.0), rng.uniform(-3.0, 14.0), high=True),
    ]
    track = sosfilt(np.vstack(sections), track).astype(np.float32)
    if rng.random() < 0.35:
        track = np.tanh(track * np.float32(np.exp(rng.uniform(-0.5, 2.0)) / max(float(track.std()), 1e-6)))
    return track


def _take(
    rng: np.random.Generator,
    player: _Player,
    chords: Sequence[_Shape],
    rhythm: tuple[np.ndarray, np.ndarray, np.ndarray],
    gap_s: float,
    n: int,
) -> np.ndarray:
    strength, up, damped = rhythm
    track, until = np.zeros(n, np.float32), 0
    for index, time in enumerate(np.arange(0.03, n / SAMPLE_RATE, gap_s)):
        slot = index % len(strength)
        if not strength[slot]:
            continue
        shape = chords[index // len(strength) % len(chords)]
        audio = player.stroke(shape, up=bool(up[slot]), damped=bool(damped[slot]))
        first = max(0, round((time + rng.normal(0.0, 0.007)) * SAMPLE_RATE))
        # The hand on the strings ends what rang before.
        stop = min(first + _FADE, until, n)
        if stop > first:
            track[first:stop] *= np.linspace(1.0, 0.0, stop - first, dtype=np.float32)
            track[stop:until] = 0.0
        audio = audio[: max(0, n - first)]
        track[first : first + len(audio)] += audio * np.float32(strength[slot] * rng.uniform(0.8, 1.0))
        until = first + len(audio)
    return track
