"""Follow the pulse of a drum part: from hits to the times of a steady, possibly changing, pulse.

Input are hits (times in seconds, strengths 0..1, one of six groups of drums), not audio. Two steps: a
tempogram of the intervals between hits, through which the best tempo path is chosen (so that a change of
tempo is followed but a fill is not), then beat tracking by dynamic programming along that path (Ellis,
"Beat Tracking by Dynamic Programming", 2007), with each beat moved onto the hits that made it. Where one
even pulse explains the part nearly as well, as in music made to a click, it is taken instead. Which pulse
is the written beat is decided later, in ``meter.py``. Deviations from Ellis: intervals between hits take
the place of an onset autocorrelation, and the expected period varies with time.

Tables over time are worked on block by block. Whole stay the tempogram's salience and, per frame, how far
back its best predecessor lies: under 5 MB an hour. The answer does not depend on the blocks: up to ten
minutes it is the same bits as in one piece, beyond that the rounding of sums differs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
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
_ROW_HALO = round(4 * _ROW_SMOOTHING_S / _ROW_S)  # scipy cuts its Gaussians at four deviations
_BLOCK_ROWS = 128  # a block's table of intervals has 1.2 MB
# Listeners tap most readily at two per second (van Noorden and Moelants, 1999).
_PREFERRED_PERIOD_S = 0.5
_PREFERENCE_WIDTH = 0.45  # standard deviation of ln(period)
# Costs of the tempo path, against a salience of 1 per second for the best period.
_DRIFT_COST = 30.0  # per ln(period ratio): 2 % in a second cost 0.6
_JUMP_COST = 4.0  # any larger change: must pay off within a few seconds

_FRAME_S = 0.01
_ONSET_SMOOTHING_S = 0.015
_FRAME_HALO = round(4 * _ONSET_SMOOTHING_S / _FRAME_S)
_BLOCK_FRAMES = 1 << 16  # eleven minutes: a song is one block
# The tempogram blurs the moment of a jump by this much; within it both tempi may be followed.
_JUMP_UNSURE_S = 3.0
_TIGHTNESS = 1000.0  # Ellis uses 100 for audio; with the tempo known, less leads to slips in syncopated bars
_PERIOD_RANGE = (0.7, 1.4)  # a beat follows the last one after this many expected periods
_SNAP_SHARE = 0.12  # of the period: how far from a tracked beat its hits may lie

# Music made to a click: one even pulse explains the whole part.
_STEADY_STEP_S = 0.004
_STEADY_SEARCH = 0.01  # how far, as a share, the even pulse may lie from the tracked tempo
_HARMONICS = np.array([1, 2, 3, 4])  # of the pulse: its halves, thirds and quarters carry hits too
_FFT_SIZE = 1 << 20  # holds songs up to 17 minutes; of longer ones the spectrum is put together from several
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


def _intervals(times: FloatArray, weights: FloatArray, groups: IntArray, first: int, last: int) -> FloatArray:
    """Weighted histogram of intervals between hits, (rows ``first`` to ``last`` of ``_ROW_S``, lags of
    ``_LAG_STEP_S``); an interval belongs to the row of its middle."""
    lags = round(_PERIODS_S[-1] * _MULTIPLES[-1] / _LAG_STEP_S) + 2
    longest_s = (lags - 1) * _LAG_STEP_S
    low, high = np.searchsorted(times, (first * _ROW_S - longest_s / 2, last * _ROW_S))
    table = np.zeros((last - first) * lags)
    for step in range(1, len(times) - low):
        begin = times[low : min(high, len(times) - step)]
        gap = times[low + step : low + step + len(begin)] - begin
        if not (gap < longest_s).any():
            break
        row = ((begin + gap / 2) / _ROW_S).astype(np.int64) - first
        near = np.flatnonzero((gap < longest_s) & (gap >= _MIN_LAG_S) & (row >= 0) & (row < last - first))
        lag = np.round(gap[near] / _LAG_STEP_S).astype(np.int64)
        hit = low + near
        value = weights[hit] * weights[hit + step] * _LIKENESS[groups[hit], groups[hit + step]]
        table += np.bincount(row[near] * lags + lag, value, minlength=table.size)
    return table.reshape(last - first, lags)


def _salience(times: FloatArray, weights: FloatArray, groups: IntArray, rows: int) -> FloatArray:
    """How well each period explains each row's intervals, (rows, periods), best about 1."""
    lag = _PERIODS_S[:, None] * _MULTIPLES / _LAG_STEP_S
    low = lag.astype(np.int64)
    part = lag - low
    total = np.empty((rows, len(_PERIODS_S)))
    for first in range(0, rows, _BLOCK_ROWS):
        last = min(first + _BLOCK_ROWS, rows)
        table = _intervals(times, weights, groups, first - _ROW_HALO, last + _ROW_HALO)
        smooth = gaussian_filter1d(table, _ROW_SMOOTHING_S / _ROW_S, axis=0, mode="constant")
        smooth = smooth[_ROW_HALO:-_ROW_HALO]
        smooth = gaussian_filter1d(smooth, _LAG_SMOOTHING_S / _LAG_STEP_S, axis=1, mode="constant")
        total[first:last] = (smooth[:, low] * (1 - part) + smooth[:, low + 1] * part).mean(axis=2)
    total *= np.exp(-0.5 * (np.log(_PERIODS_S / _PREFERRED_PERIOD_S) / _PREFERENCE_WIDTH) ** 2)
    best = total.max(axis=1, keepdims=True)
    # Rows with few hits say little: they are scaled to a fraction of a typical row.
    total /= best + 0.1 * np.median(best) + 1e-9
    return total


def _tempo_path(salience: FloatArray) -> FloatArray:
    """The period in seconds per row: most salient in sum, less the costs of changing (Viterbi)."""
    logs = np.log(_PERIODS_S)
    cost = np.minimum(_DRIFT_COST * np.abs(logs[:, None] - logs), _JUMP_COST)
    score, back = salience[0], np.zeros(salience.shape, dtype=np.uint8)  # there are 120 periods
    for row in range(1, len(salience)):
        options = score - cost
        back[row] = options.argmax(axis=1)
        score = options.max(axis=1) + salience[row]
    path = np.zeros(len(salience), dtype=np.int64)
    path[-1] = score.argmax()
    for row in range(len(salience) - 1, 0, -1):
        path[row - 1] = back[row, path[row]]
    return _PERIODS_S[path]


def _onset_blocks(times: FloatArray, weights: FloatArray, frames: int) -> Iterator[FloatArray]:
    """Smoothed hit weights per frame, block by block."""
    at = np.round(times / _FRAME_S).astype(np.int64)
    for first in range(0, frames, _BLOCK_FRAMES):
        last = min(first + _BLOCK_FRAMES, frames)
        begin, end = first - _FRAME_HALO, last + _FRAME_HALO
        low, high = np.searchsorted(at, (begin, end))
        signal = np.bincount(at[low:high] - begin, weights[low:high], minlength=end - begin)
        signal = gaussian_filter1d(signal.astype(np.float64), _ONSET_SMOOTHING_S / _FRAME_S, mode="constant")
        yield signal[_FRAME_HALO:-_FRAME_HALO]


def _strength_blocks(times: FloatArray, weights: FloatArray, frames: int) -> Iterator[FloatArray]:
    """The same with standard deviation 1 over all blocks."""
    mean = sum(block.sum() for block in _onset_blocks(times, weights, frames)) / frames
    squares = sum(((block - mean) ** 2).sum() for block in _onset_blocks(times, weights, frames))
    deviation = np.sqrt(squares / frames)
    for block in _onset_blocks(times, weights, frames):
        yield block / (deviation + 1e-12)


def _off_tempo(first: int, frames: int, path: FloatArray, steps: IntArray) -> tuple[FloatArray, IntArray]:
    """Cost of a step back, (stretches of one tempo, steps), and the stretch of each frame from ``first``."""
    seconds = (first + np.arange(frames)) * _FRAME_S
    shifts = np.array([[-_JUMP_UNSURE_S], [_JUMP_UNSURE_S]])
    rows = np.clip(((seconds + shifts) / _ROW_S).astype(np.int64), 0, len(path) - 1)
    change = np.concatenate(([True], (np.diff(rows, axis=1) != 0).any(axis=0)))
    before, after = np.log(path[rows[:, change]] / _FRAME_S)[:, :, None]
    log_steps = np.log(steps)
    off = np.minimum(np.abs(log_steps - before), np.abs(log_steps - after))
    return _TIGHTNESS * off**2, np.cumsum(change) - 1


def _track(times: FloatArray, weights: FloatArray, path: FloatArray) -> IntArray:
    """Ellis' recursion over frames; as many as the shortest step back are one operation."""
    frames = int(times[-1] / _FRAME_S) + 2
    period = path / _FRAME_S
    shortest, longest = int(period.min() * _PERIOD_RANGE[0]), int(np.ceil(period.max() * _PERIOD_RANGE[1]))
    steps = np.arange(max(shortest, 1), longest + 1)
    back = np.zeros(frames, dtype=np.uint16)  # how many frames before this one its last beat lies; 0: nowhere
    score, first = np.zeros(longest), 0  # the scores of the last frames before the block come first
    for block in _strength_blocks(times, weights, frames):
        score = np.concatenate((score[-longest:], block))
        # A row holds the scores that a frame may follow, in the order of the steps.
        reached = sliding_window_view(score, len(steps))[:, ::-1]
        cost, stretch = _off_tempo(first, len(block), path, steps)
        for begin in range(0, len(block), steps[0]):
            end = min(begin + steps[0], len(block))
            options = reached[begin:end] - cost[stretch[begin:end]]
            best = options.argmax(axis=1)
            gain, step = options[np.arange(end - begin), best], steps[best]
            follows = (gain > 0) & (np.arange(first + begin, first + end) >= step)
            score[longest + begin : longest + end] += np.where(follows, gain, 0.0)
            back[first + begin : first + end] = np.where(follows, step, 0)
        first += len(block)
    ending = min(int(period[-1]), frames)
    beats = [frames - ending + int(score[len(score) - ending :].argmax())]
    while back[beats[-1]]:
        beats.append(beats[-1] - int(back[beats[-1]]))
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


def _spectrum(index: IntArray, weights: FloatArray, size: int, bins: IntArray) -> npt.NDArray[np.complex128]:
    """Some bins of the discrete Fourier transform of weighted pulses at ``index``, zero-padded to ``size``.

    ``size`` is a power of two. What ``_FFT_SIZE`` does not hold is split by ``index`` modulo a stride, and
    the parts' transforms are joined (decimation in time), so that no array has ``size`` values.
    """
    length = min(size, _FFT_SIZE)
    stride = size // length
    turn = np.exp(-2j * np.pi * bins / size)
    place = bins % length
    mirrored = place > length // 2  # a real signal's spectrum is only kept up to its middle
    place = np.where(mirrored, length - place, place)
    found = np.zeros(bins.shape, dtype=np.complex128)
    for offset in range(stride - 1, -1, -1):
        mine = index % stride == offset
        part = np.fft.rfft(np.bincount(index[mine] // stride, weights[mine], minlength=1), length)[place]
        found = found * turn + np.where(mirrored, part.conj(), part)
    return found


def _steady(times: FloatArray, weights: FloatArray, period_s: float) -> FloatArray:
    """The even pulse near ``period_s`` on which the hits gather best.

    The period comes from a zero-padded spectrum of the hits, then from a line through the beats' own hits.
    """
    index = np.round(times / _STEADY_STEP_S).astype(np.int64)
    size = 1 << (4 * (int(index[-1]) + 1) - 1).bit_length()
    bins = size * _STEADY_STEP_S / period_s
    fundamental = np.arange(bins * (1 - _STEADY_SEARCH), bins * (1 + _STEADY_SEARCH), 1 / _HARMONICS[-1])
    at = np.round(fundamental[:, None] * _HARMONICS).astype(np.int64)
    best = int((np.abs(_spectrum(index, weights, size, at)) ** 2).sum(axis=1).argmax())
    period_s = size * _STEADY_STEP_S / fundamental[best]
    resultant = np.array([weights @ np.exp(2j * np.pi * h * times / period_s) for h in _HARMONICS])
    phase = np.arange(0, 1, 1 / 96)
    fit = (resultant[:, None] * np.exp(-2j * np.pi * _HARMONICS[:, None] * phase)).real.sum(axis=0)
    first = phase[fit.argmax()]
    count = int(np.ceil(times[-1] / period_s - first)) + 1
    number = np.arange(max(count, 2))
    played, support = _snap((first + number) * period_s, times, weights)
    if np.count_nonzero(support) < 2:
        return (first + number) * period_s
    return np.polyval(np.polyfit(number, played, 1, w=np.sqrt(support)), number)


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
    path = _tempo_path(_salience(times, weights, groups, rows))
    beats = _track(times, weights, path) * _FRAME_S
    if len(beats) < 2:
        beats = np.array([0.0, path[0]])
    beats, support = _snap(beats, times, weights)
    even = _steady(times, weights, float(np.median(np.diff(beats))))
    tracked = _regularity(pulse_position(times, beats), weights)
    if _regularity(pulse_position(times, even), weights) >= _STEADY_SHARE * tracked:
        beats, support = even, np.ones_like(even)
    return beats + start, support
