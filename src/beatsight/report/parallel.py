"""Parallel coordinates: an upright axis for each setting and for the score, a line for each run.

Conventions as in :mod:`beatsight.report.svg`. A list of values is spaced evenly, and lines that share a value
pass it side by side, in the order of their scores, so that none hides another. The better a run, the stronger
its line; the best one has a colour and width of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.svg import coordinate, drawing, tag, text_width, tick_text, ticks

_WIDTH, _TOP, _ROOM = 920.0, 58.0, 260.0
_SIDE = 64.0  # room left and right for the texts of the outer axes
_SPREAD_PX = 18.0  # lines through one value of a list use this much height
_FAINTEST = 0.18  # of the worst run, so that its line can still be followed
_KEY_PX = 30.0


@dataclass(frozen=True)
class ParallelAxis:
    """An upright axis: the ``values`` of a list, or a range ``low``..``high``, by ratio if ``log``."""

    name: str
    values: Sequence[float] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the foot and 1 at the top.

        >>> ParallelAxis("lr", low=1e-4, high=1e-2, log=True).share(1e-3)
        0.5
        """
        if self.values:
            return (list(self.values).index(value) + 0.5) / len(self.values)
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return min(1.0, max(0.0, (at - low) / (high - low))) if high > low else 0.5

    @property
    def marks(self) -> list[tuple[float, str]]:
        """Values to write beside the axis."""
        if self.values:
            return [(value, _plain(value)) for value in self.values]
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            inner = [10.0**power for power in range(first, last + 1)]
            marks = sorted({self.low, self.high, *inner})
            return [(mark, _plain(mark)) for mark in marks]
        inner = ticks(self.low, self.high, 5)
        step = inner[1] - inner[0] if len(inner) > 1 else 0.0
        return [(mark, tick_text(mark, step)) for mark in inner]


@dataclass(frozen=True)
class ParallelLine:
    """A run: what it is called, its value on every axis, how good it is (0..1).

    ``stopped``: dashed; ``best``: set apart from the others.
    """

    name: str
    values: Mapping[str, float]
    level: float = 0.0
    best: bool = False
    stopped: bool = False


def _plain(value: float) -> str:
    return f"{value:.3g}".replace("e-0", "e-")


def parallel_chart(title: str, axes: Sequence[ParallelAxis], lines: Sequence[ParallelLine]) -> Markup:
    """Runs as lines over the axes, from left to right; the last axis is the score.

    Args:
        title: what the chart shows, for readers who cannot see it.
        axes: at least one.
        lines: runs; the better ones are drawn over the others.
    """
    if not axes or not lines:
        note = tag("text", {"class": "tick middle", "x": _WIDTH / 2, "y": 44}, "no data")
        return drawing(_WIDTH, 80, title, note)
    step = (_WIDTH - 2 * _SIDE) / max(1, len(axes) - 1)
    across = {axis.name: _SIDE + step * index for index, axis in enumerate(axes)}
    ordered = sorted(lines, key=lambda line: (line.best, not line.stopped, line.level))
    places = {axis.name: _places(axis, ordered) for axis in axes}
    parts = []
    for index, line in enumerate(ordered):
        corners = [(across[axis.name], places[axis.name][index]) for axis in axes]
        parts.append(_line(line, corners))
    parts += [part for axis in axes for part in _axis(axis, across[axis.name])]
    return drawing(_WIDTH, _TOP + _ROOM + 14, title, *_legend(lines), *parts)


def _places(axis: ParallelAxis, lines: Sequence[ParallelLine]) -> list[float]:
    """The height at which each line meets the axis; lines at one value of a list side by side."""
    shares = [axis.share(line.values[axis.name]) for line in lines]
    heights = [_TOP + _ROOM * (1.0 - share) for share in shares]
    if axis.values:
        together = defaultdict(list)
        for index, share in enumerate(shares):
            together[share].append(index)
        spread = min(_SPREAD_PX, 0.6 * _ROOM / len(axis.values))
        for group in together.values():
            for rank, index in enumerate(sorted(group, key=lambda index: lines[index].level)):
                heights[index] += spread * (0.5 - (rank + 0.5) / len(group))
    return heights


def _line(line: ParallelLine, corners: Sequence[tuple[float, float]]) -> Markup:
    css = "line series-b" if line.best else "line fam-other dashed" if line.stopped else "line series-a"
    strength = 1.0 if line.best else _FAINTEST + (0.8 - _FAINTEST) * min(1.0, max(0.0, line.level))
    style = f"stroke-width:{3.5 if line.best else 1.8};stroke-opacity:{strength:.2f}"
    points = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in corners)
    # The name shows when the line is pointed at.
    return tag("polyline", {"class": css, "style": style, "points": points}, tag("title", {}, line.name))


def _axis(axis: ParallelAxis, x: float) -> list[Markup]:
    foot = _TOP + _ROOM
    parts = [
        tag("line", {"class": "axis", "x1": x, "x2": x, "y1": _TOP, "y2": foot}),
        tag("text", {"class": "axis-name middle", "x": x, "y": _TOP - 12}, axis.name),
    ]
    for value, text in axis.marks:
        y = foot - _ROOM * axis.share(value)
        parts.append(tag("line", {"class": "axis", "x1": x - 4, "x2": x + 4, "y1": y, "y2": y}))
        parts.append(tag("text", {"class": "value end", "x": x - 8, "y": y + 4}, text))
    return parts


def _legend(lines: Sequence[ParallelLine]) -> list[Markup]:
    entries = []
    if any(line.best for line in lines):
        entries.append(("best run", ParallelLine("best run", {}, best=True)))
    if any(not line.best and not line.stopped for line in lines):
        entries.append(("other runs, the better the darker", ParallelLine("other runs", {}, level=0.7)))
    if any(line.stopped for line in lines):
        entries.append(("stopped early", ParallelLine("stopped early", {}, level=0.7, stopped=True)))
    parts, x = [], 0.0
    for text, sample in entries:
        parts.append(_line(sample, [(x, 12.0), (x + 24.0, 12.0)]))
        parts.append(tag("text", {"class": "key", "x": x + _KEY_PX, "y": 16}, text))
        x += _KEY_PX + text_width(text) + 18
    return parts
