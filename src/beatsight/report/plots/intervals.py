"""Confidence intervals: one a row, with its point, the baseline's mark and whether it is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.plots.axes import (
    WIDTH,
    Axis,
    Key,
    Limits,
    axis,
    drawable,
    empty,
    legend,
    legend_height,
    value_of,
)
from beatsight.report.plots.bars import LABEL_PX, ROW_PX, upright_grid
from beatsight.report.plots.lines import Point, mark
from beatsight.report.svg import Attributes, drawing, tag, text_tag, text_width
from beatsight.report.text import number

_LEAST_ROOM = 200.0
_DIAMOND = 3  # the shape of the baseline's mark
_SIGN = {True: "✓ ", False: "✕ ", None: ""}
_CSS = {True: "good-mark", False: "bad-mark", None: "series-a"}


@dataclass(frozen=True)
class Interval:
    """A value between two limits.

    Attributes:
        label: its name.
        low, value, high: what is None or NaN is not drawn.
        reference: the same quantity of the baseline.
        good: whether it is good enough; None where that is not asked.
    """

    label: str
    low: float | None
    value: float | None
    high: float | None
    reference: float | None = None
    good: bool | None = None

    @property
    def shown(self) -> str:
        """The text at the end of its row."""
        if value_of(self.low) is None or value_of(self.high) is None:
            return _SIGN[self.good] + number(self.value, 3)
        return f"{_SIGN[self.good]}{number(self.value, 3)} [{number(self.low, 3)}, {number(self.high, 3)}]"


def interval_chart(
    title: str, intervals: Sequence[Interval], x_label: str, *, limits: Limits | None = None
) -> Markup:
    """Intervals below each other over one axis, with their numbers at the right.

    Args:
        title: what the chart shows.
        intervals: from top to bottom.
        x_label: quantity and unit.
        limits: fixed ends of the axis; otherwise round numbers around all values.
    """
    values = drawable([v for i in intervals for v in (i.low, i.value, i.high, i.reference)])
    if not values:
        return empty(title)
    left = max(min(LABEL_PX, text_width(i.label)) for i in intervals) + 14
    tail = max(text_width(i.shown) for i in intervals) + 18
    room = max(_LEAST_ROOM, WIDTH - left - tail)
    width = left + room + tail
    keys = _keys(intervals)
    top = legend_height(keys, 0, width) + 4.0
    base = top + ROW_PX * len(intervals)
    scale = axis(values, limits, room=room, most=6)
    parts = upright_grid(scale, left, room, top, base)
    for index, interval in enumerate(intervals):
        middle = top + (index + 0.5) * ROW_PX
        parts += _interval(interval, scale, left, room, middle)
        parts.append(
            text_tag(interval.label, LABEL_PX, {"class": "label end", "x": left - 10, "y": middle + 4})
        )
        parts.append(tag("text", {"class": "value", "x": left + room + 12, "y": middle + 4}, interval.shown))
    name: Attributes = {"class": "axis-name middle", "x": left + room / 2, "y": base + 40}
    return drawing(
        width, base + 46, title, *parts, text_tag(x_label, left + room, name), *legend(keys, 0, width, 0)
    )


def _interval(interval: Interval, scale: Axis, left: float, room: float, y: float) -> list[Markup]:
    def at(value: float | None) -> float | None:
        known = value_of(value)
        return None if known is None else left + min(1.0, max(0.0, scale.share(known))) * room

    low, value, high, reference = map(at, (interval.low, interval.value, interval.high, interval.reference))
    css = _CSS[interval.good]
    parts = []
    if low is not None and high is not None:
        parts.append(tag("line", {"class": f"line {css}", "x1": low, "x2": high, "y1": y, "y2": y}))
        for end in (low, high):
            parts.append(
                tag("line", {"class": f"line {css}", "x1": end, "x2": end, "y1": y - 5, "y2": y + 5})
            )
    if value is not None:
        parts.append(mark(0, (value, y), css, 4.5))
    if reference is not None:
        parts.append(_baseline((reference, y)))
    return parts


def _baseline(at: Point) -> Markup:
    return mark(_DIAMOND, at, "baseline", 4.5)


def _keys(intervals: Sequence[Interval]) -> list[Key]:
    def sample(x: float, y: float) -> Markup:
        line = tag("line", {"class": "line series-a", "x1": x, "x2": x + 24, "y1": y, "y2": y})
        return line + mark(0, (x + 12, y), "series-a", 4.5)

    if all(value_of(interval.reference) is None for interval in intervals):
        return []
    return [Key("value and interval", sample), Key("baseline", lambda x, y: _baseline((x + 12, y)))]
