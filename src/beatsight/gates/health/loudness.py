"""Integrated loudness of a recording: Recommendation ITU-R BS.1770-4, streamed.

Each channel passes two filters (a shelf for the head, a high-pass), its power is taken over blocks of 0.4 s
that overlap by three quarters, summed over channels, and averaged over the blocks that pass two gates: -70
LUFS, and 10 LU under the mean of those that pass the first. Unit: LUFS; a 997 Hz sine at full scale in one
channel reads -3.01. All channels weigh the same, as the first three of the Recommendation do: which of more
channels are surrounds, files do not tell reliably.

The Recommendation gives the filters at 48 kHz; at other rates they follow from the same analogue prototypes
by the bilinear transform, with the constants that libebur128 found for them.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import sosfilt

_SHELF_HZ, _SHELF_DB, _SHELF_Q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
_SHELF_EXPONENT = 0.4996667741545416
_HIGH_PASS_HZ, _HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773
_OFFSET_DB = -0.691  # so that 997 Hz reads as its power
_BLOCK_S, _STEPS = 0.4, 4  # a block is four steps of 0.1 s
_ABSOLUTE_LUFS, _RELATIVE_LU = -70.0, -10.0


@lru_cache(maxsize=8)
def k_weighting(sample_rate: int) -> npt.NDArray[np.float64]:
    """The two filters as second-order sections, shape (2, 6).

    >>> [round(float(x), 6) for x in k_weighting(48_000)[0]]
    [1.535125, -2.691696, 1.198393, 1.0, -1.690659, 0.732481]
    """
    k = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10.0 ** (_SHELF_DB / 20.0)
    band = high**_SHELF_EXPONENT
    a0 = 1.0 + k / _SHELF_Q + k * k
    shelf = [
        (high + band * k / _SHELF_Q + k * k) / a0, 2.0 * (k * k - high) / a0,
        (high - band * k / _SHELF_Q + k * k) / a0,
        1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / _SHELF_Q + k * k) / a0,
    ]  # fmt: skip
    k = math.tan(math.pi * _HIGH_PASS_HZ / sample_rate)
    a0 = 1.0 + k / _HIGH_PASS_Q + k * k
    high_pass = [1.0, -2.0, 1.0, 1.0, 2.0 * (k * k - 1.0) / a0, (1.0 - k / _HIGH_PASS_Q + k * k) / a0]
    return np.array([shelf, high_pass])


class LoudnessMeter:
    """Takes a recording block by block, and says how loud it is."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._filters = k_weighting(sample_rate)
        self._state = np.zeros((len(self._filters), 2, channels))
        self._step = round(sample_rate * _BLOCK_S / _STEPS)
        self._rest = np.zeros((0, channels))
        self._powers: list[npt.NDArray[np.float64]] = []

    def add(self, block: npt.NDArray[np.floating]) -> None:
        """The next samples, shape (frames, channels)."""
        weighted, self._state = sosfilt(self._filters, block.astype(np.float64), axis=0, zi=self._state)
        joined = np.concatenate([self._rest, weighted])
        whole = len(joined) // self._step * self._step
        steps = joined[:whole].reshape(-1, self._step, joined.shape[1])
        self._powers.append(np.square(steps).mean(axis=1).sum(axis=1))
        self._rest = joined[whole:]

    @property
    def lufs(self) -> float | None:
        """Integrated loudness; None of what is shorter than a block, or never above -70 LUFS.

        >>> meter = LoudnessMeter(48_000, 1)
        >>> meter.add(np.sin(2 * np.pi * 997 * np.arange(96_000) / 48_000)[:, None])
        >>> round(meter.lufs, 2)
        -3.01
        """
        powers = np.concatenate([*self._powers, np.zeros(0)])
        if len(powers) < _STEPS:
            return None
        blocks = np.lib.stride_tricks.sliding_window_view(powers, _STEPS).mean(axis=1)
        loud = blocks[blocks > _power(_ABSOLUTE_LUFS)]
        if not len(loud):
            return None
        loud = loud[loud > loud.mean() * 10.0 ** (_RELATIVE_LU / 10.0)]
        return _OFFSET_DB + 10.0 * math.log10(float(loud.mean()))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_DB) / 10.0))
