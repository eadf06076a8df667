"""What the charts share: axes with round ticks, the frame around a plot, legends, the empty chart.

Conventions: an :class:`Axis` knows the values at its two ends, a :class:`Frame` knows where they lie in the
drawing. Values are cut at ±1e100, so that no arithmetic here can overflow; no quantity drawn is so large.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.svg import Attributes, drawing, tag, text_tag, text_width, tick_text, ticks
from beatsight.report.text import known

WIDTH = 440.0
WIDE = 920.0
HEIGHT = 270.0
_HUGE = 1e100
_TICK_GAP_PX = 14.0
_ROW_PX = 18.0  # of a legend
_SWATCH_PX = 24.0
_OVERHANG = 5.0  # how far marks may reach over the edge of a plot: the radius of the largest

Limits = tuple[float, float]


def value_of(value: float | None) -> float | None:
    """A value that can be drawn; None for None, NaN and infinity."""
    if value is None or not known(float(value)):
        return None
    return min(_HUGE, max(-_HUGE, float(value)))


def drawable(values: Sequence[float | None]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in map(value_of, values) if value is not None]


@dataclass(frozen=True)
class Axis:
    """A range of values and the round numbers marked on it, as (value, text)."""

    low: float
    high: float
    marks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float:
        """Where a value lies: 0 at ``low``, 1 at ``high``; far outside it is cut to stay a short number."""
        return min(100.0, max(-100.0, (value - self.low) / (self.high - self.low)))


def axis(
    values: Sequence[float | None],
    fixed: Limits | None = None,
    *,
    room: float | None = None,
    most: int = 6,
    round_out: bool = True,
    whole: bool = False,
) -> Axis:
    """The axis for these values.

    Args:
        values: what must lie on it; None and NaN do not count.
        fixed: its ends, kept as they are.
        room: px along which the texts of the ticks are written; fewer ticks where they would touch.
        most: number of ticks at most.
        round_out: whether it ends on ticks (and at 0 where 0 is near) or with the values.
        whole: whether only whole numbers are marked.
    """
    low, high, fixed_now = _range(drawable(values), fixed, whole)
    if round_out and not fixed_now:
        low, high = _from_zero(low, high)
        found = ticks(low, high, most)
        step = found[1] - found[0] if len(found) > 1 else high - low
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    marks = _marks(low, high, most, whole)
    while room is not None and most > 2 and _crowded(marks, room / (high - low)):
        most -= 1
        marks = _marks(low, high, most, whole)
    return Axis(low, high, marks)


def _range(values: list[float], fixed: Limits | None, whole: bool) -> tuple[float, float, bool]:
    """Two ends that differ, and whether they are the fixed ones."""
    if fixed is not None:
        low, high = value_of(fixed[0]), value_of(fixed[1])
        if low is not None and high is not None and high > low:
            return low, high, True
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low > max(1e-9, 1e-9 * max(abs(low), abs(high))):
        return low, high, False
    if whole and abs(low) < 1e15:
        return low - 0.5, high + 0.5, False
    near_zero = abs(low) < 1e-9
    return (0.0, 1.0, False) if near_zero else (low - 0.1 * abs(low), high + 0.1 * abs(high), False)


def _from_zero(low: float, high: float) -> Limits:
    """Start or end at zero unless the values lie in a narrow range far from it."""
    if 0 < low < high * 0.5:
        return 0.0, high
    if 0 > high > low * 0.5:
        return low, 0.0
    return low, high


def _marks(low: float, high: float, most: int, whole: bool) -> list[tuple[float, str]]:
    found = ticks(low, high, most)
    if whole:
        found = [mark for mark in found if mark.is_integer()]
    step = found[1] - found[0] if len(found) > 1 else float(whole)
    return [(mark, tick_text(mark, step)) for mark in found]


def _crowded(marks: Sequence[tuple[float, str]], scale: float) -> bool:
    return any(
        (right - left) * scale < (text_width(a) + text_width(b)) / 2 + _TICK_GAP_PX
        for (left, a), (right, b) in itertools.pairwise(marks)
    )


@dataclass(frozen=True)
class Frame:
    """A plot inside a drawing: where its two axes lie, in px."""

    x: Axis
    y: Axis
    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge of the plot."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge of the plot."""
        return self.top + self.height

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies in the drawing."""
        return self.left + self.x.share(x) * self.width, self.bottom - self.y.share(y) * self.height

    def grid(self) -> list[Markup]:
        """Horizontal lines at the ticks of the y axis, a base line, and the texts of all ticks."""
        parts = []
        for mark, text in self.y.marks:
            y = self.at(self.x.low, mark)[1]
            parts.append(tag("line", {"class": "grid", "x1": self.left, "x2": self.right, "y1": y, "y2": y}))
            parts.append(tag("text", {"class": "tick end", "x": self.left - 8, "y": y + 4}, text))
        ends: Attributes = {"x1": self.left, "x2": self.right, "y1": self.bottom, "y2": self.bottom}
        parts.append(tag("line", {"class": "axis", **ends}))
        for mark, text in self.x.marks:
            x = self.at(mark, self.y.low)[0]
            parts.append(
                tag("line", {"class": "axis", "x1": x, "x2": x, "y1": self.bottom, "y2": self.bottom + 4})
            )
            parts.append(tag("text", {"class": "tick middle", "x": x, "y": self.bottom + 18}, text))
        return parts

    def names(self, x_label: str, y_label: str) -> list[Markup]:
        """The names of both axes: y above the plot, x below."""
        middle, low = self.left + self.width / 2, self.bottom + 38
        whole = self.right + 10
        return [
            text_tag(y_label, whole, {"class": "axis-name", "x": 0, "y": 12}),
            text_tag(x_label, whole, {"class": "axis-name middle", "x": middle, "y": low}),
        ]

    def clipped(self, parts: Sequence[Markup]) -> Markup:
        """Marks that are cut off where they leave the plot (fixed axes)."""
        x, y = self.left - _OVERHANG, self.top - _OVERHANG
        width, height = self.width + 2 * _OVERHANG, self.height + 2 * _OVERHANG
        box: Attributes = {"x": x, "y": y, "width": width, "height": height}
        view = f"{x:.2f} {y:.2f} {width:.2f} {height:.2f}"
        return tag("svg", {"class": "area", "viewBox": view, **box}, *parts)


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a name, and what draws its sample in the 24 px from (x, y) on."""

    name: str
    sample: Callable[[float, float], Markup]


def legend_height(keys: Sequence[Key], left: float, right: float) -> float:
    """Room that a legend takes, in px."""
    return _ROW_PX * (_places(keys, left, right)[-1][1] + 1) if keys else 0.0


def legend(keys: Sequence[Key], left: float, right: float, top: float) -> list[Markup]:
    """Entries beside each other, in as many rows as they need between ``left`` and ``right``."""
    parts = []
    for key, (x, row) in zip(keys, _places(keys, left, right), strict=True):
        y = top + _ROW_PX * (row + 0.5)
        parts.append(key.sample(x, y))
        room = right - left - _SWATCH_PX - 6
        parts.append(text_tag(key.name, room, {"class": "key", "x": x + _SWATCH_PX + 6, "y": y + 4}))
    return parts


def _places(keys: Sequence[Key], left: float, right: float) -> list[tuple[float, int]]:
    """(x, row) of every entry."""
    places, x, row = [], left, 0
    for key in keys:
        width = _SWATCH_PX + 6 + text_width(key.name)
        if x > left and x + width > right:
            x, row = left, row + 1
        places.append((x, row))
        x += width + 18
    return places


def swatch(css: str) -> Callable[[float, float], Markup]:
    """The sample of something filled."""

    def draw(x: float, y: float) -> Markup:
        return tag("rect", {"class": css, "x": x + 6, "y": y - 6, "width": 18, "height": 12, "rx": 2})

    return draw


def empty(title: str) -> Markup:
    """A chart of nothing, which says so."""
    note = tag("text", {"class": "tick middle", "x": WIDTH / 2, "y": 44}, "no data")
    return drawing(WIDTH, 80, title, note)
