"""A singing or speaking voice as a transcriber hears it: vowels on a pitch, and the sibilants between them.

Source: the source-filter model with two or three formants a vowel (G. Fant, "Acoustic Theory of Speech
Production", 1960). It need not be understood; its s, t and k must look like what they are not.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.studio.filters import high_pass, peaking

# First and second formants of a, e, i, o, u in Hz (adult voices, rounded).
_VOWELS = ((730, 1090), (530, 1840), (270, 2290), (570, 840), (300, 870))
_SCALE = (0, 2, 3, 5, 7, 8, 10, 12)


def _vowel(rng: np.random.Generator, n: int, freq_hz: float) -> np.ndarray:
    time = np.arange(n, dtype=np.float32) / np.float32(SAMPLE_RATE)
    vibrato = rng.uniform(0.0, 0.012) * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time)
    glide = np.linspace(rng.uniform(0.94, 1.0), 1.0, n, dtype=np.float32)
    phase = np.cumsum(freq_hz * glide * (1.0 + vibrato)) / SAMPLE_RATE
    saw = (2.0 * (phase % 1.0) - 1.0).astype(np.float32)
    first, second = _VOWELS[int(rng.integers(len(_VOWELS)))]
    shift = rng.uniform(0.9, 1.2)
    sections = np.vstack(
        [peaking(first * shift, 16.0, 4.0), peaking(second * shift, 14.0, 6.0), peaking(2900.0, 8.0, 4.0)]
    )
    audio = sosfilt(sections, saw).astype(np.float32)
    # The tilt of a glottis: 6 dB an octave less than the saw has.
    audio = np.cumsum(audio * np.float32(0.08)).astype(np.float32) * np.float32(0.3) + audio * np.float32(0.2)
    audio -= audio.mean()
    rise, fall = min(n, int(rng.uniform(200, 3000))), min(n, 2000)
    audio[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    audio[-fall:] *= np.linspace(1, 0, fall, dtype=np.float32)
    return audio / np.float32(max(float(np.abs(audio).max()), 1e-6))


def _consonant(rng: np.random.Generator) -> np.ndarray:
    """An s (long, soft edges) or a t (a few milliseconds, hard)."""
    soft = rng.random() < 0.6
    n = (
        round(rng.uniform(0.05, 0.16) * SAMPLE_RATE)
        if soft
        else round(rng.uniform(0.01, 0.035) * SAMPLE_RATE)
    )
    audio = sosfilt(high_pass(rng.uniform(2500.0, 6500.0)), rng.standard_normal(n)).astype(np.float32)
    shape = np.hanning(n) if soft else np.exp(-np.arange(n) / (0.3 * n))
    return audio * shape.astype(np.float32) * np.float32(rng.uniform(0.1, 0.5))


def sing(rng: np.random.Generator, n: int) -> np.ndarray:
    """Syllables in phrases with pauses; float32, shape (n,)."""
    track = np.zeros(n, np.float32)
    base, at = rng.uniform(90.0, 300.0), rng.uniform(0.0, 1.0)
    pace = rng.uniform(0.15, 0.6)
    while at < n / SAMPLE_RATE - 0.1:
        for _ in range(int(rng.integers(2, 10))):
            length = pace * rng.uniform(0.6, 1.8)
            freq = base * 2.0 ** (int(rng.choice(_SCALE)) / 12.0)
            parts = [(0.0, _vowel(rng, round(length * SAMPLE_RATE), freq))]
            if rng.random() < 0.7:
                parts.append((-rng.uniform(0.0, 0.08), _consonant(rng)))
            for shift, audio in parts:
                first = max(0, round((at + shift) * SAMPLE_RATE))
                audio = audio[: max(0, n - first)]
                track[first : first + len(audio)] += audio
            at += length
            if at > n / SAMPLE_RATE - 0.1:
                break
        at += rng.uniform(0.2, 2.0)
    return track
