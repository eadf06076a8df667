"""Follow the pulse of a drum part: from hits to the times of a steady, possibly changing, pulse.

Input are hits (times in seconds, strengths 0..1, one of six groups of drums), not audio. Two steps: a
tempogram of the intervals between hits, through which the best tempo path is chosen (so that a change of
tempo is followed but a fill is not), then beat tracking by dynamic programming along that path (Ellis,
"Beat Tracking by Dynamic Programming", 2007), with each beat moved onto the hits that made it. Where one
even pulse explains the part nearly as well, as in music made to a click, it is taken instead. Which pulse
is the written beat is decided later, in ``meter.py``. Deviations from Ellis: intervals between hits take
the place of an onset autocorrelation, and the expected period varies with time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

# Kick, snare, toms, hi-hat (and other timekeeping percussion), ride, crash.
GROUPS = ("KD", "SD", "TT", "HH", "RD", "CR")
# How much a hit of each group says about the pulse; kick and snare carry it, fills on toms do not.
_GROUP_WEIGHT = np.array([1.0, 1.0, 0.5, 0.6, 0.6, 0.8])
# How much an interval between two groups counts. Kick to snare and back is the backbeat itself.
_LIKENESS = np.full((6, 6), 0.3) + 0.7 * np.eye(6)
_LIKENESS[0, 1] = _LIKENESS[1, 0] = 0.6
# Hits a second up to which a group counts in full. Rows of fast kicks or hats repeat at every multiple of
# their own distance and would drown the snare.
_FULL_RATE = 4.0
_MIN_STRENGTH = 0.2  # even a ghost note counts this much

# Tempogram: periods 0.25..1.5 s (240..40 per minute) in steps of 1.5 %.
_PERIODS_S = np.exp(np.arange(np.log(0.25), np.log(1.5), 0.015))
_MULTIPLES = np.array([1, 2, 3, 4])  # a period must also explain the intervals of two to four beats
_LAG_STEP_S = 0.005
_LAG_SMOOTHING_S = 0.015  # human timing spread, standard deviation
_MIN_LAG_S = 0.06  # closer hits are one chord or a flam
_ROW_S = 1.0
_ROW_SMOOTHING_S = 3.0
# Listeners tap most readily at two per second (van Noorden and Moelants, 1999).
_PREFERRED_PERIOD_S = 0.5
_PREFERENCE_WIDTH = 0.45  # standard deviation of ln(period)
# Costs of the tempo path, against a salience of 1 per second for the best period.
_DRIFT_COST = 30.0  # per ln(period ratio): 2 % in a second cost 0.6
_JUMP_COST = 4.0  # any larger change: must pay off within a few seconds

_FRAME_S = 0.01
_ONSET_SMOOTHING_S = 0.015
# The tempogram blurs the moment of a jump by this much; within it both tempi may be followed.
_JUMP_UNSURE_S = 3.0
_TIGHTNESS = 1000.0  # Ellis uses 100 for audio; with the tempo known, less leads to slips in syncopated bars
_PERIOD_RANGE = (0.7, 1.4)  # a beat follows the last one after this many expected periods
_SNAP_SHARE = 0.12  # of the period: how far from a tracked beat its hits may lie

# Music made to a click: one even pulse explains the whole part.
_STEADY_STEP_S = 0.004
_STEADY_SEARCH = 0.01  # how far, as a share, the even pulse may lie from the tracked tempo
_HARMONICS = np.array([1, 2, 3, 4])  # of the pulse: its halves, thirds and quarters carry hits too
_STEADY_SHARE = 0.7  # of the regularity found by tracking that an even pulse must reach to be preferred


def pulse_position(times: FloatArray, pulse: FloatArray) -> FloatArray:
    """Times in seconds as positions on the pulse; its first and last interval go on outside.

    >>> pulse_position(np.array([0.0, 1.5, 4.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [-1.0, 0.5, 3.0]
    """
    inside = np.interp(times, pulse, np.arange(len(pulse)))
    before = (times - pulse[0]) / (pulse[1] - pulse[0])
    after = len(pulse) - 1 + (times - pulse[-1]) / (pulse[-1] - pulse[-2])
    return np.where(times < pulse[0], before, np.where(times > pulse[-1], after, inside))


def _hit_weights(times: FloatArray, strengths: FloatArray, groups: IntArray) -> FloatArray:
    """How much each hit counts: its group, how hard it is struck, and less where the group plays fast."""
    span = max(float(times[-1] - times[0]), 1.0)
    rate = np.bincount(groups, minlength=len(GROUPS)) / span
    by_group = _GROUP_WEIGHT * np.minimum(1.0, np.sqrt(_FULL_RATE / np.maximum(rate, 1e-9)))
    return by_group[groups] * (_MIN_STRENGTH + (1 - _MIN_STRENGTH) * np.clip(strengths, 0, 1))


def _intervals(times: FloatArray, weights: FloatArray, groups: IntArray, rows: int) -> FloatArray:
    """Weighted histogram of intervals between hits, (rows of ``_ROW_S``, lags of ``_LAG_STEP_S``)."""
    lags = round(_PERIODS_S[-1] * _MULTIPLES[-1] / _LAG_STEP_S) + 2
    table = np.zeros(rows * lags)
    for step in range(1, len(times)):
        gap = times[step:] - times[:-step]
        near = np.flatnonzero(gap < (lags - 1) * _LAG_STEP_S)
        if not near.size:
            break
        near = near[gap[near] >= _MIN_LAG_S]
        lag = np.round(gap[near] / _LAG_STEP_S).astype(np.int64)
        row = np.minimum(((times[near] + gap[near] / 2) / _ROW_S).astype(np.int64), rows - 1)
        value = weights[near] * weights[near + step] * _LIKENESS[groups[near], groups[near + step]]
        table += np.bincount(row * lags + lag, value, minlength=table.size)
    return table.reshape(rows, lags)


def _salience(table: FloatArray) -> FloatArray:
    """How well each period explains each row's intervals, (rows, periods), best about 1."""
    smooth = gaussian_filter1d(table, _ROW_SMOOTHING_S / _ROW_S, axis=0, mode="constant")
    smooth = gaussian_filter1d(smooth, _LAG_SMOOTHING_S / _LAG_STEP_S, axis=1, mode="constant")
    lag = _PERIODS_S[:, None] * _MULTIPLES / _LAG_STEP_S
    low = lag.astype(np.int64)
    part = lag - low
    total = (smooth[:, low] * (1 - part) + smooth[:, low + 1] * part).mean(axis=2)
    total *= np.exp(-0.5 * (np.log(_PERIODS_S / _PREFERRED_PERIOD_S) / _PREFERENCE_WIDTH) ** 2)
    best = total.max(axis=1, keepdims=True)
    # Rows with few hits say little: they are scaled to a fraction of a typical row.
    return total / (best + 0.1 * np.median(best) + 1e-9)


def _tempo_path(salience: FloatArray) -> FloatArray:
    """The period in seconds per row: most salient in sum, less the costs of changing (Viterbi)."""
    logs = np.log(_PERIODS_S)
    cost = np.minimum(_DRIFT_COST * np.abs(logs[:, None] - logs), _JUMP_COST)
    score, back = salience[0], np.zeros(salience.shape, dtype=np.int64)
    for row in range(1, len(salience)):
        options = score - cost
        back[row] = options.argmax(axis=1)
        score = options.max(axis=1) + salience[row]
    path = np.zeros(len(salience), dtype=np.int64)
    path[-1] = score.argmax()
    for row in range(len(salience) - 1, 0, -1):
        path[row - 1] = back[row, path[row]]
    return _PERIODS_S[path]


def _onset_strength(times: FloatArray, weights: FloatArray, frames: int) -> FloatArray:
    signal = np.bincount(np.round(times / _FRAME_S).astype(np.int64), weights, minlength=frames)
    signal = gaussian_filter1d(signal, _ONSET_SMOOTHING_S / _FRAME_S, mode="constant")
    return signal / (signal.std() + 1e-12)


def _track(strength: FloatArray, path: FloatArray) -> IntArray:
    """Ellis' recursion over frames; a block shorter than any step back is one operation."""
    frames = len(strength)
    seconds = np.arange(frames) * _FRAME_S
    rows = [((seconds + shift) / _ROW_S).astype(np.int64) for shift in (-_JUMP_UNSURE_S, _JUMP_UNSURE_S)]
    before, after = (np.log(path[np.clip(row, 0, len(path) - 1)] / _FRAME_S)[:, None] for row in rows)
    period = path / _FRAME_S
    shortest, longest = int(period.min() * _PERIOD_RANGE[0]), int(np.ceil(period.max() * _PERIOD_RANGE[1]))
    steps = np.arange(max(shortest, 1), longest + 1)
    log_steps = np.log(steps)
    score = np.concatenate((np.zeros(longest), strength))  # frame f lies at index f + longest
    back = np.full(frames, -1, dtype=np.int64)
    for start in range(0, frames, steps[0]):
        block = np.arange(start, min(start + steps[0], frames))
        off = np.minimum(np.abs(log_steps - before[block]), np.abs(log_steps - after[block]))
        options = score[block[:, None] + longest - steps] - _TIGHTNESS * off**2
        best = options.argmax(axis=1)
        gain = options[np.arange(len(block)), best]
        follows = (gain > 0) & (block >= steps[best])
        score[block + longest] += np.where(follows, gain, 0.0)
        back[block] = np.where(follows, block - steps[best], -1)
    last = frames - int(period[-1])
    beats = [max(last, 0) + int(score[longest + max(last, 0) :].argmax())]
    while back[beats[-1]] >= 0:
        beats.append(int(back[beats[-1]]))
    return np.array(beats[::-1], dtype=np.int64)


def _snap(beats: FloatArray, times: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Move each beat to the weighted mean of its hits; support 0 where it has none."""
    period = np.gradient(beats)
    nearest = np.clip(np.searchsorted((beats[1:] + beats[:-1]) / 2, times), 0, len(beats) - 1)
    away = times - beats[nearest]
    reach = _SNAP_SHARE * period[nearest]
    weight = weights * np.exp(-0.5 * (away / (reach / 2)) ** 2) * (np.abs(away) <= reach)
    support = np.bincount(nearest, weight, minlength=len(beats)).astype(np.float64)
    shift = np.bincount(nearest, weight * away, minlength=len(beats))
    return beats + shift / np.maximum(support, 1e-9), support


def _regularity(position: FloatArray, weights: FloatArray) -> float:
    """How sharply the hits gather on the pulse and its even parts (sum of squared resultant lengths)."""
    return float(sum(np.abs(weights @ np.exp(2j * np.pi * h * position)) ** 2 for h in _HARMONICS))


def _steady(times: FloatArray, weights: FloatArray, period_s: float) -> FloatArray:
    """The even pulse near ``period_s`` on which the hits gather best.

    The period comes from a zero-padded spectrum of the hits, then from a line through the beats' own hits.
    """
    train = np.bincount(np.round(times / _STEADY_STEP_S).astype(np.int64), weights)
    size = 1 << (4 * len(train) - 1).bit_length()
    bins = size * _STEADY_STEP_S / period_s
    fundamental = np.arange(bins * (1 - _STEADY_SEARCH), bins * (1 + _STEADY_SEARCH), 1 / _HARMONICS[-1])
    spectrum = np.fft.rfft(train, size)
    at = np.round(fundamental[:, None] * _HARMONICS).astype(np.int64)
    best = int((np.abs(spectrum[at]) ** 2).sum(axis=1).argmax())
    period_s = size * _STEADY_STEP_S / fundamental[best]
    resultant = np.array([weights @ np.exp(2j * np.pi * h * times / period_s) for h in _HARMONICS])
    phase = np.arange(0, 1, 1 / 96)
    fit = (resultant[:, None] * np.exp(-2j * np.pi * _HARMONICS[:, None] * phase)).real.sum(axis=0)
    first = phase[fit.argmax()]
    count = int(np.ceil(times[-1] / period_s - first)) + 1
    index = np.arange(max(count, 2))
    played, support = _snap((first + index) * period_s, times, weights)
    if np.count_nonzero(support) < 2:
        return (first + index) * period_s
    return np.polyval(np.polyfit(index, played, 1, w=np.sqrt(support)), index)


def track_pulse(times: FloatArray, strengths: FloatArray, groups: IntArray) -> tuple[FloatArray, FloatArray]:
    """The pulse under the hits.

    Args:
        times: hit times in seconds, ascending, at least three, not all within one chord.
        strengths: 0..1 per hit.
        groups: index into ``GROUPS`` per hit.

    Returns:
        Pulse times in seconds, ascending, and how much hit weight supports each (0: interpolated).
    """
    start = times[0]
    times = times - start
    weights = _hit_weights(times, strengths, groups)
    rows = int(times[-1] / _ROW_S) + 1
    path = _tempo_path(_salience(_intervals(times, weights, groups, rows)))
    frames = int(times[-1] / _FRAME_S) + 2
    beats = _track(_onset_strength(times, weights, frames), path) * _FRAME_S
    if len(beats) < 2:
        beats = np.array([0.0, path[0]])
    beats, support = _snap(beats, times, weights)
    even = _steady(times, weights, float(np.median(np.diff(beats))))
    tracked = _regularity(pulse_position(times, beats), weights)
    if _regularity(pulse_position(times, even), weights) >= _STEADY_SHARE * tracked:
        beats, support = even, np.ones_like(even)
    return beats + start, support
