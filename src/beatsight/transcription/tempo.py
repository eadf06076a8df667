"""From hits to timing: tempo, beats, metre and the points where the tempo changes.

Conventions: times in seconds from the start of the song. ``bpm`` is quarter notes per minute in every
metre, as in MIDI and sequencers; the beats listed are those that are counted (dotted quarters in 6/8,
eighths in 7/8, else quarters), as in pretty_midi. A song has one metre.

How: ``beats.py`` follows the pulse, ``meter.py`` finds what that pulse is, and here a line with as few
bends as possible is laid through it (least squares with a cost per bend; optimal partitioning, Jackson et
al., 2005). Human timing therefore gives one tempo, a real change a timing point. All beats lie on that
line, so that points and beats agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

from beatsight.errors import InputError
from beatsight.taxonomy import fold
from beatsight.transcription.beats import GROUPS, pulse_position, track_pulse
from beatsight.transcription.meter import Reading, likelihood, readings

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

DEFAULT_BPM = 120.0
DEFAULT_METER = "4/4"
# Fewer moments than this, or a shorter part, hold no tempo: two bars of quarters.
_MIN_MOMENTS = 8
_MIN_SPAN_S = 2.0
_CHORD_S = 0.03

# Beats of steady drummers stray this far from an even grid (about 10 to 20 ms, e.g. Kilchenmann and Senn,
# 2015); less is never taken as a change of tempo.
_TIMING_SPREAD_S = 0.015
# What a bend must save, in squared deviations of that size: drift is followed to about 20 ms, and an even
# performance keeps one tempo (``benchmarks/beats.py``; 60 let drifting beats stray by 30 ms).
_BEND_COST = 25.0
_MIN_SEGMENT_BARS = 2
_TIE = 1e-6  # costs this close differ by rounding; the earlier bend is taken
# A single misplaced beat is pulled in to this many spreads, so that it cannot bend the line.
_OUTLIER_SPREADS = 3.0

# Beats that hold a knot to the straight line where no beat holds it elsewhere: it moves other knots by less
# than a microsecond.
_RIDGE = 1e-9

# How sharply hits must gather on the quarter or a half, third or fourth of it (mean resultant length); below
# it the part is in free time. Three random hits a second reach 0.15 in a minute, performances 0.19 and more.
_FREE_TIME = 0.16
_PARTS = (1, 2, 3, 4)

_GROUP_OF = {
    "kick": "KD", "snare": "SD", "tom_high": "TT", "tom_mid": "TT", "tom_low": "TT", "hihat_closed": "HH",
    "hihat_open": "HH", "ride": "RD", "ride_bell": "RD", "crash": "CR", "crash2": "CR", "china": "CR",
    None: "HH",  # tambourine, shaker, cowbell: they keep time as a hi-hat does
}  # fmt: skip


@dataclass(frozen=True)
class Timing:
    """The timing of a song.

    Attributes:
        bpm: quarter notes per minute; where the tempo changes, the one that holds longest.
        offset_s: the first downbeat at or after 0.
        meter: time signature, one of 4/4 3/4 6/8 5/4 7/8.
        beats_s: all counted beats from 0 to the end of the song.
        downbeats_s: the first beats of bars among them.
        points: (time in seconds, bpm), ascending; the first at ``offset_s``, each on a downbeat.
        confidence: 0..1; 0 when the default was returned for want of hits, and in free time, which is given
            one even tempo.
    """

    bpm: float
    offset_s: float
    meter: str
    beats_s: FloatArray = field(repr=False)
    downbeats_s: FloatArray = field(repr=False)
    points: list[tuple[float, float]]
    confidence: float


def _checked(
    onsets_s: npt.ArrayLike, weights: npt.ArrayLike, labels: Sequence[str]
) -> tuple[FloatArray, FloatArray, IntArray]:
    times, strengths = np.asarray(onsets_s, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if not times.ndim == strengths.ndim == 1 or not len(times) == len(strengths) == len(labels):
        raise InputError("onsets, weights and labels must be flat lists of one length")
    if not np.isfinite(times).all() or not np.isfinite(strengths).all() or (times < 0).any():
        raise InputError("onsets must be finite times from 0 on, and weights finite numbers")
    group = [GROUPS.index(_GROUP_OF[fold(label, "classifier")]) for label in labels]
    order = np.argsort(times, kind="stable")
    return times[order], np.clip(strengths[order], 0.0, 1.0), np.array(group, dtype=np.int64)[order]


def _pull_in(position: FloatArray, time: FloatArray, spread: float) -> FloatArray:
    """Times of beats with outliers moved to within reach of where the beats before or after them point.

    One side suffices, so that the beats at a real change of tempo stay where they are.
    """
    reach = 4
    if len(time) < 2 * reach + 1:
        return time
    inner = np.arange(reach, len(time) - reach)
    away = np.full(len(inner), np.inf)
    for side in (-1, 1):
        near, far = inner + side, inner + side * reach
        slope = (time[near] - time[far]) / (position[near] - position[far])
        off = time[inner] - time[near] - slope * (position[inner] - position[near])
        away = np.where(np.abs(off) < np.abs(away), off, away)
    limit = _OUTLIER_SPREADS * spread
    pulled = time.copy()
    pulled[inner] -= away - np.clip(away, -limit, limit)
    return pulled


def _bends(position: FloatArray, time: FloatArray, edges: FloatArray, spread: float) -> list[float]:
    """Where among ``edges`` the line through the beats has to bend (optimal partitioning)."""
    starts = np.searchsorted(position, edges)
    # Prefix sums around the mean keep the squared deviations exact in floating point.
    x, y = position - position.mean(), time - np.polyval(np.polyfit(position, time, 1), position)
    if float(y @ y) / spread**2 <= _BEND_COST:  # no bend can save its own cost
        return []
    columns = np.stack((np.ones_like(x), x, y, x * x, x * y, y * y))
    sums = np.concatenate((np.zeros((6, 1)), np.cumsum(columns, axis=1)), axis=1)[:, starts]
    best, back = np.full(len(edges), np.inf), np.zeros(len(edges), dtype=np.int64)
    best[0] = 0.0
    # A beginning that does worse than a bend at ``end`` would goes on to, once a piece may begin there (PELT,
    # Killick et al., 2012): with bends, hours of bars do not cost their square.
    begin, until = np.zeros(1, dtype=np.int64), np.full(1, len(edges))
    for end in range(1, len(edges)):
        if end > _MIN_SEGMENT_BARS:
            begin = np.append(begin[until > end], end - _MIN_SEGMENT_BARS)
            until = np.append(until[until > end], len(edges))
        n, sx, sy, sxx, sxy, syy = sums[:, end, None] - sums[:, begin]
        n = np.maximum(n, 1.0)
        vx, vy, cxy = sxx - sx * sx / n, syy - sy * sy / n, sxy - sx * sy / n
        left = vy - np.divide(cxy * cxy, vx, out=np.zeros_like(vx), where=vx > 1e-9)
        total = best[begin] + np.maximum(left, 0.0) / spread**2 + _BEND_COST
        back[end] = begin[total.argmin()]
        best[end] = total.min()
        beaten = total - _BEND_COST > best[end] + _TIE
        until[beaten] = np.minimum(until[beaten], end + _MIN_SEGMENT_BARS)
    found, end = [], len(edges) - 1
    while end > 0:
        end = int(back[end])
        if end > 0:
            found.append(float(edges[end]))
    return found[::-1]


def _line(position: FloatArray, time: FloatArray, knots: FloatArray) -> FloatArray:
    """Times of the knots of the continuous line of straight pieces that fits the beats best."""
    piece = np.clip(np.searchsorted(knots, position, side="right") - 1, 0, len(knots) - 2)
    part = (position - knots[piece]) / (knots[piece + 1] - knots[piece])
    # Fitted as deviations from one straight line: a knot that no beat determines then lies on that line.
    straight = np.polyfit(position, time, 1)
    off = time - np.polyval(straight, position)
    # A beat depends on the two knots beside it, so the normal equations have three diagonals.
    bands = np.zeros((2, len(knots)))
    bands[0, 1:] = np.bincount(piece, part * (1 - part), minlength=len(knots) - 1)
    bands[1] = _at_knots(piece, (1 - part) ** 2, part**2, len(knots)) + _RIDGE
    bend = solveh_banded(bands, _at_knots(piece, (1 - part) * off, part * off, len(knots)))
    return np.polyval(straight, knots) + bend


def _at_knots(piece: IntArray, left: FloatArray, right: FloatArray, knots: int) -> FloatArray:
    """Sums of what beats add to the knot before and the knot after them, (knots,)."""
    total = np.bincount(piece, left, minlength=knots) + np.bincount(piece + 1, right, minlength=knots)
    return total.astype(np.float64, copy=False)


def _clock(pulse: FloatArray, support: FloatArray, reading: Reading) -> tuple[FloatArray, FloatArray]:
    """The tempo line: knots in quarters from the first bar start, and their times in seconds."""
    quarter = (np.arange(len(pulse)) - reading.first) / reading.level
    # Only beats that were played count, unless too few were.
    played = support > 0
    if played.sum() >= _MIN_MOMENTS:
        quarter, time = quarter[played], pulse[played]
    else:
        time = pulse
    rough = np.diff(time, 2)[np.diff(quarter, 2) == 0]
    jitter = 1.4826 * float(np.median(np.abs(rough))) / np.sqrt(6) if rough.size else 0.0
    spread = max(_TIMING_SPREAD_S, jitter)
    time = _pull_in(quarter, time, spread)
    bar = reading.meter.quarters
    inner = (
        np.arange(np.ceil(quarter[0] / bar) + _MIN_SEGMENT_BARS, quarter[-1] / bar - _MIN_SEGMENT_BARS) * bar
    )
    bends = _bends(quarter, time, np.concatenate(([quarter[0]], inner, [quarter[-1] + 1e-6])), spread)
    knots = np.array([quarter[0], *bends, quarter[-1]])
    return knots, _line(quarter, time, knots)


def _grid(knots: FloatArray, times: FloatArray, step: float, end_s: float) -> tuple[FloatArray, FloatArray]:
    """Multiples of ``step`` quarters and their times from 0 to ``end_s``; outer tempi go on outside."""
    slope = np.diff(times) / np.diff(knots)
    # A beat a few milliseconds before 0 is the beat at 0: the first hit of a recording may be cut that close.
    first = np.ceil((knots[0] + (-2 * _TIMING_SPREAD_S - times[0]) / slope[0]) / step)
    last = np.floor((knots[-1] + (end_s - times[-1]) / slope[-1]) / step)
    quarter = np.arange(first, last + 1) * step
    at = np.interp(quarter, knots, times)
    at = np.where(quarter < knots[0], times[0] + (quarter - knots[0]) * slope[0], at)
    at = np.where(quarter > knots[-1], times[-1] + (quarter - knots[-1]) * slope[-1], at)
    return quarter, np.maximum(at, 0.0)


def _in_free_time(knots: FloatArray, times: FloatArray, onsets: FloatArray) -> bool:
    """Whether the hits gather nowhere on the tempo line that was found for them."""
    place = np.interp(onsets, times, knots)
    return max(float(np.abs(np.exp(2j * np.pi * part * place).mean())) for part in _PARTS) < _FREE_TIME


def _default(duration_s: float) -> Timing:
    beats = np.arange(0.0, max(duration_s, 1e-9), 60.0 / DEFAULT_BPM)
    return Timing(DEFAULT_BPM, 0.0, DEFAULT_METER, beats, beats[::4], [(0.0, DEFAULT_BPM)], 0.0)


def estimate_timing(
    onsets_s: npt.ArrayLike, weights: npt.ArrayLike, labels: Sequence[str], duration_s: float
) -> Timing:
    """Find tempo, beats, metre and changes of tempo from drum hits.

    Args:
        onsets_s: hit times in seconds, in any order; simultaneous hits are separate entries.
        weights: strength 0..1 per hit, e.g. its velocity.
        labels: drum label per hit, any name or alias that ``taxonomy`` knows.
        duration_s: length of the song in seconds; beats go on to there.

    Returns:
        The timing. With fewer than eight moments, or less than two seconds: 120 bpm, 4/4, confidence 0. In
        free time: one even tempo, confidence 0.

    Raises:
        InputError: lists of unequal length, a value that is not finite, a negative time, an unknown label.

    >>> hits = [(beat * 0.6, "snare" if beat % 2 else "kick") for beat in range(32)]
    >>> timing = estimate_timing([t for t, _ in hits], [0.8] * 32, [name for _, name in hits], 20.0)
    >>> round(timing.bpm, 2), timing.meter, len(timing.points)
    (100.0, '4/4', 1)
    """
    if not np.isfinite(duration_s) or duration_s < 0:
        raise InputError(f"the duration must be a length in seconds, not {duration_s}")
    times, strengths, groups = _checked(onsets_s, weights, labels)
    moments = 1 + int(np.sum(np.diff(times) > _CHORD_S)) if len(times) else 0
    if moments < _MIN_MOMENTS or times[-1] - times[0] < _MIN_SPAN_S:
        return _default(duration_s)
    pulse, support = track_pulse(times, strengths, groups)
    # The first and last hit make the mean; the median would be rounded to frames.
    period_s = float(pulse[-1] - pulse[0]) / (len(pulse) - 1)
    found = readings(pulse_position(times, pulse), strengths, groups, period_s)
    reading = found[0]
    knots, knot_times = _clock(pulse, support, reading)
    free = _in_free_time(knots, knot_times, times)
    if free:  # no bend means anything: one even tempo says so
        knots, knot_times = knots[[0, -1]], knot_times[[0, -1]]
    bar, end_s = reading.meter.quarters, max(duration_s, float(times[-1]))
    _, beats = _grid(knots, knot_times, reading.meter.beat, end_s)
    _, downbeats = _grid(knots, knot_times, bar, end_s)
    bpm = 60.0 * np.diff(knots) / np.diff(knot_times)
    offset = float(downbeats[0]) if len(downbeats) else 0.0
    starts = [offset, *(float(time) for time in knot_times[1:-1])]
    return Timing(
        bpm=float(bpm[np.diff(knot_times).argmax()]),
        offset_s=offset,
        meter=reading.meter.name,
        beats_s=beats,
        downbeats_s=downbeats,
        points=[(start, float(value)) for start, value in zip(starts, bpm, strict=True)],
        confidence=0.0 if free else likelihood(found),
    )
