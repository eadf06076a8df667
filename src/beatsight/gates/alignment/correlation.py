"""One hit in two microphones: whitened cross-correlations and the delay that all hits have about in common.

The template is the hit's first 46 ms in the anchor, the target's window is longer by the search range on both
sides, so that no delay loses sound at an edge. The cross-spectrum is divided by the square root of both
microphones' mean power spectra over the session (the smoothed coherence transform of Knapp & Carter, "The
generalized correlation method for estimation of time delay", IEEE Trans. ASSP 24, 1976, with weights of the
session instead of the frame): what is left shows time rather than tone, and as the weights are the same for
every hit, a target that comes later by any amount gives the same correlation later by that amount.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from beatsight.gates.alignment.hits import Ints
from beatsight.gates.alignment.listening import Floats, Layout, Sound, windows

# Below lies rumble, above what many microphones and lossy files hold nothing of.
_LOW_HZ, _HIGH_HZ = 50.0, 16_000.0
# Spectra are averaged over this width: the weights shall follow the tone of a kit, not its partials.
_SMOOTH_HZ = 100.0
# Mean square of the rounding error of 16-bit samples; what lies below is not amplified.
_ROUNDING_POWER = (2.0**-15) ** 2 / 12.0
_HANN_POWER = 3.0 / 8.0
# Windows transformed at a time.
_BATCH = 64
# The fade of a template: short before its attack, long into its ringing.
_FADE_IN, _FADE_OUT = 1 / 16, 1 / 2
# The common delay is looked for among drifts up to twice what consumer clocks differ by (50 ppm).
_MAX_PPM = 100.0
_BIN = 64
# Energy within this width counts as one arrival.
_ARRIVAL_MS = 2.5
# A drift is preferred to none only when it gathers clearly more.
_CLEARLY = 1.02
# How much more energy must arrive at the common delay than at half of all other lags. Measured: 4 to 12
# between real microphones of one kit, 1.0 to 2.2 where the true delay was out of reach or nothing was common.
_LEAST_CONTRAST = 2.5


def templates(path: Path, lengths: Layout, starts: Ints) -> Floats:
    """The hits as the anchor heard them, edges faded: shape (hits, template)."""
    taper = np.ones(lengths.template, np.float32)
    fade_in, fade_out = int(_FADE_IN * lengths.template), int(_FADE_OUT * lengths.template)
    taper[:fade_in] = np.hanning(2 * fade_in)[:fade_in]
    taper[-fade_out:] = np.hanning(2 * fade_out)[fade_out:]
    firsts = (starts - lengths.before).tolist()
    cut = [window * taper for window in windows(path, lengths.rate, firsts, lengths.template)]
    return np.array(cut, np.float32).reshape(-1, lengths.template)


def _weights(anchor: Sound, target: Sound, lengths: Layout) -> Floats:
    frequencies = np.fft.rfftfreq(lengths.size, 1.0 / lengths.rate)
    width = max(1, round(_SMOOTH_HZ * lengths.size / lengths.rate))
    floor = _ROUNDING_POWER * lengths.size * _HANN_POWER
    power = [uniform_filter1d(sound.power, width) + floor for sound in (anchor, target)]
    band = (frequencies >= _LOW_HZ) & (frequencies <= _HIGH_HZ)
    return (band / np.sqrt(power[0] * power[1])).astype(np.float32)


def correlate(
    hits: Floats, starts: Ints, anchor: Sound, target: Sound, path: Path, lengths: Layout
) -> Floats:
    """Whitened cross-correlation of every hit, each of unit energy.

    Args:
        hits: from :func:`templates`.
        starts: of the hits.
        anchor, target: spectra of both microphones.
        path: the target's file.
        lengths: the lengths of the session's rate.

    Returns:
        Shape (hits, 2 * reach + 1), lags from -reach to reach, positive where the target is late; zeros
        where the target is silent.
    """
    weights = _weights(anchor, target, lengths)
    taper = np.ones(lengths.window, np.float32)
    taper[: lengths.fade] = np.hanning(2 * lengths.fade)[: lengths.fade]
    taper[-lengths.fade :] = taper[: lengths.fade][::-1]
    lead = lengths.reach + lengths.fade
    cut = windows(path, lengths.rate, (starts - lengths.before - lead).tolist(), lengths.window)
    out = np.empty((len(hits), 2 * lengths.reach + 1), np.float32)
    for start in range(0, len(hits), _BATCH):
        batch = hits[start : start + _BATCH]
        heard = np.stack([next(cut) * taper for _ in batch])
        cross = np.conj(scipy.fft.rfft(batch, lengths.size, axis=1)) * scipy.fft.rfft(
            heard, lengths.size, axis=1
        )
        lags = scipy.fft.irfft(cross * weights, lengths.size, axis=1)
        rows = lags[:, lengths.fade : lengths.fade + out.shape[1]]
        norm = np.sqrt((rows**2).sum(axis=1, keepdims=True))
        out[start : start + _BATCH] = rows / np.where(norm > 0, norm, 1.0)
    return out


def common_delay(correlations: Floats, starts: Ints, lengths: Layout) -> Ints | None:
    """The delay near which most hits have their energy, for every hit, a steady drift allowed for.

    Energy is summed over all hits along straight lines of delay over time; the line that gathers most wins.

    Args:
        correlations: shape (hits, 2 * reach + 1).
        starts: of the hits.
        lengths: the lengths of the session's rate.

    Returns:
        Whole samples, shape (hits,); None where no delay stands out, or the best is the last that was tried.
    """
    time = starts - (starts[0] + starts[-1]) / 2.0
    wide = correlations.shape[1] // _BIN * _BIN
    width = _ARRIVAL_MS / 1000.0 * lengths.rate
    coarse = np.stack([(row[:wide] ** 2).reshape(-1, _BIN).sum(axis=1) for row in correlations])
    coarse = gaussian_filter1d(coarse, width / _BIN, axis=1)
    best, slope = -1.0, 0.0
    for candidate in _slopes(float(starts[-1] - starts[0]), lengths):
        peak = float(_gathered(coarse, np.rint(candidate * time / _BIN).astype(np.int64)).max())
        if peak > best * _CLEARLY:
            best, slope = peak, candidate
    shift = np.rint(slope * time).astype(np.int64)
    total = gaussian_filter1d(_gathered(correlations, shift, squared=True), width)
    # The spread at both ends of the lags is room for single hits, not for the common delay.
    inner = total[lengths.spread : -lengths.spread]
    common = int(inner.argmax())
    if common in (0, len(inner) - 1) or inner[common] < _LEAST_CONTRAST * np.median(total):
        return None
    return common - lengths.search + shift


def _slopes(span: float, lengths: Layout) -> npt.NDArray[np.float64]:
    """Drifts worth trying, as samples a sample, the smallest first; each step moves the ends by spread/2."""
    largest = min(_MAX_PPM * 1e-6, 2.0 * lengths.search / max(span, 1.0))
    step = lengths.spread / 2.0 / max(span, 1.0)
    steps = np.arange(1, int(largest / step) + 1) * step
    return np.concatenate([[0.0], np.stack([steps, -steps], axis=1).ravel()])


def _gathered(rows: npt.NDArray[np.floating], shift: Ints, squared: bool = False) -> npt.NDArray[np.float64]:
    """Sum of the rows, each moved to the left by its shift."""
    total = np.zeros(rows.shape[1])
    for row, by in zip(rows, shift.tolist(), strict=True):
        part = row[max(by, 0) : rows.shape[1] + min(by, 0)]
        total[max(-by, 0) : max(-by, 0) + len(part)] += part**2 if squared else part
    return total
