"""Charts as inline SVG: lines over steps, horizontal bars, a matrix of counts, a gauge.

Small pure functions: plain sequences in, one ``<svg>`` out. A value that is None or NaN leaves a gap.
Every axis is named with its unit. See :mod:`beatsight.report.svg` for the conventions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.svg import Attributes, coordinate, drawing, tag, text_width, tick_text, ticks
from beatsight.report.text import known, number

_WIDTH = 440.0
_LEAST_BAR_ROOM = 160.0  # long names widen the drawing rather than squeeze the bars
_SERIES_CLASSES = ("series-a", "series-b", "series-c")
_Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """A line: ``x`` and ``y`` of one length; dashed where a second cue beside colour helps."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    dashed: bool = False


@dataclass(frozen=True)
class Bar:
    """A horizontal bar; ``css`` names its colour class, ``text`` what is written at its end."""

    label: str
    value: float | None
    text: str = ""
    css: str = "series-a"


def _limits(values: Sequence[float], fixed: tuple[float, float] | None) -> tuple[float, float]:
    if fixed is not None:
        return fixed
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    marks = ticks(min(low, 0.0) if low < high * 0.5 else low, high)
    step = marks[1] - marks[0] if len(marks) > 1 else (abs(high) * 0.1 or 1.0)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step or step


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """Split at the gaps: a missing value must not be bridged by a line."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    y_limits: tuple[float, float] | None = None,
) -> Markup:
    """Lines over a count of steps (epochs), with a legend above and names on both axes.

    Args:
        title: what the chart shows, for readers who cannot see it.
        series: at most three lines; None and NaN leave gaps.
        x_label, y_label: quantity and unit.
        y_limits: fixed range of the y axis; otherwise round numbers around the data.
    """
    xs = [float(x) for line in series for x in line.x]
    ys = [float(y) for line in series for y in line.y if y is not None and known(y)]
    if not ys:
        return _empty(title)
    height, left, right, top, bottom = 270.0, 52.0, 14.0, 44.0, 44.0
    x_low, x_high = min(xs), max(xs)
    y_low, y_high = _limits(ys, y_limits)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        up = (y - y_low) / ((y_high - y_low) or 1.0)
        return left + across * (_WIDTH - left - right), height - bottom - up * (height - top - bottom)

    parts = [tag("text", {"class": "axis-name", "x": 0, "y": 12}, y_label)]
    y_marks = ticks(y_low, y_high)
    step = y_marks[1] - y_marks[0] if len(y_marks) > 1 else 0.0
    for mark in y_marks:
        y = place(x_low, mark)[1]
        parts.append(tag("line", {"class": "grid", "x1": left, "x2": _WIDTH - right, "y1": y, "y2": y}))
        parts.append(tag("text", {"class": "tick end", "x": left - 8, "y": y + 4}, tick_text(mark, step)))
    for mark in (mark for mark in ticks(x_low, x_high, 8) if float(mark).is_integer()):
        x = place(mark, y_low)[0]
        parts.append(tag("text", {"class": "tick middle", "x": x, "y": height - bottom + 18}, f"{mark:.0f}"))
    middle = (left + _WIDTH - right) / 2
    parts.append(tag("text", {"class": "axis-name middle", "x": middle, "y": height - 6}, x_label))
    for line, css in zip(series, _SERIES_CLASSES, strict=False):
        parts += _line(line, css, place)
    return drawing(_WIDTH, height, title, *parts, *_legend(series, left, 30.0))


def _legend(series: Sequence[Series], x: float, y: float) -> list[Markup]:
    parts = []
    for line, css in zip(series, _SERIES_CLASSES, strict=False):
        dash = " dashed" if line.dashed else ""
        parts.append(tag("line", {"class": f"line {css}{dash}", "x1": x, "x2": x + 24, "y1": y, "y2": y}))
        parts.append(tag("text", {"class": "key", "x": x + 30, "y": y + 4}, line.name))
        x += 30 + text_width(line.name) + 18
    return parts


def _line(line: Series, css: str, place: _Place) -> list[Markup]:
    points = [
        place(float(x), float(y)) if known(y) and y is not None else None
        for x, y in zip(line.x, line.y, strict=True)
    ]
    parts = []
    for run in _runs(points):
        if len(run) == 1:
            parts.append(tag("circle", {"class": f"dot {css}", "cx": run[0][0], "cy": run[0][1], "r": 3}))
            continue
        path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in run)
        dash = " dashed" if line.dashed else ""
        parts.append(tag("polyline", {"class": f"line {css}{dash}", "points": path}))
    if points and points[-1] is not None:
        x, y = points[-1]
        parts.append(tag("circle", {"class": f"dot {css}", "cx": x, "cy": y, "r": 3.2}))
    return parts


def bar_chart(
    title: str,
    bars: Sequence[Bar],
    x_label: str,
    high: float | None = None,
    reference: tuple[float, str] | None = None,
) -> Markup:
    """Horizontal bars, one a row, with the value at the end of each.

    Args:
        title: what the chart shows.
        bars: from top to bottom; an unknown value draws no bar.
        x_label: quantity and unit of the bars' length.
        high: right end of the axis; otherwise the largest value.
        reference: a value and its name, drawn as a dashed line across the bars.
    """
    if not bars:
        return _empty(title)
    texts = [bar.text or number(bar.value) for bar in bars]
    left = max(text_width(bar.label) for bar in bars) + 12
    tail = max(text_width(text) for text in texts) + 14
    room = max(_LEAST_BAR_ROOM, _WIDTH - left - tail)
    row, top = 26.0, 22.0 if reference else 4.0
    base = top + row * len(bars)
    if high is None:
        high = max(_length(bar) for bar in bars)
    high = high or 1.0
    parts = []
    marks = ticks(0.0, high, 5)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for mark in marks:
        x = left + mark / high * room
        parts.append(tag("line", {"class": "grid", "x1": x, "x2": x, "y1": top, "y2": base + 4}))
        parts.append(tag("text", {"class": "tick middle", "x": x, "y": base + 18}, tick_text(mark, step)))
    values = []
    for index, (bar, text) in enumerate(zip(bars, texts, strict=True)):
        y, length = top + index * row, _length(bar) / high * room
        box: Attributes = {"x": left, "y": y + 4, "width": length, "height": row - 8, "rx": 2}
        parts.append(tag("rect", {"class": f"bar {bar.css}", **box}))
        values.append(tag("text", {"class": "label end", "x": left - 8, "y": y + 17}, bar.label))
        values.append(tag("text", {"class": "value", "x": left + length + 6, "y": y + 17}, text))
    if reference is not None:
        x = left + reference[0] / high * room
        parts.append(tag("line", {"class": "reference", "x1": x, "x2": x, "y1": top - 4, "y2": base + 4}))
        parts.append(tag("text", {"class": "tick middle", "x": x, "y": 12}, reference[1]))
    name: Attributes = {"class": "axis-name middle", "x": left + room / 2, "y": base + 40}
    # Values come last: they stay readable where the reference line runs through them.
    return drawing(left + room + tail, base + 46, title, *parts, *values, tag("text", name, x_label))


def _length(bar: Bar) -> float:
    return max(0.0, float(bar.value)) if bar.value is not None and known(bar.value) else 0.0


def matrix_chart(
    title: str, labels: Sequence[str], counts: Sequence[Sequence[int]], row_name: str, column_name: str
) -> Markup:
    """A heat map of counts: the shade is the share of its row, the number the count itself.

    Args:
        title: what the chart shows.
        labels: names of rows and of columns.
        counts: ``counts[row][column]``, square.
        row_name, column_name: what rows and columns are, e.g. "true" and "predicted".
    """
    if not labels:
        return _empty(title)
    side = text_width(max(labels, key=len)) + 14
    cell, left = 34.0, side + 16
    # Column names lean by 45 degrees: their height is the width divided by the square root of two.
    top = 22 + side * 0.75
    reach = max((index + 0.5) * cell + 0.75 * text_width(label) for index, label in enumerate(labels))
    width, height = left + max(reach, cell * len(labels)) + 4, top + cell * len(labels) + 4
    centre, half_way = left + cell * len(labels) / 2, top + cell * len(labels) / 2
    parts = [
        tag("text", {"class": "axis-name middle", "x": centre, "y": 12}, column_name),
        tag(
            "text",
            {"class": "axis-name middle", "transform": f"translate(12 {half_way:.1f}) rotate(-90)"},
            row_name,
        ),
    ]
    for index, label in enumerate(labels):
        x, y = left + (index + 0.5) * cell, top + (index + 0.5) * cell
        lean = f"translate({x - 2:.1f} {top - 8:.1f}) rotate(-45)"
        parts.append(tag("text", {"class": "label", "transform": lean}, label))
        parts.append(tag("text", {"class": "label end", "x": left - 8, "y": y + 4}, label))
    for row, values in enumerate(counts):
        total = sum(values)
        for column, count in enumerate(values):
            parts.append(
                _cell(left + column * cell, top + row * cell, cell, int(count), count / total if total else 0)
            )
    return drawing(width, height, title, *parts)


def _cell(x: float, y: float, side: float, count: int, share: float) -> Markup:
    # Even the weakest confusion must be told from none: shades start at a fifth.
    box: Attributes = {"x": x + 1, "y": y + 1, "width": side - 2, "height": side - 2, "rx": 3}
    shade = {"fill-opacity": 0.2 + 0.8 * share} if count else {}
    parts = [tag("rect", {"class": "heat" if count else "heat none", **box, **shade})]
    if count:
        ink = "count on" if share > 0.5 else "count"
        shown = f"{count}" if count < 10_000 else f"{count / 1000:.0f}k"
        parts.append(tag("text", {"class": ink, "x": x + side / 2, "y": y + side / 2 + 4}, shown))
    return Markup("").join(parts)


def meter(value: float, target: float | None) -> Markup:
    """A gauge from 0 to 1 with a tick at the target; it stretches to the width it is given."""
    level = f"{min(1.0, max(0.0, value)) * 100 if known(value) else 0.0:.1f}%"
    bar: Attributes = {"x": 0, "y": 5, "height": 10, "rx": 5}
    parts = [
        tag("rect", {**bar, "class": "rail", "width": "100%"}),
        tag("rect", {**bar, "class": "level", "width": level}),
    ]
    if target is not None:
        at = f"{target * 100:.1f}%"
        parts.append(tag("line", {"class": "target", "x1": at, "x2": at, "y1": 0, "y2": 20}))
    return tag("svg", {"class": "meter", "height": 20, "width": "100%", "aria-hidden": "true"}, *parts)


def _empty(title: str) -> Markup:
    note = tag("text", {"class": "tick middle", "x": _WIDTH / 2, "y": 44}, "no data")
    return drawing(_WIDTH, 80, title, note)
