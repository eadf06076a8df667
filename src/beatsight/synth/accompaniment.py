"""The rest of the band: bass, chords and a lead line, simple, in key and in time with the drums.

Conventions: mono float32 at 44.1 kHz; pitches are MIDI note numbers (69 = 440 Hz). Its purpose is to sound at
the same time and in the same bands as the drums, with attacks of its own that are no drums, so that a model
learns to tell them apart. Notes are read from one-period tables, a bright one that fades into a dull one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beatsight.synth.grooves import Performance
from beatsight.synth.tones import SAMPLE_RATE, Audio, samples

_TABLE = 4096
# Scale steps (semitones) of the triad on each degree come from these two modes.
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
# Chord roots as scale degrees, one a bar.
_PROGRESSIONS = (
    (0, 4, 5, 3),
    (0, 3, 4, 4),
    (5, 3, 0, 4),
    (0, 5, 1, 4),
    (0, 0, 3, 4),
    (0, 6, 3, 0),
    (1, 4, 0, 0),
)
# No harmonic above this: cheap tables must not alias.
_TOP_HZ = 9000.0


@dataclass(frozen=True)
class Timbre:
    """An instrument: how fast it starts and dies, and how its harmonics fall.

    ``rolloff`` is the power with which harmonics fall while dull (the bright start has two thirds of it),
    ``odd`` the level of even harmonics, ``vibrato`` a depth in cents.
    """

    attack_s: float
    decay_s: float
    bright_s: float
    rolloff: float
    odd: float
    vibrato: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator, *, plucked: bool) -> Timbre:
        """Invent a plucked (guitar, piano, bass) or a held (organ, strings, voice-like) instrument."""
        return cls(
            attack_s=rng.uniform(0.001, 0.006) if plucked else rng.uniform(0.015, 0.12),
            decay_s=rng.uniform(0.25, 1.2) if plucked else rng.uniform(3.0, 8.0),
            bright_s=rng.uniform(0.04, 0.25),
            rolloff=rng.uniform(1.1, 2.4),
            odd=rng.uniform(0.2, 1.0),
            vibrato=0.0 if plucked else rng.uniform(0.0, 25.0),
        )


def _table(rng: np.random.Generator, freq_hz: float, power: float, odd: float) -> Audio:
    harmonics = np.arange(1, max(2, min(40, int(_TOP_HZ / freq_hz))) + 1)
    levels = harmonics**-power * np.where(harmonics % 2 == 0, odd, 1.0)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[harmonics] = levels * np.exp(2j * math.pi * rng.uniform(0.0, 1.0, len(harmonics)))
    wave = np.fft.irfft(spectrum, _TABLE)
    return (wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


class _Player:
    """Plays notes of one timbre into a track."""

    def __init__(self, rng: np.random.Generator, timbre: Timbre, track: Audio) -> None:
        self._rng, self._timbre, self._track = rng, timbre, track
        self._tables: dict[int, tuple[Audio, Audio]] = {}

    def play(self, onset_s: float, duration_s: float, pitch: int, level: float) -> None:
        """Add one note; it is cut at the end of the track."""
        timbre, rng = self._timbre, self._rng
        start = samples(max(onset_s, 0.0))
        n = min(samples(duration_s), len(self._track) - start)
        if n < 64:
            return
        freq = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
        if pitch not in self._tables:
            dull = _table(rng, freq, timbre.rolloff, timbre.odd)
            self._tables[pitch] = (_table(rng, freq, timbre.rolloff * 0.66, timbre.odd), dull)
        bright, dull = self._tables[pitch]
        time = np.arange(n, dtype=np.float64) / SAMPLE_RATE
        cycles = freq * time + rng.uniform(0.0, 1.0)
        if timbre.vibrato:
            depth = freq * (2.0 ** (timbre.vibrato / 1200.0) - 1.0) / (2.0 * math.pi * 5.5)
            cycles += depth * np.sin(2.0 * math.pi * 5.5 * time)
        at = (cycles * _TABLE).astype(np.int64) & (_TABLE - 1)
        seconds = time.astype(np.float32)
        share = np.exp(seconds * np.float32(-1.0 / timbre.bright_s))
        wave = bright[at] * share + dull[at] * (1.0 - share)
        wave *= np.exp(seconds * np.float32(-1.0 / timbre.decay_s)) * np.float32(level)
        rise, fall = min(n, samples(timbre.attack_s)), min(n, samples(0.02))
        wave[:rise] *= np.linspace(0.0, 1.0, rise, dtype=np.float32)
        wave[-fall:] *= np.linspace(1.0, 0.0, fall, dtype=np.float32)
        self._track[start : start + n] += wave


@dataclass(frozen=True)
class _Bar:
    """One bar's harmony and time: scale pitches, chord degree, beat times with the next bar's first."""

    scale: tuple[int, ...]
    degree: int
    beats_s: np.ndarray

    def pitch(self, step: int, low: int) -> int:
        """The pitch of a scale step above the chord's root, in the octave from ``low`` up."""
        octave, index = divmod(self.degree + step, 7)
        pitch = self.scale[index] + 12 * octave
        return low + (pitch - low) % 12 + 12 * (step // 7)


def _bars(rng: np.random.Generator, performance: Performance) -> list[_Bar]:
    key = int(rng.integers(12))
    scale = tuple(key + step for step in (_MAJOR if rng.random() < 0.5 else _MINOR))
    progression = _PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))]
    beats, count = performance.beats_s, performance.meter.beats
    out = []
    for index in range(0, len(beats) - 1, count):
        times = beats[index : index + count + 1]
        out.append(_Bar(scale, progression[index // count % len(progression)], times))
    return out


def _bass(rng: np.random.Generator, bars: list[_Bar], kicks_s: np.ndarray, track: Audio) -> None:
    """Roots with the kick, or walking on the beats."""
    player = _Player(rng, Timbre.draw(rng, plucked=True), track)
    low = int(rng.integers(28, 34))
    walks = rng.random() < 0.3
    for bar in bars:
        first, end = bar.beats_s[0], bar.beats_s[-1]
        if walks:
            starts = list(bar.beats_s[:-1])
        else:
            inside = kicks_s[(kicks_s >= first - 0.02) & (kicks_s < end - 0.05)]
            starts = [first, *inside[inside > first + 0.1]]
        for index, onset in enumerate(starts):
            until = starts[index + 1] if index + 1 < len(starts) else end
            step = (0, 2, 4, 5, 6, 4, 2)[index % 7] if walks else int(rng.choice((0, 0, 0, 4, 7)))
            late = rng.normal(0.004, 0.006)
            player.play(
                onset + late,
                (until - onset) * rng.uniform(0.7, 1.0),
                bar.pitch(step, low),
                rng.uniform(0.8, 1.1),
            )


def _chords(rng: np.random.Generator, bars: list[_Bar], track: Audio) -> None:
    """Triads: held through the bar, on every beat, or on the off-beats."""
    way = str(rng.choice(("held", "beats", "offbeats")))
    player = _Player(rng, Timbre.draw(rng, plucked=way != "held" or rng.random() < 0.4), track)
    low = int(rng.integers(50, 60))
    strum_s = rng.uniform(0.0, 0.015)
    for bar in bars:
        times = bar.beats_s
        if way == "held":
            starts, length = times[:1], times[-1] - times[0]
        else:
            gap = np.diff(times).mean() if len(times) > 1 else 0.5
            starts = times[:-1] + (gap / 2 if way == "offbeats" else 0.0)
            length = gap * rng.uniform(0.4, 0.95)
        for onset in starts:
            late = rng.normal(0.003, 0.008)
            for string, step in enumerate((0, 2, 4)):
                player.play(onset + late + string * strum_s, length, bar.pitch(step, low), 0.4)


def _lead(rng: np.random.Generator, bars: list[_Bar], track: Audio) -> None:
    """A line that wanders over the scale in beats and half beats, with rests."""
    player = _Player(rng, Timbre.draw(rng, plucked=rng.random() < 0.4), track)
    low, step = int(rng.integers(60, 72)), 4
    for bar in bars:
        for start, end in zip(bar.beats_s[:-1], bar.beats_s[1:], strict=True):
            if rng.random() < 0.35:
                continue
            halves = 2 if end - start > 0.4 and rng.random() < 0.4 else 1
            length = (end - start) / halves
            for half in range(halves):
                step = int(np.clip(step + rng.integers(-2, 3), 0, 9))
                onset = start + half * length + rng.normal(0.008, 0.012)
                player.play(
                    onset, length * rng.uniform(0.7, 1.3), bar.pitch(step, low), rng.uniform(0.4, 0.7)
                )


def make_accompaniment(rng: np.random.Generator, performance: Performance, n: int) -> Audio:
    """Bass, chords and, in two songs of three, a lead to a performance; shape ``(n,)``, RMS near 1.

    Args:
        rng: source of key, chords, instruments and timing.
        performance: the drums to play with.
        n: length in samples.
    """
    track = np.zeros(n, dtype=np.float32)
    bars = _bars(rng, performance)
    kicks = np.array([hit.onset_s for hit in performance.hits if hit.label == "kick"])
    _bass(rng, bars, kicks, track)
    _chords(rng, bars, track)
    if rng.random() < 0.67:
        _lead(rng, bars, track)
    rms = float(np.sqrt(np.mean(np.square(track, dtype=np.float64))))
    return track / np.float32(rms) if rms > 0.0 else track
