"""The room around the kit and the bus behind it: reverb, tone, compression and soft clipping.

Conventions: mono float32 at 44.1 kHz. Nothing here moves an attack: the direct sound is the first sample of
the impulse response, all filters are causal and minimum-phase, and the compressor never looks ahead.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.fft
from scipy.signal import lfilter, sosfilt

from beatsight.synth.tones import SAMPLE_RATE, Audio, Colour, decay, noise, samples

# Walls and air take the top away first.
_REFLECTED: Colour = ((60.0, -9.0), (200.0, 0.0), (1500.0, -2.0), (5000.0, -9.0), (12000.0, -22.0))
# The compressor works on blocks of this many samples (1.5 ms), short against its attack.
_BLOCK = 64
_ATTACK_S = 0.008
# Where the soft clipper bends, linear: below it nothing changes.
_CLIP_KNEE = 0.7


def shelf(freq_hz: float, gain_db: float, *, high: bool) -> np.ndarray:
    """A shelving filter as one second-order section, shape (1, 6).

    Source: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients", slope 1.

    >>> section = shelf(200.0, 6.0, high=False)[0]
    >>> round(20 * math.log10(section[:3].sum() / section[3:].sum()), 6)
    6.0
    """
    a = 10.0 ** (gain_db / 40.0)
    w = 2.0 * math.pi * freq_hz / SAMPLE_RATE
    cos, side = math.cos(w), 2.0 * math.sqrt(a) * math.sin(w) / math.sqrt(2.0)
    s = -1.0 if high else 1.0
    b = (a * ((a + 1) - s * (a - 1) * cos + side), s * 2 * a * ((a - 1) - s * (a + 1) * cos),
         a * ((a + 1) - s * (a - 1) * cos - side))  # fmt: skip
    d = ((a + 1) + s * (a - 1) * cos + side, -s * 2 * ((a - 1) + s * (a + 1) * cos),
         (a + 1) + s * (a - 1) * cos - side)  # fmt: skip
    return np.array([[*b, *d]]) / d[0]


def make_room(rng: np.random.Generator) -> Audio:
    """A room's impulse response with the recording's tone in it; shape ``(n,)``, direct sound at sample 0.

    Drawn: reverberation of 0.15..0.8 s, 26..12 dB under the direct sound, a few early reflections after 3 ms,
    and two shelving filters of a few dB, as microphones and engineers bring them.
    """
    t60 = rng.uniform(0.15, 0.8)
    n = samples(t60)
    pre_delay = samples(rng.uniform(0.003, 0.012))
    tail = np.zeros(n, dtype=np.float32)
    tail[pre_delay:] = noise(rng, n - pre_delay, _REFLECTED) * decay(n - pre_delay, t60)
    tail /= np.sqrt(np.sum(tail**2))
    response = tail * np.float32(10.0 ** (rng.uniform(-26.0, -12.0) / 20.0))
    for delay_s in rng.uniform(0.003, 0.025, 5):
        response[samples(delay_s)] += np.float32(rng.normal(0.0, 0.04))
    response[0] += 1.0
    sections = np.vstack(
        [
            shelf(rng.uniform(90.0, 220.0), rng.normal(0.0, 2.0), high=False),
            shelf(rng.uniform(2500.0, 7000.0), rng.normal(0.0, 2.5), high=True),
        ]
    )
    return sosfilt(sections, response).astype(np.float32)


def convolve(audio: Audio, response: Audio) -> Audio:
    """``audio`` through ``response``, cut to the length of ``audio``."""
    size = scipy.fft.next_fast_len(len(audio) + len(response) - 1, real=True)
    spectrum = scipy.fft.rfft(audio, size)
    spectrum *= scipy.fft.rfft(response, size)
    return scipy.fft.irfft(spectrum, size)[: len(audio)]


def compress(audio: Audio, threshold: float, ratio: float, release_s: float) -> Audio:
    """A feed-forward compressor; shape kept.

    Args:
        audio: the bus.
        threshold: RMS level, linear, from which on it works.
        ratio: decibels in per decibel out above the threshold, 1 or more.
        release_s: time constant of letting go; the attack is 8 ms.
    """
    blocks = -(-len(audio) // _BLOCK)
    padded = np.zeros(blocks * _BLOCK, dtype=np.float32)
    padded[: len(audio)] = audio
    power = np.mean(np.square(padded.reshape(blocks, _BLOCK)), axis=1, dtype=np.float64)
    # Fast and slow follower; the larger one rules, which gives a quick attack and a slow release.
    level = np.zeros(blocks)
    for seconds in (_ATTACK_S, release_s):
        keep = math.exp(-_BLOCK / (seconds * SAMPLE_RATE))
        level = np.maximum(level, lfilter([1.0 - keep], [1.0, -keep], power))
    over = np.maximum(np.sqrt(level) / threshold, 1.0)
    gain = over ** (1.0 / ratio - 1.0)
    # Through each block the gain glides to what the blocks before it ask for: no look-ahead, no steps.
    at = np.arange(blocks + 1) * _BLOCK
    curve = np.interp(np.arange(len(audio)), at, np.concatenate([[1.0, 1.0], gain[:-1]]))
    return audio * curve.astype(np.float32)


def soft_clip(audio: Audio) -> Audio:
    """Bend peaks above 0.7 towards 1, leave the rest as it is.

    >>> soft_clip(np.array([0.5, -3.0], dtype=np.float32)).round(3).tolist()
    [0.5, -1.0]
    """
    room = 1.0 - _CLIP_KNEE
    over = np.abs(audio) - np.float32(_CLIP_KNEE)
    bent = np.float32(_CLIP_KNEE) + np.float32(room) * np.tanh(over / np.float32(room))
    return np.where(over > 0.0, np.sign(audio) * bent, audio).astype(np.float32)
