"""A matrix of counts as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from beatsight.report.plots.axes import empty
from beatsight.report.svg import Attributes, drawing, fit, tag, text_tag, text_width

_LABEL_PX = 160.0  # longer names are cut


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
        return empty(title)
    names = [fit(label, _LABEL_PX) for label in labels]
    side = max(text_width(name) for name in names) + 14
    cell, left = 34.0, side + 16
    # Column names lean by 45 degrees: their height is the width divided by the square root of two.
    top = 22 + side * 0.75
    reach = max((index + 0.5) * cell + 0.75 * text_width(name) for index, name in enumerate(names))
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
        parts.append(text_tag(label, _LABEL_PX, {"class": "label", "transform": lean}))
        parts.append(text_tag(label, _LABEL_PX, {"class": "label end", "x": left - 8, "y": y + 4}))
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
