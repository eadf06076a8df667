"""Where the beats and bars of a chart lie: its tempo map as musical positions, and back.

Conventions: times in float milliseconds, positions in quarter notes from the first bar line (which lies at
the chart's ``offset``), so that what comes before has negative positions. A beat is one unit of the lower
number of the time signature. A change of time signature begins a new bar, and a bar cut short by it counts as
one. Before the first bar line the signature of the first bar holds. A change of tempo within ``SNAP_MS`` of a
beat lies on it: charts hold whole milliseconds, and bars would drift from their lines over hundreds of
changes.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from beatsight.charts.chart import Timing
from beatsight.charts.tempo_map import SNAP_MS, signature_parts
from beatsight.errors import InputError

# Days of music: more beats than this are a fault of the tempo, and would fill the memory.
_MOST_BEATS = 1_000_000


class Beat(NamedTuple):
    """One beat: its time, its place in the bar from 1, its bar from 0 (negative early on), its metre."""

    time_ms: float
    position: int
    bar: int
    numerator: int
    denominator: int


class Metre(NamedTuple):
    """From this position (in quarters) on, bars of ``numerator`` beats, each one ``denominator``-th note."""

    quarter: float
    numerator: int
    denominator: int

    @property
    def bar_quarters(self) -> float:
        """Length of a bar in quarter notes."""
        return self.numerator * 4 / self.denominator


class BeatGrid:
    """The positions of a chart's timing.

    Args:
        timing: of the chart; None means 120 bpm in 4/4.
        path: the file to be written, for errors.

    Raises:
        InputError: a time signature whose lower number is no power of two up to 64.

    >>> grid = BeatGrid(Timing(bpm=120.0, offset=250), "a.jams")
    >>> grid.quarter(1250.0), grid.time_ms(-0.5)
    (2.0, 0.0)
    """

    def __init__(self, timing: Timing | None, path: str | os.PathLike[str]) -> None:
        self._path = path
        timing = timing or Timing(bpm=120.0)
        points = timing.resolved()
        at = max(0, bisect_right([point.time for point in points], timing.offset) - 1)
        first = points[at]
        self._times = [float(timing.offset)]
        self._quarters = [0.0]
        self._bpms = [first.bpm]
        numerator, denominator = signature_parts(first.time_signature or "4/4", path)
        self.metres = [Metre(0.0, numerator, denominator)]
        for point in points[at + 1 :]:
            self._add(float(point.time), point.bpm)
            numerator, denominator = signature_parts(point.time_signature or "4/4", path)
            if (numerator, denominator) != self.metres[-1][1:]:
                self.metres.append(Metre(self._quarters[-1], numerator, denominator))
        # Without a change before the first bar line, its tempo holds from the beginning of the audio.
        if any(0 < point.time < timing.offset for point in points):
            for point in reversed([point for point in points if point.time < timing.offset]):
                self._prepend(float(point.time), point.bpm)

    def _add(self, time_ms: float, bpm: float) -> None:
        quarters = (time_ms - self._times[-1]) * self._bpms[-1] / 60_000
        unit = 4 / self.metres[-1].denominator
        start = self._quarters[-1] - self.metres[-1].quarter
        whole = round((start + quarters) / unit) * unit - start
        if whole > 0 and abs(whole - quarters) * 60_000 / self._bpms[-1] <= SNAP_MS:
            quarters = whole
            self._bpms[-1] = quarters * 60_000 / (time_ms - self._times[-1])
        self._times.append(time_ms)
        self._quarters.append(self._quarters[-1] + quarters)
        self._bpms.append(bpm)

    def _prepend(self, time_ms: float, bpm: float) -> None:
        """``bpm`` held from ``time_ms`` up to the earliest moment known so far."""
        self._quarters.insert(0, self._quarters[0] - (self._times[0] - time_ms) * bpm / 60_000)
        self._times.insert(0, time_ms)
        self._bpms.insert(0, bpm)

    def quarter(self, time_ms: float) -> float:
        """The position of a time, in quarter notes from the first bar line."""
        at = max(0, bisect_right(self._times, time_ms) - 1)
        return self._quarters[at] + (time_ms - self._times[at]) * self._bpms[at] / 60_000

    def time_ms(self, quarter: float) -> float:
        """The time of a position."""
        at = max(0, bisect_right(self._quarters, quarter) - 1)
        return self._times[at] + (quarter - self._quarters[at]) * 60_000 / self._bpms[at]

    def tempi(self) -> list[tuple[float, float, float]]:
        """The stretches of one tempo: time, position and quarter notes per minute of each."""
        return list(zip(self._times, self._quarters, self._bpms, strict=True))

    def beats(self, end_ms: float) -> Iterator[Beat]:
        """The beats from the beginning of the audio to ``end_ms``.

        Raises:
            InputError: there are more than a million of them.
        """
        made = 0
        unit = 4 / self.metres[0].denominator
        number = math.ceil(self.quarter(0.0) / unit - 1e-9)
        bar_offset = 0
        for at, metre in enumerate(self.metres):
            unit = 4 / metre.denominator
            stop = self.metres[at + 1].quarter if at + 1 < len(self.metres) else float("inf")
            bar = 0
            while (quarter := metre.quarter + number * unit) < stop - 1e-9:
                time = self.time_ms(quarter)
                if time > end_ms:
                    return
                bar, position = divmod(number, metre.numerator)
                if time > -1e-6:
                    yield Beat(max(0.0, time), position + 1, bar_offset + bar, *metre[1:])
                    made += 1
                if made > _MOST_BEATS:
                    raise InputError(f"{self._path}: timing: holds more than {_MOST_BEATS} beats")
                number += 1
            bar_offset, number = bar_offset + bar + 1, 0
