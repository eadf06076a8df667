"""Lines and dots over two axes of numbers, with reference lines and shaded ranges (ROC, delay over time)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

from beatsight.report.plots.axes import (
    HEIGHT,
    WIDE,
    WIDTH,
    Frame,
    Limits,
    axis,
    drawable,
    empty,
    legend,
    legend_height,
    value_of,
)
from beatsight.report.plots.lines import Series, draw, keys_of, margin
from beatsight.report.plots.references import (
    Band,
    Reference,
    band_names,
    draw_flags,
    flags,
    flags_height,
    level_lines,
    level_names,
    on_axis,
    shades,
)
from beatsight.report.svg import drawing, tag


def xy_chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    x_limits: Limits | None = None,
    y_limits: Limits | None = None,
    diagonal: bool = False,
    bands: Sequence[Band] = (),
    references: Sequence[Reference] = (),
    size: Literal["normal", "wide"] = "normal",
) -> Markup:
    """Lines or dots over two axes of numbers.

    Args:
        title: what the chart shows, for readers who cannot see it.
        series: up to eight can be told apart well; None and NaN leave gaps.
        x_label, y_label: quantity and unit.
        x_limits, y_limits: fixed ends of an axis; what lies outside is cut off.
        diagonal: whether the line y = x is drawn (chance, perfect calibration); the plot is square then.
        bands: shaded ranges of y; they and the references widen an axis that is not fixed.
        references: named lines; one outside a fixed axis keeps its name, with an arrow.
        size: a wide chart fills the page.
    """
    points = [
        (x, y)
        for line in series
        for x, y in zip(line.x, line.y, strict=True)
        if value_of(x) is not None and value_of(y) is not None
    ]
    if not points:
        return empty(title)
    width = WIDE if size == "wide" else WIDTH
    upright, level = on_axis(references, "x"), on_axis(references, "y")
    edges = drawable([edge for band in bands for edge in (band.low, band.high)])
    y_axis = axis([*(y for _, y in points), *edges, *(r.value for r in level)], y_limits)
    left = margin(y_axis.marks)
    room = width - left - 16.0
    xs = [*(x for x, _ in points), *(r.value for r in upright)]
    x_axis = axis(xs, x_limits, room=room, most=13 if size == "wide" else 8, round_out=False)
    keys, names = keys_of(series), flags(upright, x_axis, left, room)
    top = 28.0 + legend_height(keys, left, width) + flags_height(names)
    height = room if diagonal and size == "normal" else HEIGHT - 88.0
    frame = Frame(x_axis, y_axis, left, top, room, height)
    parts = [
        *shades(bands, frame), *frame.grid(), *frame.names(x_label, y_label), *_diagonal(frame, diagonal),
        *level_lines(level, frame), draw(series, frame), *draw_flags(names, frame),
        # Names come last: they stay readable where a line runs through them.
        *level_names(level, frame), *band_names(bands, frame), *legend(keys, left, width, 21.0),
    ]  # fmt: skip
    return drawing(width, frame.bottom + 44, title, *parts)


def _diagonal(frame: Frame, wanted: bool) -> list[Markup]:
    low, high = max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high)
    if not wanted or high <= low:
        return []
    (x1, y1), (x2, y2) = frame.at(low, low), frame.at(high, high)
    return [tag("line", {"class": "diagonal", "x1": x1, "y1": y1, "x2": x2, "y2": y2})]
