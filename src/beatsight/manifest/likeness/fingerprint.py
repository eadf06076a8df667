"""Fingerprints: a few short vectors per recording by which copies and retakes of it are looked up.

A recording is heard as mono at 11 025 Hz. Its onset envelope is the mean rise of 12 mel bands in decibels,
so that no gain changes it. Vectors are taken at *anchors*, the moments whose rise is the greatest within a
second on either side: a copy that lost its start has the same anchors, somewhere else.

- ``sound``: band levels in dB after the anchor, for 0.8 s; the distance of two is an RMS difference in dB.
  For recordings under 12 s: a song has hits like those of any other song, and its rhythm says more.
- ``rhythm``: the onset envelope after the anchor, for 6 s, of unit length; only recordings of 6 s or more.

Conventions: times in seconds, levels in dB under the recording's own maximum. The scheme is the project's
own; anchored fingerprints go back to Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from beatsight.audio.features import mel_filters
from beatsight.audio.io import stream
from beatsight.errors import InputError

RATE = 11_025
# Only so much of a recording is looked at: memory stays bounded, and songs are shorter.
LONGEST_S = 600.0
# Shorter sounds have too few samples to tell a copy from a likeness.
SHORTEST_S = 0.05
# A peak under this is silence, as a 16-bit recording holds it.
SILENT_DB = -80.0
# A rhythm needs time to be told from others of its style.
RHYTHM_S = 6.0

_N_FFT, HOP = 128, 32  # 11.6 ms windows every 2.9 ms: a drummer's timing differs by more from take to take
_BANDS = 12
_RANGE_DB = 60.0
_LAG = 3  # frames compared: the attack fills the window
_LOCAL_MEAN_S = 0.5
_ANCHOR_RADIUS_S = 1.0
_MOST_ANCHORS = 32
_BLOCK_FRAMES = 4096
# Edges of the pooled stretches of a sound vector, in ms after the anchor: fine at the attack, coarse later.
_SOUND_EDGES_MS = (0, 15, 35, 65, 105, 160, 240, 340, 470, 620, 800)
_RHYTHM_STEP_S = 0.012


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of a recording.

    Attributes:
        digest: of the decoded samples; equal for the same samples in another lossless file.
        sound: float16, shape (anchors, bands * stretches), dB / sqrt(columns); no rows for a long recording.
        rhythm: float16, shape (anchors, steps), unit rows; no rows for a recording under ``RHYTHM_S``.
    """

    digest: str
    sound: np.ndarray
    rhythm: np.ndarray


@lru_cache(maxsize=1)
def _band_weights() -> np.ndarray:
    filters = mel_filters(RATE, _N_FFT, _BANDS, 40.0, 5400.0)
    return (filters / np.maximum(filters.max(axis=1, keepdims=True), 1e-12)).astype(np.float32).T


def hear(path: Path) -> np.ndarray:
    """The first ``LONGEST_S`` of a file as mono float32 at ``RATE``, shape (samples,).

    Raises:
        InputError: it does not decode, is shorter than ``SHORTEST_S``, or is silent.
    """
    blocks: list[np.ndarray] = []
    missing = round(LONGEST_S * RATE)
    for block in stream(path, RATE):
        blocks.append(block[:missing])
        missing -= len(blocks[-1])
        if missing == 0:
            break
    audio = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if len(audio) < SHORTEST_S * RATE:
        raise InputError(f"{path}: is too short to compare ({len(audio) / RATE:.3f} s, under {SHORTEST_S} s)")
    if float(np.abs(audio).max()) < 10.0 ** (SILENT_DB / 20.0):
        raise InputError(f"{path}: is silent (peak under {SILENT_DB:.0f} dBFS)")
    return audio


def levels_db(audio: np.ndarray) -> np.ndarray:
    """Band levels under the recording's maximum, -60..0 dB: float32 (frames, bands), a row every ``HOP``."""
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    padded = np.pad(audio, (_N_FFT // 2, _N_FFT // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::HOP]
    levels = np.empty((len(frames), _BANDS), np.float32)
    for start in range(0, len(frames), _BLOCK_FRAMES):
        spectrum = scipy.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2) @ _band_weights()
        levels[start : start + _BLOCK_FRAMES] = 10.0 * np.log10(power + 1e-20)
    return np.maximum(levels - levels.max(), -_RANGE_DB)


def onset_envelope(levels: np.ndarray) -> np.ndarray:
    """Mean rise over the bands less its mean of half a second: float32 (frames,), about zero on average."""
    rise = np.zeros(len(levels), np.float32)
    rise[_LAG:] = np.maximum(levels[_LAG:] - levels[:-_LAG], 0.0).mean(axis=1)
    rise = gaussian_filter1d(rise, 1.0)
    return rise - uniform_filter1d(rise, max(1, round(_LOCAL_MEAN_S * RATE / HOP)))


def _anchors(envelope: np.ndarray) -> np.ndarray:
    """Frames with the greatest rise within a second, the strongest first; frame 0 stands in for none."""
    width = 2 * round(_ANCHOR_RADIUS_S * RATE / HOP) + 1
    peaks = np.flatnonzero((envelope >= maximum_filter1d(envelope, width)) & (envelope > 0.0))
    strongest = peaks[np.argsort(-envelope[peaks], kind="stable")][: _MOST_ANCHORS - 1]
    # A one-shot cut into its attack has no rise left; it is looked up by its start.
    return np.unique(np.append(strongest, 0))


def _sound_vectors(levels: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    edges = np.round(np.array(_SOUND_EDGES_MS) / 1000.0 * RATE / HOP).astype(int)
    padded = np.pad(levels, ((0, edges[-1]), (0, 0)), constant_values=-_RANGE_DB)
    patches = np.lib.stride_tricks.sliding_window_view(padded, edges[-1], axis=0)[anchors]
    # Each patch against its own loudest point, so that anchors of one song do not share its level.
    pooled = np.add.reduceat(patches, edges[:-1], axis=2) / np.diff(edges)
    pooled = np.maximum(pooled - pooled.max(axis=(1, 2), keepdims=True, initial=-_RANGE_DB), -_RANGE_DB)
    flat = pooled.reshape(len(anchors), pooled.shape[1] * pooled.shape[2])
    return (flat / np.sqrt(flat.shape[1])).astype(np.float16)


def _rhythm_vectors(envelope: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    step = round(_RHYTHM_STEP_S * RATE / HOP)
    steps = round(RHYTHM_S / _RHYTHM_STEP_S)
    # Smoothed to the step, so that a shift of half a step does not lose an onset.
    smooth = gaussian_filter1d(np.sqrt(np.maximum(envelope, 0.0)), step / 2.0)
    inside = anchors[anchors + steps * step <= len(smooth)]
    if not len(inside):
        return np.zeros((0, steps), np.float16)
    rows = smooth[inside[:, None] + np.arange(steps) * step]
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.maximum(length, 1e-9))[length[:, 0] > 1e-6].astype(np.float16)


def fingerprint(audio: np.ndarray) -> Fingerprint:
    """The fingerprint of what :func:`hear` returns, shape (samples,).

    >>> click = np.zeros(RATE, np.float32); click[2000] = 1.0
    >>> fingerprint(click).sound.shape, fingerprint(click).rhythm.shape
    ((2, 120), (0, 500))
    """
    levels = levels_db(audio)
    envelope = onset_envelope(levels)
    anchors = _anchors(envelope)
    rhythm = _rhythm_vectors(envelope, anchors)
    # Up to twice the least length of a rhythm, so that a cut copy without one still meets its original.
    sounds = anchors if not len(rhythm) or len(audio) < 2 * RHYTHM_S * RATE else anchors[:0]
    return Fingerprint(hashlib.sha256(audio.tobytes()).hexdigest(), _sound_vectors(levels, sounds), rhythm)
