"""Horizontal bars: one a row, with the value at its end, a minimum as a tick, and a stacked second part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.plots.axes import (
    WIDTH,
    Axis,
    Key,
    axis,
    empty,
    legend,
    legend_height,
    swatch,
    value_of,
)
from beatsight.report.svg import Attributes, drawing, fit, tag, text_tag, text_width
from beatsight.report.text import number

LABEL_PX = 240.0  # longer names are cut
ROW_PX = 26.0
_LEAST_ROOM = 160.0  # long names widen the drawing rather than squeeze the bars
_TAIL_PX = 210.0  # longer texts at the end of a bar are cut


@dataclass(frozen=True)
class Bar:
    """A horizontal bar.

    Attributes:
        label: its name.
        value: its length; None draws none.
        text: what is written at its end; otherwise the value.
        css: its colour class.
        target: where a tick is set on it: the least that is wanted.
        second: a part that is stacked on the first (synthetic beside real).
    """

    label: str
    value: float | None
    text: str = ""
    css: str = "series-a"
    target: float | None = None
    second: float | None = None

    @property
    def shown(self) -> str:
        """The text at its end."""
        if self.text:
            return self.text
        return number(self.value) if self.second is None else f"{number(self.value)} + {number(self.second)}"

    @property
    def ends(self) -> tuple[float, float]:
        """Where its first and its second part end."""
        first = max(0.0, value_of(self.value) or 0.0)
        return first, first + max(0.0, value_of(self.second) or 0.0)


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    x_label: str,
    high: float | None = None,
    reference: tuple[float, str] | None = None,
    *,
    parts: tuple[str, str] = ("first part", "second part"),
    target_name: str = "minimum",
) -> Markup:
    """Horizontal bars, one a row, with the value at the end of each.

    Args:
        title: what the chart shows.
        bars: from top to bottom; an unknown value draws no bar.
        x_label: quantity and unit of the bars' length.
        high: right end of the axis; otherwise the largest value or target.
        reference: a value and its name, drawn as a dashed line across the bars.
        parts: names of the two parts of a bar, for the legend where bars have a second.
        target_name: of the ticks, for the legend where bars have a target.
    """
    if not bars:
        return empty(title)
    left = max(min(LABEL_PX, text_width(bar.label)) for bar in bars) + 12
    tail = max(min(_TAIL_PX, text_width(bar.shown)) for bar in bars) + 14
    room = max(_LEAST_ROOM, WIDTH - left - tail)
    width = left + room + tail
    keys = _keys(bars, parts, target_name)
    top = legend_height(keys, 0, width) + (22.0 if reference else 4.0)
    base = top + ROW_PX * len(bars)
    scale = axis([], (0.0, _high(bars, high)), room=room, most=5)
    marks, values = upright_grid(scale, left, room, top, base), []
    for index, bar in enumerate(bars):
        y = top + index * ROW_PX
        marks += _bar(bar, scale, left, room, y)
        values += _names(bar, scale, left, room, y, _clear_of(reference, bar, scale))
    if reference is not None and value_of(reference[0]) is not None:
        x = left + _share(scale, reference[0]) * room
        marks.append(tag("line", {"class": "reference", "x1": x, "x2": x, "y1": top - 4, "y2": base + 4}))
        values.append(_reference_name(reference[1], x, top - 10, width))
    name: Attributes = {"class": "axis-name middle", "x": left + room / 2, "y": base + 40}
    # Values come last: they stay readable where the reference line runs through them.
    drawn = [*marks, *values, text_tag(x_label, left + room, name), *legend(keys, 0, width, 0)]
    return drawing(width, base + 46, title, *drawn)


def upright_grid(scale: Axis, left: float, room: float, top: float, base: float) -> list[Markup]:
    """Upright lines at the ticks of a horizontal axis, and their texts below."""
    parts = []
    for mark, text in scale.marks:
        x = left + scale.share(mark) * room
        parts.append(tag("line", {"class": "grid", "x1": x, "x2": x, "y1": top, "y2": base + 4}))
        parts.append(tag("text", {"class": "tick middle", "x": x, "y": base + 18}, text))
    return parts


def _share(scale: Axis, value: float) -> float:
    return min(1.0, max(0.0, scale.share(value)))


def _high(bars: Sequence[Bar], high: float | None) -> float:
    """The right end: as given, or the largest length or target."""
    given = value_of(high)
    if given is not None and given > 1e-9:
        return given
    most = max(max(bar.ends[1], value_of(bar.target) or 0.0) for bar in bars)
    return most if most > 1e-9 else 1.0


def _bar(bar: Bar, scale: Axis, left: float, room: float, y: float) -> list[Markup]:
    first, whole = (_share(scale, end) * room for end in bar.ends)
    box: Attributes = {"y": y + 4, "height": ROW_PX - 8, "rx": 2}
    parts = [tag("rect", {"class": f"bar {bar.css}", "x": left, "width": first, **box})]
    if whole > first:
        rest: Attributes = {"x": left + first, "width": whole - first, **box}
        parts.append(tag("rect", {"class": f"second {bar.css}", **rest}))
    return parts


def _clear_of(reference: tuple[float, str] | None, bar: Bar, scale: Axis) -> tuple[float, ...]:
    """Shares of the axis where an upright line would run through the text of a bar."""
    lines = (bar.target, reference[0] if reference else None)
    return tuple(_share(scale, value) for line in lines if (value := value_of(line)) is not None)


def _names(bar: Bar, scale: Axis, left: float, room: float, y: float, lines: Sequence[float]) -> list[Markup]:
    """The label, the tick of the target, and the text right of the bar and of the lines beside it."""
    parts = [text_tag(bar.label, LABEL_PX, {"class": "label end", "x": left - 8, "y": y + 17})]
    end = _share(scale, bar.ends[1]) * room
    target = value_of(bar.target)
    if target is not None:
        tick = _share(scale, target) * room
        ends: Attributes = {"x1": left + tick, "x2": left + tick, "y1": y + 1, "y2": y + ROW_PX - 1}
        parts.append(tag("line", {"class": "target", **ends}))
    for line in sorted(share * room for share in lines):
        if end <= line <= end + text_width(bar.shown) + 12:
            end = line
    parts.append(text_tag(bar.shown, _TAIL_PX, {"class": "value", "x": left + end + 6, "y": y + 17}))
    return parts


def _reference_name(name: str, x: float, y: float, width: float) -> Markup:
    text = fit(name, width)
    half = text_width(text) / 2
    return tag("text", {"class": "tick middle", "x": min(width - half, max(half, x)), "y": y}, text)


def _keys(bars: Sequence[Bar], parts: tuple[str, str], target_name: str) -> list[Key]:
    keys = []
    if any(bar.second is not None for bar in bars):
        keys += [Key(parts[0], swatch("bar series-a")), Key(parts[1], swatch("second series-a"))]
    if any(value_of(bar.target) is not None for bar in bars):
        keys.append(Key(target_name, _tick))
    return keys


def _tick(x: float, y: float) -> Markup:
    return tag("line", {"class": "target", "x1": x + 15, "x2": x + 15, "y1": y - 8, "y2": y + 8})
