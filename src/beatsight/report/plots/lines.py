"""Lines: how a series is drawn, and lines over a count of steps.

Conventions: None and NaN leave gaps. A series is told from its neighbours by colour and by the shape of its
marks, so that it can be told on paper and by readers who see colours differently.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.report.plots.axes import (
    HEIGHT,
    WIDTH,
    Frame,
    Key,
    Limits,
    axis,
    drawable,
    empty,
    legend,
    legend_height,
    value_of,
)
from beatsight.report.svg import coordinate, drawing, tag, text_width

SERIES_CLASSES = tuple(f"series-{letter}" for letter in "abcdefgh")
# Unit shapes (radius 1) of the marks, one a series; the first is a disc.
_SHAPES: tuple[tuple[tuple[float, float], ...], ...] = (
    (),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.2), (1.1, 0.8), (-1.1, 0.8)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.2), (1.1, -0.8), (-1.1, -0.8)),
    tuple((1.2 * math.sin(math.tau * k / 5), -1.2 * math.cos(math.tau * k / 5)) for k in range(5)),
    ((-0.4, -1.3), (0.4, -1.3), (0.4, -0.4), (1.3, -0.4), (1.3, 0.4), (0.4, 0.4), (0.4, 1.3), (-0.4, 1.3),
     (-0.4, 0.4), (-1.3, 0.4), (-1.3, -0.4), (-0.4, -0.4)),
    ((-1.3, 0), (0, -0.7), (1.3, 0), (0, 0.7)),
)  # fmt: skip
_MARK_PX = 3.2
_MARKS_ON_A_LINE = 6
_FEW_POINTS = 24  # of a line alone each is marked: it shows where something was measured
_MANY_POINTS = 400  # from here on a line is thinned: more than one point a px shows nothing new


@dataclass(frozen=True)
class Series:
    """``x`` and ``y`` of one length: a line, or dots alone.

    Attributes:
        name: its text in the legend.
        dashed: a second cue beside colour.
        dots: marks without a line between them.
        steps: a value holds until the next x.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    dashed: bool = False
    dots: bool = False
    steps: bool = False


Point = tuple[float, float]


def css_of(index: int) -> str:
    """The colour class of the series at an index."""
    return SERIES_CLASSES[index % len(SERIES_CLASSES)]


def mark(index: int, at: Point, css: str, radius: float = _MARK_PX) -> Markup:
    """The mark of the series at an index: a disc, a square, a triangle …"""
    shape = _SHAPES[index % len(_SHAPES)]
    if not shape:
        return tag("circle", {"class": f"dot {css}", "cx": at[0], "cy": at[1], "r": radius})
    points = " ".join(f"{coordinate(at[0] + radius * x)},{coordinate(at[1] + radius * y)}" for x, y in shape)
    return tag("polygon", {"class": f"dot {css}", "points": points})


def keys_of(series: Sequence[Series]) -> list[Key]:
    """Legend entries of the series."""

    def key(index: int, line: Series) -> Key:
        def sample(x: float, y: float) -> Markup:
            middle = mark(index, (x + 12, y), css_of(index))
            if line.dots:
                return middle
            ends = {"x1": x, "x2": x + 24, "y1": y, "y2": y}
            stroke = tag("line", {"class": _line_class(index, line), **ends})
            return Markup("").join([stroke, middle] if len(series) > 1 else [stroke])

        return Key(line.name, sample)

    return [key(index, line) for index, line in enumerate(series)]


def _line_class(index: int, line: Series) -> str:
    # The ninth series has the colour of the first, so it is dashed.
    return f"line {css_of(index)}" + (" dashed" if line.dashed or index >= len(SERIES_CLASSES) else "")


def draw(series: Sequence[Series], frame: Frame) -> Markup:
    """All series inside the frame, cut off at its edges."""
    parts: list[Markup] = []
    for index, line in enumerate(series):
        parts += _dots(index, line, frame) if line.dots else _line(index, line, frame, len(series))
    return frame.clipped(parts)


def _points(line: Series, frame: Frame) -> list[Point | None]:
    points: list[Point | None] = []
    for x, y in zip(line.x, line.y, strict=True):
        a, b = value_of(x), value_of(y)
        points.append(None if a is None or b is None else frame.at(a, b))
    return points


def _dots(index: int, line: Series, frame: Frame) -> list[Markup]:
    # Marks on half a px: thousands that would lie on each other become one.
    places = {(round(2 * p[0]) / 2, round(2 * p[1]) / 2): p for p in _points(line, frame) if p is not None}
    return [mark(index, point, css_of(index), 2.4) for point in places.values()]


def _line(index: int, line: Series, frame: Frame, of: int) -> list[Markup]:
    parts = []
    points = _points(line, frame)
    for run in _runs(points):
        if len(run) == 1:
            parts.append(mark(index, run[0], css_of(index), 3.0))
            continue
        corners = _stairs(run) if line.steps else _thinned(run)
        path = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in corners)
        parts.append(tag("polyline", {"class": _line_class(index, line), "points": path}))
    there = [point for point in points if point is not None]
    if of > 1:
        parts += [mark(index, point, css_of(index)) for point in _spread(there, index, of)]
    elif len(there) <= _FEW_POINTS and not line.steps:
        parts += [mark(index, point, css_of(index), 2.4) for point in there]
    elif points and points[-1] is not None:
        parts.append(mark(index, points[-1], css_of(index)))
    return parts


def _runs(points: Sequence[Point | None]) -> list[list[Point]]:
    """Split at the gaps: a missing value must not be bridged by a line."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _stairs(run: Sequence[Point]) -> list[Point]:
    corners = [run[0]]
    for x, y in run[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return _thinned(corners)


def _thinned(run: Sequence[Point]) -> list[Point]:
    """Of the points in one column of pixels the first, lowest, highest and last: the picture is the same."""
    if len(run) <= _MANY_POINTS:
        return list(run)
    kept: list[Point] = []
    for _, column in itertools.groupby(run, key=lambda point: round(point[0])):
        points = list(enumerate(column))
        low, high = min(points, key=lambda p: p[1][1]), max(points, key=lambda p: p[1][1])
        kept += [point for _, point in sorted({points[0], low, high, points[-1]})]
    return kept


def _spread(points: Sequence[Point], index: int, of: int) -> list[Point]:
    """A few points of a line for its marks, at other places than those of its neighbours, and the last."""
    if len(points) <= _MARKS_ON_A_LINE:
        return list(points)
    stride = len(points) / _MARKS_ON_A_LINE
    first = stride * (index % of) / of
    chosen = {min(len(points) - 1, int(first + stride * k)) for k in range(_MARKS_ON_A_LINE)}
    return [points[place] for place in sorted(chosen | {len(points) - 1})]


def line_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    y_limits: Limits | None = None,
) -> Markup:
    """Lines over a count of steps (epochs), with a legend above and names on both axes.

    Args:
        title: what the chart shows, for readers who cannot see it.
        series: up to eight lines can be told apart well; None and NaN leave gaps.
        x_label, y_label: quantity and unit.
        y_limits: fixed range of the y axis; otherwise round numbers around the data.
    """
    ys = drawable([y for line in series for y in line.y])
    if not ys:
        return empty(title)
    y_axis = axis(ys, y_limits)
    left = margin(y_axis.marks)
    keys = keys_of(series)
    top = 26.0 + legend_height(keys, left, WIDTH)
    room = WIDTH - left - 14.0
    x_axis = axis([x for line in series for x in line.x], room=room, most=8, round_out=False, whole=True)
    frame = Frame(x_axis, y_axis, left, top, room, HEIGHT - 88.0)
    parts = [*frame.grid(), *frame.names(x_label, y_label), draw(series, frame)]
    return drawing(WIDTH, frame.bottom + 44, title, *parts, *legend(keys, left, WIDTH, 21.0))


def margin(marks: Sequence[tuple[float, str]]) -> float:
    """Room left of a plot for the texts of its y axis, in px."""
    return max([text_width(text) for _, text in marks], default=0.0) + 14.0
