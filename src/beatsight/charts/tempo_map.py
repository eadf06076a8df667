"""MIDI ticks to milliseconds and back, over any number of tempo changes.

Conventions: ticks are whole, times are float milliseconds, tempo is in microseconds per quarter note. Source:
Standard MIDI Files 1.0 (MIDI Manufacturers Association, 1996): 500 000 us until a first tempo event.
"""

from __future__ import annotations

import os
from bisect import bisect_right

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
        self._tempi = [DEFAULT_US_PER_QUARTER]

    def add(self, tick: int, us_per_quarter: int) -> None:
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
    """Numerator and denominator of a time signature that a MIDI file can hold; ``path`` is for the error."""
    numerator, denominator = (int(part) for part in signature.split("/"))
    if numerator > 255 or denominator > 64 or denominator & (denominator - 1):
        raise InputError(f"{path}: timing: a MIDI file cannot hold the time signature {signature}")
    return numerator, denominator


# A stretch of constant tempo and metre: start in milliseconds, microseconds per quarter, time signature.
Stretch = tuple[float, int, str]


def _lead_in(offset_ms: int, first: TimingPoint, path: str | os.PathLike[str]) -> list[Stretch]:
    """Whole beats, ending in whole bars, that fill the time before the first bar; empty when too short."""
    numerator, denominator = signature_parts(first.time_signature or "4/4", path)
    beat_quarters = 4 / denominator
    beats = max(1, round(offset_ms * first.bpm / 60_000 / beat_quarters))
    tempo = round(offset_ms * 1000 / (beats * beat_quarters))
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
        InputError: a tempo or time signature that a MIDI file cannot hold; ``path`` names that file.
    """
    points = timing.resolved()
    for point in points:
        if not _SLOWEST_BPM <= point.bpm <= _FASTEST_BPM:
            raise InputError(f"{path}: timing: a MIDI file cannot hold a tempo of {point.bpm:g} bpm")
    before = [point for point in points if point.time <= timing.offset]
    plain = [(float(point.time), us_of(point.bpm), point.time_signature or "4/4") for point in points]
    # With the tempo changing before the first bar, that time has a tempo map of its own; it is kept instead.
    if timing.offset <= 0 or any(0 < point.time < timing.offset for point in before):
        return plain, False
    lead_in = _lead_in(timing.offset, before[-1], path)
    if not lead_in:
        return plain, False
    start = (float(timing.offset), us_of(before[-1].bpm), before[-1].time_signature or "4/4")
    return [*lead_in, start, *(stretch for stretch in plain if stretch[0] > timing.offset)], True


def resolution(stretches: list[Stretch]) -> int:
    """Ticks per quarter note that keep every millisecond apart at the slowest tempo."""
    slowest_ms = max((tempo for _, tempo, _ in stretches), default=us_of(120)) / 1000
    ticks = TICKS_PER_QUARTER
    while slowest_ms / ticks > _COARSEST_TICK_MS and ticks * 2 <= _MAX_TICKS_PER_QUARTER:
        ticks *= 2
    return ticks
