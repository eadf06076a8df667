"""Filters of the mixing desk that the synthetic rooms do not need.

Conventions: second-order sections for :func:`scipy.signal.sosfilt` at 44.1 kHz; frequencies in Hz, gains in
dB.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import butter

from beatsight.audio.io import SAMPLE_RATE


def peaking(freq_hz: float, gain_db: float, q: float) -> np.ndarray:
    """A bell around ``freq_hz`` as one second-order section, shape (1, 6).

    Source: R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients".

    >>> section = peaking(1000.0, 6.0, 1.0)[0]
    >>> z = np.exp(-2j * np.pi * 1000.0 / SAMPLE_RATE) ** np.arange(3)
    >>> round(20 * math.log10(abs(section[:3] @ z / (section[3:] @ z))), 6)
    6.0
    """
    a = 10.0 ** (gain_db / 40.0)
    w = 2.0 * math.pi * freq_hz / SAMPLE_RATE
    cos, alpha = math.cos(w), math.sin(w) / (2.0 * q)
    b = (1 + alpha * a, -2 * cos, 1 - alpha * a)
    d = (1 + alpha / a, -2 * cos, 1 - alpha / a)
    return np.array([[*b, *d]]) / d[0]


def low_pass(freq_hz: float, order: int = 2) -> np.ndarray:
    """A Butterworth low-pass, shape (sections, 6)."""
    return butter(order, freq_hz, "lowpass", fs=SAMPLE_RATE, output="sos")


def high_pass(freq_hz: float, order: int = 2) -> np.ndarray:
    """A Butterworth high-pass, shape (sections, 6)."""
    return butter(order, freq_hz, "highpass", fs=SAMPLE_RATE, output="sos")
