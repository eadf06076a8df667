"""Hits whose correlations look alike, and the delay of each.

Close microphones hear each drum along another path, so the correlations of a kick and of a cymbal differ in
more than a delay. Those of one drum are nearly the same curve. So the curves are gathered into groups, the
curves of a group are laid over each other (their lags are exact to about a hundredth of a sample, whatever
the curve looks like), and the delay of the group is read once, from the mean of its curves: where most energy
arrives, and there the highest peak, either way up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_filter1d

from beatsight.gates.alignment.hits import Ints
from beatsight.gates.alignment.listening import Floats, Layout

FloatArray = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex64]

# Two curves of unrelated noise reach about 0.15, of two drums of one kit 0.1 to 0.3, of one drum over 0.8.
_ALIKE = 0.4
_LEAST_GROUP = 3
# A kit has fewer ways to be struck; the bound keeps a recording without order from taking minutes.
_MOST_LEADERS = 40
# Lags are found on a grid this fine, then between its points.
_GRID = 2
_PEAK_GRID = 8
_FINE = 16
_FINE_HALF = 32
# Energy of a curve within this width counts as one arrival.
_ARRIVAL_MS = 0.25
_ROUNDS = 2


@dataclass(frozen=True)
class Matches:
    """Delays of the hits that look like others.

    Attributes:
        delays: in samples, shape (hits,); NaN where a hit looks like no other.
        groups: the number of its group, shape (hits,); -1 without one.
        polarity: of its group, shape (hits,), 1 upright .. -1 inverted: the square of the curve's highest
            peak less that of its lowest, over the sum of both; 0 without a group.
    """

    delays: FloatArray
    groups: Ints
    polarity: FloatArray


class _Curves:
    """The correlation around the common delay of every hit, as unit spectra."""

    def __init__(self, correlations: Floats, centres: Ints, lengths: Layout) -> None:
        self.spread = lengths.spread
        width = 2 * self.spread + 1
        self.size = scipy.fft.next_fast_len(2 * width, real=True)
        # The spread around the common delay; what reaches past the lags that were computed is cut there.
        first = np.clip(centres + lengths.search, 0, correlations.shape[1] - width)
        self.offsets = first - lengths.search  # the delay at the middle of each curve
        fade = max(1, self.spread // 8)
        taper = np.ones(width, np.float32)
        taper[:fade] = np.hanning(2 * fade)[:fade]
        taper[-fade:] = taper[:fade][::-1]
        rows = np.stack([row[at : at + width] for row, at in zip(correlations, first, strict=True)]) * taper
        norm = np.sqrt((rows**2).sum(axis=1, keepdims=True))
        self.heard = norm[:, 0] > 0
        self.spectra: Spectra = scipy.fft.rfft(rows / np.where(norm > 0, norm, 1.0), self.size, axis=1)
        self._turn = -2j * np.pi * np.fft.rfftfreq(self.size)

    def lags(self, reference: Spectra, which: Ints, grid: int) -> tuple[FloatArray, FloatArray]:
        """Lag of some curves against a reference spectrum, and how alike they are there (at most 1)."""
        product = np.conj(reference) * self.spectra[which]
        lags = scipy.fft.irfft(product, self.size * grid, axis=1) * grid
        reach = self.spread * grid
        lags = np.concatenate([lags[:, -reach:], lags[:, : reach + 1]], axis=1)
        norm = np.sqrt((scipy.fft.irfft(reference, self.size) ** 2).sum())
        peak = lags.argmax(axis=1)
        alike = lags[np.arange(len(lags)), peak] / max(float(norm), 1e-12)
        return (peak - reach + between(lags, peak)) / grid, alike

    def mean(self, which: Ints, lags: FloatArray) -> Spectra:
        """Mean spectrum of curves, each moved back by its lag."""
        moved = self.spectra[which] * np.exp(-self._turn * lags[:, None]).astype(np.complex64)
        return moved.mean(axis=0)


def between(rows: npt.NDArray[np.floating], peak: Ints) -> FloatArray:
    """Where the maximum near a sample really lies, by band-limited interpolation and a parabola.

    Args:
        rows: shape (n, length).
        peak: the highest sample of each row, shape (n,).

    Returns:
        Offsets from ``peak`` in samples, shape (n,); 0 where the peak is too near an end.

    >>> curve = np.sinc(np.arange(-60, 61) * 0.9 - 0.27)
    >>> print(round(float(between(curve[None], np.array([60]))[0]), 2))
    0.3
    """
    offsets = np.zeros(len(rows))
    inside = np.flatnonzero((peak >= _FINE_HALF) & (peak < rows.shape[1] - _FINE_HALF))
    if not len(inside):
        return offsets
    around = peak[inside][:, None] + np.arange(-_FINE_HALF, _FINE_HALF)
    parts = rows[inside[:, None], around] * np.hanning(2 * _FINE_HALF + 1)[:-1]
    fine = scipy.fft.irfft(scipy.fft.rfft(parts, axis=1), 2 * _FINE_HALF * _FINE, axis=1)
    middle = _FINE_HALF * _FINE
    top = fine[:, middle - _FINE : middle + _FINE + 1].argmax(axis=1) + middle - _FINE
    left, here, right = (fine[np.arange(len(fine)), top + step] for step in (-1, 0, 1))
    bend = left - 2.0 * here + right
    vertex = np.divide(0.5 * (left - right), bend, out=np.zeros(len(fine)), where=bend < 0)
    offsets[inside] = (top - middle + vertex) / _FINE
    return offsets


def match(correlations: Floats, centres: Ints, loudness: Floats, lengths: Layout) -> Matches:
    """Gather alike hits and read their delays.

    Args:
        correlations: from :func:`correlate`.
        centres: from :func:`common_delay`.
        loudness: of the hits in the anchor; groups are founded by the loudest.
        lengths: the lengths of the session's rate.
    """
    curves = _Curves(correlations, centres, lengths)
    delays, polarity = np.full(len(centres), np.nan), np.zeros(len(centres))
    groups = np.full(len(centres), -1, np.int64)
    left = np.argsort(-loudness, kind="stable")
    left = left[curves.heard[left]]
    number = 0
    for _ in range(_MOST_LEADERS):
        if len(left) < _LEAST_GROUP:
            break
        lags, alike = curves.lags(curves.spectra[left[0]], left, 1)
        inside = alike > _ALIKE
        inside[0] = True
        members, lags = left[inside], lags[inside]
        left = left[~inside]
        if len(members) < _LEAST_GROUP:
            continue
        for _ in range(_ROUNDS):
            lags, _ = curves.lags(curves.mean(members, lags), members, _GRID)
        at, sign = _arrival(curves, curves.mean(members, lags), lengths)
        delays[members] = curves.offsets[members] + lags + at
        groups[members], polarity[members] = number, sign
        number += 1
    return Matches(delays, groups, polarity)


def _arrival(curves: _Curves, mean: Spectra, lengths: Layout) -> tuple[float, float]:
    """Where the mean curve of a group arrives, from its middle on, and its polarity."""
    size = curves.size * _PEAK_GRID
    # The analytic signal: positive frequencies only; its real part is the curve, its magnitude the envelope.
    whole = np.zeros(size, np.complex128)
    whole[: len(mean)] = 2.0 * mean
    analytic = scipy.fft.ifft(whole)
    analytic = np.roll(analytic, curves.spread * _PEAK_GRID)[: (4 * curves.spread + 1) * _PEAK_GRID]
    curve = analytic.real
    width = _ARRIVAL_MS / 1000.0 * lengths.rate * _PEAK_GRID
    arrival = int(gaussian_filter1d(np.abs(analytic), width).argmax())
    low, high = max(0, arrival - int(2 * width)), arrival + int(2 * width) + 1
    peak = low + int(np.abs(curve[low:high]).argmax())
    signed = curve * np.sign(curve[peak])
    at = peak + float(between(signed[None], np.array([peak]))[0])
    up, down = float(curve.max()) ** 2, float(curve.min()) ** 2
    return at / _PEAK_GRID - 2 * curves.spread, (up - down) / max(up + down, 1e-12)
