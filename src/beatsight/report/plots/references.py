"""Lines and shaded ranges that values are compared with, and where their names go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from beatsight.report.plots.axes import Axis, Frame, drawable, value_of
from beatsight.report.svg import Attributes, fit, tag, text_width

_LINE_PX = 14.0  # from one row of text to the next


@dataclass(frozen=True)
class Reference:
    """A value worth a line of its own, across the plot (``axis="y"``) or upright (``"x"``)."""

    value: float
    name: str
    axis: Literal["x", "y"] = "y"


@dataclass(frozen=True)
class Band:
    """A range of y that is shaded: what is allowed."""

    low: float
    high: float
    name: str


def on_axis(references: Sequence[Reference], name: str) -> list[Reference]:
    """The references of one axis that can be drawn."""
    return [r for r in references if r.axis == name and value_of(r.value) is not None]


def _inside(value: float, along: Axis) -> bool:
    slack = 1e-9 * (along.high - along.low)
    return along.low - slack <= value <= along.high + slack


@dataclass(frozen=True)
class Flag:
    """The name of an upright line, above the plot: its text, the x of its middle and its row."""

    value: float
    text: str
    x: float
    row: int


def flags(upright: Sequence[Reference], along: Axis, left: float, room: float) -> list[Flag]:
    """Names above a plot of ``room`` px, no two of a row touching; arrows where the line lies outside."""
    found: list[Flag] = []
    ends: list[float] = []
    for reference in sorted(upright, key=lambda r: r.value):
        share = along.share(reference.value)
        arrow = reference.name if share >= 0 else f"← {reference.name}"
        text = fit(arrow if share <= 1 else f"{reference.name} →", room)
        half = text_width(text) / 2
        middle = min(left + room - half, max(left + half, left + share * room))
        row = next((i for i, end in enumerate(ends) if end + 8 <= middle - half), len(ends))
        ends[row : row + 1] = [middle + half]
        found.append(Flag(reference.value, text, middle, row))
    return found


def flags_height(rows: Sequence[Flag]) -> float:
    """Room that the names take above the plot, in px."""
    return _LINE_PX * (1 + max(flag.row for flag in rows)) if rows else 0.0


def draw_flags(rows: Sequence[Flag], frame: Frame) -> list[Markup]:
    """Upright lines and their names; the names end where the plot begins."""
    parts, names = [], []
    start = frame.top - flags_height(rows)
    for flag in rows:
        y = start + _LINE_PX * flag.row + 10
        if _inside(flag.value, frame.x):
            x = frame.at(flag.value, frame.y.low)[0]
            ends: Attributes = {"x1": x, "x2": x, "y1": y + 4, "y2": frame.bottom}
            parts.append(tag("line", {"class": "reference", **ends}))
        names.append(tag("text", {"class": "tick middle value", "x": flag.x, "y": y}, flag.text))
    return [*parts, *names]


def level_lines(level: Sequence[Reference], frame: Frame) -> list[Markup]:
    """Lines across the plot."""
    parts = []
    for reference in level:
        if _inside(reference.value, frame.y):
            y = frame.at(frame.x.low, reference.value)[1]
            ends: Attributes = {"x1": frame.left, "x2": frame.right, "y1": y, "y2": y}
            parts.append(tag("line", {"class": "reference", **ends}))
    return parts


def level_names(level: Sequence[Reference], frame: Frame) -> list[Markup]:
    """Names at the right end, each above its line or as near to it as its neighbours let it be."""
    wanted = []
    for reference in level:
        share = frame.y.share(reference.value)
        arrow = "↑ " if share > 1 else "↓ " if share < 0 else ""
        wanted.append((_height(reference.value, frame) - 5, arrow + reference.name))
    return _texts(wanted, frame, "tick end value", frame.right - 4)


def shades(bands: Sequence[Band], frame: Frame) -> list[Markup]:
    """The shaded ranges."""
    parts = []
    for band in bands:
        edges = drawable([band.low, band.high])
        if len(edges) == 2:
            low, high = _height(min(edges), frame), _height(max(edges), frame)
            box: Attributes = {"x": frame.left, "y": high, "width": frame.width, "height": low - high}
            parts.append(tag("rect", {"class": "band", **box}))
    return parts


def band_names(bands: Sequence[Band], frame: Frame) -> list[Markup]:
    """Their names, at the left end inside the range."""
    wanted = []
    for band in bands:
        edges = drawable([band.low, band.high])
        if len(edges) == 2:
            wanted.append((_height(max(edges), frame) + 13, band.name))
    return _texts(wanted, frame, "tick value", frame.left + 6)


def _height(value: float, frame: Frame) -> float:
    """The y of a value in the drawing, kept inside the plot."""
    return frame.bottom - min(1.0, max(0.0, frame.y.share(value))) * frame.height


def _texts(wanted: Sequence[tuple[float, str]], frame: Frame, css: str, x: float) -> list[Markup]:
    """Texts at one x and, as far as they do not touch, at the heights that they want."""
    order = sorted(wanted)
    heights: list[float] = []
    for y, _ in order:
        heights.append(max(y, heights[-1] + _LINE_PX if heights else frame.top - 4))
    # Those pushed below the plot go up again, as far as it takes.
    lowest = frame.bottom - 4
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], lowest)
        lowest = heights[index] - _LINE_PX
    room = frame.width / 2 - 8
    return [
        tag("text", {"class": css, "x": x, "y": y}, fit(text, room))
        for y, (_, text) in zip(heights, order, strict=True)
    ]
