"""Histograms: counts over the bins of a quantity, one or two groups over each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from beatsight.errors import UsageError
from beatsight.report.plots.axes import (
    HEIGHT,
    WIDTH,
    Frame,
    Key,
    axis,
    empty,
    legend,
    legend_height,
    swatch,
    value_of,
)
from beatsight.report.plots.lines import css_of, margin
from beatsight.report.plots.references import (
    Reference,
    draw_flags,
    flags,
    flags_height,
    level_lines,
    level_names,
    on_axis,
)
from beatsight.report.svg import Attributes, coordinate, drawing, tag


@dataclass(frozen=True)
class Group:
    """Counts of one kind of thing, one a bin."""

    name: str
    counts: Sequence[float | None]


def histogram(
    title: str,
    edges: Sequence[float],
    groups: Sequence[Group],
    x_label: str,
    y_label: str,
    *,
    references: Sequence[Reference] = (),
) -> Markup:
    """Counts over bins; two groups are drawn over each other, both seen through.

    Args:
        title: what the chart shows.
        edges: of the bins, rising, one more than counts; a bin with an infinite edge is not drawn.
        groups: one or two; a single one needs no legend.
        x_label, y_label: quantity and unit.
        references: named lines; they widen the axes.

    Raises:
        UsageError: a group has more or fewer counts than there are bins.
    """
    for group in groups:
        if len(group.counts) != max(0, len(edges) - 1):
            raise UsageError(f"histogram: {len(group.counts)} counts for {len(edges)} edges of bins")
    if not any(value_of(count) is not None for group in groups for count in group.counts):
        return empty(title)
    upright, level = on_axis(references, "x"), on_axis(references, "y")
    counts = [count for group in groups for count in group.counts]
    whole = all(count is None or float(count).is_integer() for count in counts)
    y_axis = axis([0.0, *counts, *(r.value for r in level)], whole=whole)
    left = margin(y_axis.marks)
    room = WIDTH - left - 16.0
    x_axis = axis([*edges, *(r.value for r in upright)], room=room, most=8, round_out=False)
    keys = [Key(g.name, swatch(f"bin {css_of(i)}")) for i, g in enumerate(groups)] if len(groups) > 1 else []
    names = flags(upright, x_axis, left, room)
    top = 28.0 + legend_height(keys, left, WIDTH) + flags_height(names)
    frame = Frame(x_axis, y_axis, left, top, room, HEIGHT - 88.0)
    bins = [box for index, group in enumerate(groups) for box in _bins(index, group, edges, frame)]
    parts = [
        *frame.grid(), *frame.names(x_label, y_label), frame.clipped(bins), *level_lines(level, frame),
        *draw_flags(names, frame), *level_names(level, frame), *legend(keys, left, WIDTH, 21.0),
    ]  # fmt: skip
    return drawing(WIDTH, frame.bottom + 44, title, *parts)


def _bins(index: int, group: Group, edges: Sequence[float], frame: Frame) -> list[Markup]:
    """The bins, and an outline that is dashed for the second group."""
    parts = []
    for low, high, count in zip(edges, edges[1:], group.counts, strict=False):
        start, end, value = value_of(low), value_of(high), value_of(count)
        if start is None or end is None or not value or value < 0 or end <= start:
            continue
        (x1, y), (x2, base) = frame.at(start, value), frame.at(end, 0.0)
        box: Attributes = {"x": x1, "y": y, "width": x2 - x1, "height": base - y}
        parts.append(tag("rect", {"class": f"bin {css_of(index)}", **box}))
        corners = " ".join(
            f"{coordinate(x)},{coordinate(h)}" for x, h in ((x1, base), (x1, y), (x2, y), (x2, base))
        )
        dash = " dashed" if index % 2 else ""
        parts.append(tag("polyline", {"class": f"line thin {css_of(index)}{dash}", "points": corners}))
    return parts
