"""Plucked and strummed strings: guitars clean or driven, and a bass.

A string is Karplus and Strong's: a burst of noise in a loop that averages its neighbours ("Digital Synthesis
of Plucked-String and Drum Timbres", Computer Music Journal 7(2), 1983). Deviation: whole periods at once, so
a second of string costs well under a millisecond, and pitches are those of whole periods at 44.1 kHz.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter, sosfilt

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.room import shelf
from beatsight.synth.studio.filters import high_pass, low_pass

# Intervals over the root, in semitones: power chord, major, minor, seventh, fourths, octave.
_CHORDS = ((0, 7, 12), (0, 7, 12, 16, 19), (0, 7, 12, 15, 19), (0, 4, 10, 16), (0, 5, 10, 15), (0, 12))
_STEPS = (0, 2, 3, 4, 5, 7, 8, 9, 10, 12)


def pluck(rng: np.random.Generator, freq_hz: float, seconds: float, bright: float, keep: float) -> np.ndarray:
    """One string, float32; RMS of the attack near 1.

    Args:
        rng: source of the burst.
        freq_hz: pitch.
        seconds: length.
        bright: 0 (thumb) to 1 (pick at the bridge).
        keep: how much of a period's energy the next one has, just under 1.
    """
    period = max(8, round(SAMPLE_RATE / freq_hz))
    n = round(seconds * SAMPLE_RATE)
    rows = -(-n // period)
    table = np.empty((rows, period), np.float32)
    burst = rng.uniform(-1.0, 1.0, period)
    table[0] = lfilter([bright], [1.0, bright - 1.0], burst)
    table[0] *= np.float32(1.7 / max(float(np.abs(table[0]).max()), 1e-6))
    for row in range(1, rows):
        last = table[row - 1]
        table[row, 1:] = (last[1:] + last[:-1]) * np.float32(0.5 * keep)
        before = table[row - 2, -1] if row > 1 else last[-1]
        table[row, 0] = (last[0] + before) * np.float32(0.5 * keep)
    return table.reshape(-1)[:n]


class _Instrument:
    """Strums chords, each built once."""

    def __init__(self, rng: np.random.Generator, low_hz: float, *, bass: bool, steel: bool) -> None:
        self._rng, self._low = rng, low_hz
        self._bright, self._keep = float(rng.uniform(0.15, 0.9)), float(rng.uniform(0.985, 0.9995))
        self._mute = rng.random() < 0.3
        self._strum_s = 0.0 if bass else float(rng.uniform(0.0, 0.03))
        self._shape = (0,) if bass else _CHORDS[int(rng.integers(len(_CHORDS)))]
        # The pick on the strings: what looks like a cymbal.
        self._scratch = 0.0 if bass else float(rng.uniform(0.0, 0.8))
        if steel:
            self._bright, self._keep = float(rng.uniform(0.7, 1.0)), float(rng.uniform(0.997, 0.99995))
            self._scratch = float(rng.uniform(0.0, 3.0))
        self._sounds: dict[int, np.ndarray] = {}

    def chord(self, step: int) -> np.ndarray:
        if step not in self._sounds:
            rng = self._rng
            seconds = 0.18 if self._mute else 1.4
            out = np.zeros(round((seconds + 0.2) * SAMPLE_RATE), np.float32)
            for index, interval in enumerate(self._shape):
                freq = self._low * 2.0 ** ((step + interval) / 12.0)
                string = pluck(rng, freq, seconds, self._bright, self._keep)
                first = round(index * self._strum_s * SAMPLE_RATE)
                out[first : first + len(string)] += string
            if self._scratch:
                n = round((0.02 + len(self._shape) * self._strum_s) * SAMPLE_RATE)
                burst = sosfilt(high_pass(2500.0), rng.standard_normal(n)).astype(np.float32)
                out[:n] += burst * np.hanning(n).astype(np.float32) * np.float32(self._scratch)
            fade = min(len(out), 900)
            out[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
            self._sounds[step] = out
        return self._sounds[step]


def _part(
    rng: np.random.Generator, n: int, *, bass: bool, beat_s: float, roots: list[int], steel: bool = False
) -> np.ndarray:
    low = float(rng.uniform(36.0, 60.0) if bass else rng.uniform(75.0, 220.0))
    player = _Instrument(rng, low, bass=bass, steel=steel)
    track = np.zeros(n, np.float32)
    division = int(rng.choice((1, 2, 2, 4, 3)))
    pattern = rng.random(8) < rng.uniform(0.4, 1.0)
    gap = beat_s / division
    until = 0
    for index, time in enumerate(np.arange(0.05, n / SAMPLE_RATE, gap)):
        if not pattern[index % 8]:
            continue
        root = roots[int(time / (4 * beat_s)) % len(roots)]
        step = root + (int(rng.choice(_STEPS)) if bass and rng.random() < 0.3 else 0)
        audio = player.chord(step)
        first = max(0, round((time + rng.normal(0.0, 0.006)) * SAMPLE_RATE))
        # A new chord stops the old one.
        if until > first:
            stop = min(first + 500, until, n)
            if stop > first:
                track[first:stop] *= np.linspace(1.0, 0.0, stop - first, dtype=np.float32)
                track[stop:until] = 0.0
        audio = audio[: max(0, n - first)]
        track[first : first + len(audio)] += audio * np.float32(rng.uniform(0.5, 1.0))
        until = first + len(audio)
    return track


def play_strings(rng: np.random.Generator, n: int) -> np.ndarray:
    """A rhythm guitar, a bass or both; float32, shape (n,)."""
    beat_s = float(rng.uniform(0.3, 0.9))
    roots = [int(r) for r in rng.choice(_STEPS, size=4)]
    kind = rng.random()
    track = np.zeros(n, np.float32)
    if kind < 0.75:
        guitar = _part(rng, n, bass=False, beat_s=beat_s, roots=roots)
        if rng.random() < 0.5:
            guitar = np.tanh(guitar * np.float32(np.exp(rng.uniform(0.0, 4.0))))
            guitar = sosfilt(low_pass(rng.uniform(3000.0, 9000.0)), guitar).astype(np.float32)
        track += guitar
    if kind > 0.35:
        bass = _part(rng, n, bass=True, beat_s=beat_s, roots=roots)
        bass = sosfilt(low_pass(rng.uniform(400.0, 3000.0)), bass).astype(np.float32)
        track += bass * np.float32(rng.uniform(0.5, 2.5))
    return track


def strum(rng: np.random.Generator, n: int) -> np.ndarray:
    """Strummed steel strings with a hard pick, whose attacks look much like a ride cymbal's; shape (n,)."""
    roots = [int(r) for r in rng.choice(_STEPS, size=4)]
    guitar = _part(rng, n, bass=False, beat_s=float(rng.uniform(0.3, 0.8)), roots=roots, steel=True)
    guitar = sosfilt(shelf(rng.uniform(2000.0, 6000.0), rng.uniform(4.0, 20.0), high=True), guitar)
    if rng.random() < 0.3:
        guitar = np.tanh(guitar * rng.uniform(0.5, 6.0))
    return sosfilt(high_pass(rng.uniform(60.0, 250.0)), guitar).astype(np.float32)
