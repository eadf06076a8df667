"""A chart as written music: bars, two voices, and every hit on a place of its beat.

Conventions: lengths in divisions, 48 to a quarter note, so that a 64th is 3, a 16th 12, and a note of a
triplet of eighths 16. Voice 1 is the hands, voice 2 the feet. Each beat (a quarter; in 6/8, 9/8, 12/8 ... a
dotted one) is read as 16ths, as a triplet, as a sextuplet or as 32nds, whichever lies nearest to its hits; a
finer reading must be nearer by a margin, since hits that were played lie on no grid. A note lasts until the
next of its voice, at most to the end of its beat; what is left is rests. Two strokes of one drum on one place
become one, the louder.

A score says nothing of the audio: its first bar is the first of the chart, or an earlier one when hits lie
before.
"""

from __future__ import annotations

import itertools
import math
import os
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from beatsight.charts.beat_grid import BeatGrid, Metre
from beatsight.charts.chart import Chart, HitObject
from beatsight.errors import InputError
from beatsight.taxonomy import resolve

DIVISIONS = 48
HANDS, FEET = 1, 2
_FEET = frozenset({"kick", "hihat_pedal", "hihat_foot_splash"})
# Hours of bars: no score that anyone opens.
_MOST_BARS = 20_000
# A score's places are exact to what the strictest score of transcription calls on time.
MOVED_MS = 20.0
MOVED = f"hits moved by more than {MOVED_MS:g} ms"
MERGED = "strokes of one drum on one place, written as one"
# Half a 16th, in quarters: a hit this much before the first bar may still belong to it.
_EARLY = 0.125


class Reading(NamedTuple):
    """A way to divide a beat: unit in divisions, its note value, the tuplet (3 in the time of 2), and margin.

    The margin is in quarter notes of mean error: 10 ms at 120 bpm for triplets, more for what is rare.
    """

    unit: int
    note: int
    tuplet: tuple[int, int] | None
    margin: float


_STRAIGHT = (Reading(12, 16, None, 0.0), Reading(6, 32, None, 0.04), Reading(3, 64, None, 0.08))
_TUPLETS = (Reading(16, 8, (3, 2), 0.02), Reading(8, 16, (6, 4), 0.05))
# The note value that a tuplet counts in.
TUPLET_UNITS = {reading.tuplet: reading.note for reading in _TUPLETS}
# What two strokes of one drum that fall together add to the error of a reading, in quarter notes.
_COLLISION = 0.1
# Lengths, in units, that one note can have: plain and dotted.
_LENGTHS = (8, 6, 4, 3, 2, 1)


class Symbol(NamedTuple):
    """A note, chord or rest (no hits): start in its bar and length, in divisions, and how it is written.

    ``note`` is the value's number (16 for a 16th), ``edge`` "start" or "stop" at the ends of a tuplet.
    """

    start: int
    length: int
    note: int
    dots: int
    tuplet: tuple[int, int] | None
    edge: str
    hits: tuple[HitObject, ...]


@dataclass
class Bar:
    """One measure: metre, length in divisions, voices, and tempo changes as (place, quarters per minute)."""

    numerator: int
    denominator: int
    length: int
    is_cut: bool
    voices: dict[int, list[Symbol]] = field(default_factory=dict)
    tempi: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Score:
    """Bars, the time of the first in milliseconds, and what was changed, by kind, with counts."""

    bars: list[Bar]
    start_ms: float
    changed: dict[str, int]


class _Beat(NamedTuple):
    start: int  # in divisions from the start of the score
    length: int


def beats_of(bar: Bar) -> list[int]:
    """Lengths of the beats of a bar, in divisions."""
    is_compound = bar.denominator == 8 and bar.numerator % 3 == 0 and bar.numerator > 3
    beat = DIVISIONS * 3 // 2 if is_compound else DIVISIONS
    whole, rest = divmod(bar.length, beat)
    return [beat] * whole + ([rest] if rest else [])


class _Layout:
    """The bars of a score, and where times lie in them, in divisions from the start of the score."""

    def __init__(self, grid: BeatGrid, times_ms: list[int], path: str | os.PathLike[str]) -> None:
        first = grid.metres[0]
        self._grid = grid
        earliest = min([0.0, *(grid.quarter(time) + _EARLY for time in times_ms)])
        end = max([0.0, *(grid.quarter(time) for time in times_ms)]) + _EARLY
        start = math.floor(earliest / first.bar_quarters) * first.bar_quarters
        metres = [Metre(start, *first[1:]), *grid.metres[1:]]
        self.bars: list[Bar] = []
        self._quarters: list[float] = []
        self._places: list[int] = []
        self.length = 0
        for at, metre in enumerate(metres):
            if at and metre.quarter > end:
                break
            self._quarters.append(metre.quarter)
            self._places.append(self.length)
            following = metres[at + 1].quarter if at + 1 < len(metres) else math.inf
            full = round(metre.bar_quarters * DIVISIONS)
            bars, rest = max(1, math.ceil((end - metre.quarter) / metre.bar_quarters)), 0
            if following <= end:
                # A change of metre inside a beat is written on the nearest 16th.
                bars, rest = divmod(round((following - metre.quarter) * 4) * DIVISIONS // 4, full)
            if len(self.bars) + bars > _MOST_BARS:
                raise InputError(f"{path}: has more than {_MOST_BARS} bars, too many for a score")
            for length in [full] * bars + ([rest] if rest else []):
                self.bars.append(Bar(*metre[1:], length, is_cut=length < full))
                self.length += length

    def place(self, quarter: float) -> float:
        """Where a position of the grid lies in the score."""
        at = max(0, bisect_right(self._quarters, quarter) - 1)
        place = self._places[at] + (quarter - self._quarters[at]) * DIVISIONS
        return min(max(0.0, place), self.length - 1e-6)

    def time_ms(self, place: float) -> float:
        """The time of a place of the score."""
        at = max(0, bisect_right(self._places, place) - 1)
        return self._grid.time_ms(self._quarters[at] + (place - self._places[at]) / DIVISIONS)


def _coarsest(length: int) -> Reading:
    """The straight reading in the largest notes that fill a beat: in one of 3/32 that is the 32nd."""
    return next(one for one in _STRAIGHT if length % one.unit == 0)._replace(margin=0.0)


def _read(places: list[tuple[float, HitObject]], beat: _Beat) -> tuple[Reading, dict[int, list[HitObject]]]:
    """The reading of a beat that suits its hits best, and the hits by unit."""
    coarsest = _coarsest(beat.length)
    readings = [coarsest, *(one for one in _STRAIGHT if one.unit < coarsest.unit)]
    if beat.length == DIVISIONS:
        readings += _TUPLETS
    best = None
    for reading in readings:
        count = beat.length // reading.unit
        units: dict[int, list[HitObject]] = {}
        error = 0.0
        for place, hit in places:
            unit = min(count - 1, max(0, round((place - beat.start) / reading.unit)))
            units.setdefault(unit, []).append(hit)
            error += abs(place - beat.start - unit * reading.unit) / DIVISIONS
        collisions = sum(len(hits) - len({resolve(hit.component) for hit in hits}) for hits in units.values())
        cost = (error + _COLLISION * collisions) / max(1, len(places)) + reading.margin
        if best is None or cost < best[0]:
            best = cost, reading, units
    assert best is not None
    return best[1], best[2]


def _lengths(units: int) -> list[int]:
    """The fewest single notes that fill so many units."""
    parts = []
    while units:
        parts.append(next(length for length in _LENGTHS if length <= units))
        units -= parts[-1]
    return parts


def _symbols(
    units: dict[int, tuple[HitObject, ...]], reading: Reading, start: int, length: int
) -> list[Symbol]:
    """The notes and rests of one voice in one beat."""
    count = length // reading.unit
    note, tuplet = reading.note, reading.tuplet
    if tuplet and set(units) <= {0}:
        # Nothing divides the beat in this voice: a plain quarter.
        count, note, tuplet = 1, 4, None
    unit = length // count
    symbols = []
    edges = sorted({0, *units, count})
    for begin, end in itertools.pairwise(edges):
        hits = units.get(begin, ())
        at = begin
        for part in _lengths(end - begin):
            # A dotted note is half as long again as the plain one it is named after.
            dots = int(part % 3 == 0)
            value = note // (part * 2 // 3 if dots else part)
            symbols.append(Symbol(start + at * unit, part * unit, value, dots, tuplet, "", hits))
            hits = ()
            at += part
    if tuplet:
        symbols[0] = symbols[0]._replace(edge="start")
        symbols[-1] = symbols[-1]._replace(edge="stop")
    return symbols


def _merged(hits: list[HitObject], changed: Counter[str]) -> tuple[HitObject, ...]:
    loudest: dict[str, HitObject] = {}
    for hit in hits:
        label = resolve(hit.component)
        if label in loudest:
            changed[MERGED] += 1
        if label not in loudest or hit.velocity > loudest[label].velocity:
            loudest[label] = hit
    return tuple(loudest.values())


def _write_beat(
    bar: Bar, offset: int, beat: _Beat, places: list[tuple[float, HitObject]], layout: _Layout,
    changed: Counter[str],
) -> None:  # fmt: skip
    """Add one beat to the voices of its bar; ``offset`` is where the bar starts in the score."""
    reading, units = _read(places, beat)
    for unit, hits in units.items():
        time = layout.time_ms(beat.start + unit * reading.unit)
        if moved := sum(abs(hit.time - time) > MOVED_MS for hit in hits):
            changed[MOVED] += moved
    kept = {unit: _merged(hits, changed) for unit, hits in sorted(units.items())}
    for voice in (HANDS, FEET):
        own = {
            unit: chosen
            for unit, hits in kept.items()
            if (chosen := tuple(hit for hit in hits if (resolve(hit.component) in _FEET) == (voice == FEET)))
        }
        bar.voices.setdefault(voice, []).extend(_symbols(own, reading, beat.start - offset, beat.length))


def _write_tempi(layout: _Layout, grid: BeatGrid) -> None:
    """Put the changes of tempo into the bars; the one in force at the start stands at the start."""
    starts = list(itertools.accumulate((bar.length for bar in layout.bars), initial=0))
    changes: dict[int, float] = {}
    for _, quarter, bpm in grid.tempi():
        place = round(layout.place(quarter))
        if place >= layout.length - 1 and place > 0:
            break
        changes[place if changes else 0] = bpm
    for place, bpm in changes.items():
        at = bisect_right(starts, place) - 1
        layout.bars[at].tempi.append((place - starts[at], bpm))


def notate(chart: Chart, path: str | os.PathLike[str]) -> Score:
    """Write a chart as music.

    Args:
        chart: any chart; without a tempo map it is written at 120 bpm in 4/4.
        path: the file to be written, for errors.

    Raises:
        InputError: a time signature that is not of binary notes, or more than 20 000 bars.
    """
    grid = BeatGrid(chart.timing, path)
    hits = sorted(chart.hit_objects, key=lambda hit: hit.order)
    layout = _Layout(grid, [hit.time for hit in hits], path)
    places = [(layout.place(grid.quarter(hit.time)), hit) for hit in hits]
    beats: list[tuple[Bar, int, _Beat]] = []
    at = 0
    for bar in layout.bars:
        offset = at
        for length in beats_of(bar):
            beats.append((bar, offset, _Beat(at, length)))
            at += length
    # A hit nearer to the next beat than to the last place of its own belongs to that one.
    ends = [beat.start + beat.length - _coarsest(beat.length).unit / 2 for _, _, beat in beats[:-1]]
    by_beat: dict[int, list[tuple[float, HitObject]]] = {}
    for place, hit in places:
        by_beat.setdefault(bisect_right(ends, place), []).append((place, hit))
    changed: Counter[str] = Counter()
    for number, (bar, offset, beat) in enumerate(beats):
        _write_beat(bar, offset, beat, by_beat.get(number, []), layout, changed)
    for bar in layout.bars:
        sounding = (voice for voice, symbols in bar.voices.items() if any(one.hits for one in symbols))
        bar.voices = {voice: bar.voices[voice] for voice in sounding}
    _write_tempi(layout, grid)
    return Score(layout.bars, layout.time_ms(0.0), dict(changed))
