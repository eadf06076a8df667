"""Two recordings laid over each other: do they share their samples, or their timing?

The lag comes from cross-correlation, plain and whitened (the phase transform of Knapp & Carter, "The
generalized correlation method for estimation of time delay", IEEE TASSP 1976). At that lag:

- ``coherence``: |sum X conj(Y)| / sqrt(sum |X|^2 sum |Y|^2) in each band, averaged over the bands within
  40 dB of the strongest. A copy keeps nearly 1 in every band through gain, codec and resampling; two takes of
  one drum agree in their ringing but not in their noise.
- ``shared``: the height of the whitened correlation, 0..1: how much of one is contained in the other, as of a
  drum stem in its mix.
- ``rhythm``: correlation of the onset envelopes, 0..1, at the best lag of its own.

Conventions: mono float32 at ``fingerprint.RATE``; the lag counts samples, ``second[t + lag]`` is
``first[t]``. Limits: one clock (no drift of the tape), and one onset is no rhythm: a single hit through
another microphone cannot be told from another hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.fft
from scipy.ndimage import uniform_filter1d

from beatsight.manifest.likeness.fingerprint import HOP, RATE, RHYTHM_S, levels_db, onset_envelope

Kind = Literal["same audio", "same performance"]

# Measured on 2 657 pairs of neighbouring takes of four sampled kits: 0.4 % of them reach 0.96 (cowbells,
# snares with the wires off); 99 % of MP3, trimmed and quieter copies do, 89 % of Vorbis.
SAME_AUDIO = 0.96
# 30 s grooves on two kits: same MIDI file at least 0.91, another of the drummer at that tempo at most 0.45;
# of 780 pairs of 15 s synthetic songs at one tempo, laid over each other by half, the most alike reach 0.68.
SAME_RHYTHM = 0.75
# Drum stems in their mixes at least 0.25, different songs on one synthetic kit at most 0.07.
SAME_SHARED = 0.15
# Below this the onsets disagree, whatever sound is shared: two songs built on one loop.
_RHYTHM_WITH_SHARED = 0.3
# This share of the shorter recording must lie over the other.
_LEAST_OVERLAP = 0.5

_N_FFT, _STEP = 512, 256
_EDGES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 29, 38, 50, 66, 87, 115, 152, 200, 240)  # bins of 21.5 Hz
_ACTIVE_DB = 40.0
_BLOCK_FRAMES = 4096
_WHITEN_HZ = 50.0
_WHITEN_FLOOR = 1e-4


@dataclass(frozen=True)
class Likeness:
    """What two recordings have in common; ``lag`` in samples, ``gain_db`` of the second over the first."""

    kind: Kind
    similarity: float
    lag: int
    gain_db: float


def _whiten(spectrum: np.ndarray, n: int) -> np.ndarray:
    power = np.abs(spectrum) ** 2
    smooth = uniform_filter1d(power, max(3, round(_WHITEN_HZ * n / RATE)))
    return spectrum / np.sqrt(smooth + _WHITEN_FLOOR * smooth.max() + 1e-30)


def _peak(cross: np.ndarray, n: int) -> tuple[int, float]:
    correlation = scipy.fft.irfft(cross, n)
    at = int(np.abs(correlation).argmax())
    return (at if at <= n // 2 else at - n), float(abs(correlation[at]))


def _lags(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """Lags of the plain and of the whitened correlation, and the height of the whitened one, 0..1."""
    # Room for every lag: twice the longer, so that half the transform separates positive from negative.
    n = scipy.fft.next_fast_len(2 * max(len(first), len(second)), True)
    x, y = scipy.fft.rfft(first, n), scipy.fft.rfft(second, n)
    plain, _ = _peak(y * x.conj(), n)
    x, y = _whiten(x, n), _whiten(y, n)
    white, height = _peak(y * x.conj(), n)
    energy = np.sqrt(float((np.abs(x) ** 2).sum()) * float((np.abs(y) ** 2).sum()))
    return plain, white, min(1.0, height * n / 2.0 / max(energy, 1e-30))


def _overlap(first: int, second: int, lag: int) -> tuple[int, int]:
    """Start and end, in the first recording, of what lies over the second."""
    return max(0, -lag), min(first, second - lag)


def _coherence(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Mean coherence over the bands that sound, and the gain in dB of the second over the first."""
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    cross = np.zeros(_EDGES[-1], complex)
    powers = np.zeros((2, _EDGES[-1]))
    views = [
        np.lib.stride_tricks.sliding_window_view(np.pad(audio, (0, _N_FFT)), _N_FFT)[::_STEP]
        for audio in (first, second)
    ]
    for start in range(0, len(views[0]), _BLOCK_FRAMES):
        x, y = (
            scipy.fft.rfft(view[start : start + _BLOCK_FRAMES] * window, axis=1)[:, : _EDGES[-1]]
            for view in views
        )
        cross += (x * y.conj()).sum(axis=0)
        powers += [(np.abs(spectrum) ** 2).sum(axis=0) for spectrum in (x, y)]
    bands = np.add.reduceat(cross, _EDGES[:-1])
    one, two = np.add.reduceat(powers, _EDGES[:-1], axis=1)
    floor = 10.0 ** (-_ACTIVE_DB / 10.0)
    active = (one > one.max() * floor) & (two > two.max() * floor)
    if not active.any():
        return 0.0, 0.0
    coherent = np.abs(bands[active])
    mean = float((coherent / np.sqrt(one[active] * two[active])).mean())
    gain = float(coherent.sum() / one[active].sum())
    return min(1.0, mean), 20.0 * float(np.log10(max(gain, 1e-10)))


def _rhythm(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of two onset envelopes and their lags in frames, where the overlap suffices."""
    n = scipy.fft.next_fast_len(len(first) + len(second), True)
    cross = scipy.fft.irfft(scipy.fft.rfft(second, n) * scipy.fft.rfft(first, n).conj(), n)
    least = max(_LEAST_OVERLAP * min(len(first), len(second)), RHYTHM_S * RATE / HOP)
    lags = np.arange(-(len(first) - 1), len(second))
    start, end = np.maximum(0, -lags), np.minimum(len(first), len(second) - lags)
    lags, start, end = (values[end - start >= least] for values in (lags, start, end))
    sums = [np.concatenate([[0.0], np.cumsum(np.square(e, dtype=np.float64))]) for e in (first, second)]
    energy = (sums[0][end] - sums[0][start]) * (sums[1][end + lags] - sums[1][start + lags])
    return np.clip(cross[lags] / np.sqrt(np.maximum(energy, 1e-12)), 0.0, 1.0), lags


def _level_db(first: np.ndarray, second: np.ndarray) -> float:
    powers = [float(np.mean(np.square(audio, dtype=np.float64))) for audio in (first, second)]
    return 10.0 * float(np.log10(max(powers[1], 1e-20) / max(powers[0], 1e-20)))


@dataclass(frozen=True, eq=False)
class Heard:
    """A decoded recording, mono at ``RATE``, shape (samples,), and its onset envelope once it is needed."""

    audio: np.ndarray

    @cached_property
    def envelope(self) -> np.ndarray:
        """The onset envelope, shape (frames,)."""
        return onset_envelope(levels_db(self.audio))


def compare(
    first: Heard, second: Heard, same_audio: float = SAME_AUDIO, same_rhythm: float = SAME_RHYTHM
) -> Likeness | None:
    """Lay the second recording over the first; None when they are different recordings.

    Args:
        first, second: what :func:`beatsight.manifest.likeness.fingerprint.hear` decoded.
        same_audio: least coherence 0..1 of a copy.
        same_rhythm: least onset correlation 0..1 of another hearing of one performance.

    >>> noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    >>> likeness = compare(Heard(noise), Heard(noise[1000:] * 0.5))
    >>> likeness.kind, likeness.lag, round(likeness.gain_db, 1)
    ('same audio', -1000, -6.0)
    """
    one, two = first.audio, second.audio
    rhythm = None
    if min(len(one), len(two)) >= RHYTHM_S * RATE:
        rhythm = _rhythm(first.envelope, second.envelope)
        # A copy, even of an even noise, rises where its original rises; and this costs a tenth of the rest.
        if rhythm[0].max(initial=0.0) < _RHYTHM_WITH_SHARED:
            return None
    plain, white, shared = _lags(one, two)
    best: Likeness | None = None
    for lag in sorted({plain, white}):
        start, end = _overlap(len(one), len(two), lag)
        if end - start < _LEAST_OVERLAP * min(len(one), len(two)):
            continue
        coherence, gain_db = _coherence(one[start:end], two[start + lag : end + lag])
        if best is None or coherence > best.similarity:
            best = Likeness("same audio", coherence, lag, gain_db)
    if best is not None and best.similarity >= same_audio:
        return best
    if rhythm is None:
        return None
    found = _same_performance(*rhythm, white, shared, same_rhythm)
    if found is None:
        return None
    similarity, lag = found
    start, end = _overlap(len(one), len(two), lag)
    return Likeness(
        "same performance", similarity, lag, _level_db(one[start:end], two[start + lag : end + lag])
    )


def _same_performance(
    scores: np.ndarray, lags: np.ndarray, white: int, shared: float, same_rhythm: float
) -> tuple[float, int] | None:
    """Correlation of the onsets and lag in samples, where it is one performance."""
    at_white = float(np.where(np.abs(lags * HOP - white) <= 2 * HOP, scores, 0.0).max())
    if shared >= SAME_SHARED and at_white >= _RHYTHM_WITH_SHARED:
        # The waveform knows the lag to the sample, and is not misled by a groove that repeats.
        return at_white, white
    best = int(scores.argmax())
    if scores[best] >= same_rhythm:
        return float(scores[best]), int(lags[best]) * HOP
    return None
