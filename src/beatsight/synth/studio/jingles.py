"""Invented tambourines: jingles that clash, ring and clash again.

A jingle is a small plate: a dozen partials between 2 and 15 kHz that ring for some tenths of a second. That
ring is what makes a tambourine pass for a ride cymbal; noise alone does not have it.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.studio.filters import high_pass

_LONGEST_S = 1.2
_NO_LOWER_HZ = 2000.0


def tambourine(rng: np.random.Generator) -> list[tuple[float, np.ndarray]]:
    """Strokes of one instrument, soft to hard: (velocity, float32 samples)."""
    pairs = int(rng.integers(2, 9))
    centre = float(np.exp(rng.uniform(np.log(4000.0), np.log(9000.0))))
    ring_s = float(np.exp(rng.uniform(np.log(0.05), np.log(0.4))))
    plates = [_plate(rng, centre, ring_s) for _ in range(pairs)]
    noisy, headed = float(rng.uniform(0.1, 1.2)), rng.random() < 0.4
    clashes = int(rng.integers(1, 6))
    return [
        (velocity, _stroke(rng, plates, noisy, headed, clashes, velocity)) for velocity in (0.25, 0.55, 0.85)
    ]


def _plate(
    rng: np.random.Generator, centre: float, ring_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Partials: frequencies in Hz, amplitudes, decay times (to 1/e) in seconds."""
    count = int(rng.integers(5, 14))
    freqs = np.clip(centre * np.exp(rng.normal(0.0, 0.4, count)), 1800.0, 15500.0)
    return freqs, np.exp(rng.normal(0.0, 0.8, count)), ring_s * np.exp(rng.normal(-0.5, 0.4, count)) / 2


def _stroke(
    rng: np.random.Generator,
    plates: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    noisy: float,
    headed: bool,
    clashes: int,
    velocity: float,
) -> np.ndarray:
    n = round(_LONGEST_S * SAMPLE_RATE)
    seconds = np.arange(n) / SAMPLE_RATE
    out = np.zeros(n)
    for freqs, levels, decays in plates:
        # All meet at the stroke, then each clatters on its own.
        times = np.concatenate([[0.0], rng.exponential(0.02, clashes)])
        gains = np.concatenate([[1.0], rng.uniform(0.1, 0.8, clashes)])
        keep = freqs < 15500.0 * (0.5 + 0.5 * velocity)
        for freq, level, decay in zip(freqs[keep], levels[keep], decays[keep], strict=True):
            ring = (
                level * np.exp(-seconds / decay) * np.sin(2 * np.pi * freq * seconds + rng.uniform(0, 6.28))
            )
            for time, gain in zip(times, gains, strict=True):
                first = round(time * SAMPLE_RATE)
                out[first:] += gain * ring[: n - first]
        for time, gain in zip(times, gains, strict=True):
            first, length = round(time * SAMPLE_RATE), int(rng.integers(150, 1500))
            part = min(length, n - first)
            if part > 0:
                burst = rng.standard_normal(part) * np.exp(-np.arange(part) / (0.3 * length))
                out[first : first + part] += noisy * gain * 2.0 * burst
    out = sosfilt(high_pass(_NO_LOWER_HZ), out)
    if headed:
        thump = np.sin(2 * np.pi * rng.uniform(150.0, 420.0) * seconds) * np.exp(
            -seconds / rng.uniform(0.02, 0.09)
        )
        out += thump * rng.uniform(0.5, 4.0) * np.sqrt(len(plates))
    return (velocity * out / np.abs(out).max()).astype(np.float32)
