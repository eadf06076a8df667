"""Ticks to milliseconds and back, over any number of tempo changes, for the files that count in ticks.

Conventions: ticks are whole, times are float milliseconds, tempo is in microseconds per quarter note. Source:
Standard MIDI Files 1.0 (MIDI Manufacturers Association, 1996): 500 000 us until a first tempo event.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable

from beatsight.charts.chart import Timing, TimingPoint
from beatsight.errors import InputError

DEFAULT_US_PER_QUARTER = 500_000
# A tempo event holds 24 bits of whole microseconds.
_MAX_US_PER_QUARTER = 0xFFFFFF
_SLOWEST_BPM = 60e6 / _MAX_US_PER_QUARTER
_FASTEST_BPM = 60e6
TICKS_PER_QUARTER = 960
# At 0.75 ms a tick the nearest one is at most 0.375 ms away, which rounds back to the same millisecond.
_COARSEST_TICK_MS = 0.75
_MAX_TICKS_PER_QUARTER = 0x7FFF
# A change of tempo that lies this near to a beat lies on it. Charts hold whole milliseconds and tempi of
# three decimals, which together miss a beat by 1 ms at the ends of a stretch and by 1.25 ms over five minutes
# of it.
SNAP_MS = 3.0
# Above this the beats before the first bar are left out: sequencers clamp at 960 to 999 bpm and would shift
# every hit by what they clamp.
_FASTEST_LEAD_IN_BPM = 960.0


class TempoMap:
    """A piecewise linear clock. Changes are added in order; times follow from the ticks that were rounded to,
    so that an error of rounding stays where it is and does not add up over the changes.

    >>> clock = TempoMap(ticks_per_quarter=480)
    >>> clock.add(480, 1_000_000)
    >>> clock.ms(480), clock.ms(960), clock.tick(1250)
    (500.0, 1500.0, 840)
    """

    def __init__(self, ticks_per_quarter: int) -> None:
        self.ticks_per_quarter = ticks_per_quarter
        self._ticks = [0]
        self._times_ms = [0.0]
        self._tempi: list[float] = [DEFAULT_US_PER_QUARTER]

    def add(self, tick: int, us_per_quarter: float) -> None:
        """From ``tick`` on (not before the last change) a quarter note lasts ``us_per_quarter``."""
        if tick == self._ticks[-1]:
            self._tempi[-1] = us_per_quarter
            return
        self._times_ms.append(self.ms(tick))
        self._ticks.append(tick)
        self._tempi.append(us_per_quarter)

    def ms(self, tick: int) -> float:
        """The time of a tick."""
        at = bisect_right(self._ticks, tick) - 1
        passed = (tick - self._ticks[at]) * self._tempi[at] / (1000 * self.ticks_per_quarter)
        return self._times_ms[at] + passed

    def tick(self, time_ms: float) -> int:
        """The tick nearest to a time."""
        at = bisect_right(self._times_ms, time_ms) - 1
        passed = (time_ms - self._times_ms[at]) * 1000 * self.ticks_per_quarter / self._tempi[at]
        return self._ticks[at] + round(passed)


def bpm_of(us_per_quarter: int) -> float:
    """The tempo that was meant: the shortest decimal number that is stored as these microseconds.

    >>> bpm_of(500_000), bpm_of(638_298), us_of(94.0)
    (120.0, 94.0, 638298)
    """
    exact = 60e6 / us_per_quarter
    for decimals in range(7):
        if us_of(round(exact, decimals)) == us_per_quarter:
            return round(exact, decimals)
    return exact


def us_of(bpm: float) -> int:
    """Microseconds per quarter note of a tempo, rounded."""
    return round(60e6 / bpm)


def signature_parts(signature: str, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Numerator and denominator of a time signature of binary note values; ``path`` is for the error."""
    numerator, denominator = (int(part) for part in signature.split("/"))
    if numerator > 255 or denominator > 64 or denominator & (denominator - 1):
        raise InputError(f"{path}: timing: this format cannot hold the time signature {signature}")
    return numerator, denominator


# A stretch of constant tempo and metre: start in milliseconds, microseconds per quarter, time signature.
Stretch = tuple[float, float, str]


def _lead_in(offset_ms: int, first: TimingPoint, path: str | os.PathLike[str]) -> list[Stretch]:
    """Whole beats, ending in whole bars, that fill the time before the first bar; empty when too short."""
    numerator, denominator = signature_parts(first.time_signature or "4/4", path)
    beat_quarters = 4 / denominator
    beats = max(1, round(offset_ms * first.bpm / 60_000 / beat_quarters))
    tempo = offset_ms * 1000 / (beats * beat_quarters)
    if not us_of(_FASTEST_LEAD_IN_BPM) <= tempo <= _MAX_US_PER_QUARTER:
        return []
    pickup = beats % numerator
    whole = f"{numerator}/{denominator}"
    if not pickup:
        return [(0.0, tempo, whole)]
    bars = [(offset_ms * pickup / beats, tempo, whole)] if beats > pickup else []
    return [(0.0, tempo, f"{pickup}/{denominator}"), *bars]


def tempo_stretches(timing: Timing, path: str | os.PathLike[str]) -> tuple[list[Stretch], bool]:
    """A chart's tempo map, and whether it begins with beats that fill the time before the first bar.

    Raises:
        InputError: a tempo or time signature that files of ticks cannot hold; ``path`` names the file.
    """
    points = timing.resolved()
    for point in points:
        if not _SLOWEST_BPM <= point.bpm <= _FASTEST_BPM:
            raise InputError(f"{path}: timing: this format cannot hold a tempo of {point.bpm:g} bpm")
    before = [point for point in points if point.time <= timing.offset]
    plain = [(float(point.time), 60e6 / point.bpm, point.time_signature or "4/4") for point in points]
    # With the tempo changing before the first bar, that time has a tempo map of its own; it is kept instead.
    if timing.offset <= 0 or any(0 < point.time < timing.offset for point in before):
        return plain, False
    lead_in = _lead_in(timing.offset, before[-1], path)
    if not lead_in:
        return plain, False
    start = (float(timing.offset), 60e6 / before[-1].bpm, before[-1].time_signature or "4/4")
    return [*lead_in, start, *(stretch for stretch in plain if stretch[0] > timing.offset)], True


def resolution(stretches: list[Stretch]) -> int:
    """Ticks per quarter note that keep every millisecond apart at the slowest tempo."""
    slowest_ms = max((tempo for _, tempo, _ in stretches), default=us_of(120)) / 1000
    ticks = TICKS_PER_QUARTER
    while slowest_ms / ticks > _COARSEST_TICK_MS and ticks * 2 <= _MAX_TICKS_PER_QUARTER:
        ticks *= 2
    return ticks


def place(
    stretches: list[Stretch], clock: TempoMap, rounded: Callable[[float], float]
) -> list[tuple[int, float, str]]:
    """Put a tempo map on a clock that is still empty: the tick, tempo and time signature of every stretch.

    A change that lies a hair beside a beat is put on the beat, and the tempo before it made to fit, so that
    bars stay bars over hundreds of changes. Each stretch makes up for what rounding left over from the last.

    Args:
        stretches: from :func:`tempo_stretches`.
        clock: a map without changes; it is filled.
        rounded: the nearest tempo, in microseconds per quarter note, that the file can hold.

    >>> clock = TempoMap(480)
    >>> place([(0.0, 500_000, "4/4"), (4001.0, 600_000, "4/4")], clock, round)
    [(0, 500125, '4/4'), (3840, 600000, '4/4')]
    """
    placed = []
    tick = 0
    for at, (_, wanted, signature) in enumerate(stretches):
        tempo, ticks = rounded(wanted), 0
        if at + 1 < len(stretches):
            left_ms = max(0.0, stretches[at + 1][0] - clock.ms(tick))
            tick_ms = tempo / (1000 * clock.ticks_per_quarter)
            ticks = round(left_ms / tick_ms)
            beat = clock.ticks_per_quarter * 4 / int(signature.partition("/")[2])
            whole = round(round(ticks / beat) * beat)
            if whole not in (0, ticks) and abs(whole * tick_ms - left_ms) <= SNAP_MS:
                ticks, tempo = whole, rounded(left_ms * 1000 * clock.ticks_per_quarter / whole)
        clock.add(tick, tempo)
        placed.append((tick, tempo, signature))
        tick += ticks
    return placed


def timing_of(
    tempi: list[tuple[int, float]],
    signatures: list[tuple[int, str]],
    clock: TempoMap,
    *,
    offset_ms: int,
    lead_in: bool,
    start_ms: float,
) -> Timing:
    """The timing of a file that was read.

    Args:
        tempi: tick and quarter notes per minute of each change.
        signatures: tick and time signature of each change.
        clock: the file's clock.
        offset_ms: where the first bar lies in the audio.
        lead_in: whether the beats before the offset were made up by the writer; they are left out.
        start_ms: the time in the audio at which tick 0 lies.
    """
    changes: dict[int, tuple[float | None, str | None]] = {}
    for tick, tempo in tempi:
        changes[tick] = tempo, None
    for tick, meter in signatures:
        changes[tick] = changes.get(tick, (None, None))[0], meter
    bpm, signature = 120.0, "4/4"
    points: dict[int, TimingPoint] = {}
    for tick in sorted(changes):
        bpm, signature = changes[tick][0] or bpm, changes[tick][1] or signature
        time = max(0, round(clock.ms(tick) + start_ms))
        points[time] = TimingPoint(time=time, bpm=bpm, time_signature=signature)
    # The writer's own beats end on the offset, up to the rounding of a tick.
    begin = min(points, key=lambda time: abs(time - offset_ms), default=0)
    if lead_in and abs(begin - offset_ms) <= SNAP_MS:
        points = {time: point for time, point in points.items() if time >= begin}
    first = next(iter(points.values()), TimingPoint(time=0, bpm=120.0, time_signature="4/4"))
    if first.time > 0 and not lead_in:
        first = TimingPoint(time=0, bpm=120.0, time_signature="4/4")
    return Timing(
        bpm=first.bpm,
        offset=offset_ms,
        time_signature=first.time_signature or "4/4",
        timing_points=list(points.values()),
    )
