"""A gauge from 0 to 1, and the bar that shows how far a value lies from its threshold."""

from __future__ import annotations

from typing import Literal

from markupsafe import Markup

from beatsight.report.plots.axes import value_of
from beatsight.report.svg import Attributes, tag
from beatsight.report.text import known

_HEADROOM = 1.2  # room beyond the larger of value and threshold, so that both are seen


def meter(value: float, target: float | None) -> Markup:
    """A gauge from 0 to 1 with a tick at the target; it stretches to the width it is given."""
    level = f"{min(1.0, max(0.0, value)) * 100 if known(value) else 0.0:.1f}%"
    bar: Attributes = {"x": 0, "y": 5, "height": 10, "rx": 5}
    parts = [
        tag("rect", {**bar, "class": "rail", "width": "100%"}),
        tag("rect", {**bar, "class": "level", "width": level}),
    ]
    if target is not None and known(target):
        at = f"{min(1.0, max(0.0, target)) * 100:.1f}%"
        parts.append(tag("line", {"class": "target", "x1": at, "x2": at, "y1": 0, "y2": 20}))
    return tag("svg", {"class": "meter", "height": 20, "width": "100%", "aria-hidden": "true"}, *parts)


def threshold_bar(
    value: float | None, threshold: float, rule: Literal["at_least", "at_most"], unit_range: bool = False
) -> Markup:
    """A value as a bar from zero, the threshold as a tick, the side that passes shaded.

    Args:
        value: what was measured; None draws no bar.
        threshold: the limit.
        rule: which side of it passes.
        unit_range: whether the scale is 0..1; otherwise it reaches a little beyond value and threshold.
    """
    shown, limit = value_of(value), value_of(threshold) or 0.0
    low, high = min(0.0, limit, shown or 0.0) * _HEADROOM, max(0.0, limit, shown or 0.0) * _HEADROOM
    if unit_range and low >= 0 and max(limit, shown or 0.0) <= 1:
        low, high = 0.0, 1.0
    if high <= low:
        high = low + 1.0

    def at(number: float) -> float:
        return 100 * (number - low) / (high - low)

    parts = [
        _span("rail", 0, 100),
        _span("fair", *((at(limit), 100) if rule == "at_least" else (0, at(limit)))),
    ]
    if shown is not None:
        parts.append(_span("level", at(min(0.0, shown)), at(max(0.0, shown)), 6, 8))
        end = f"{at(shown):.1f}%"
        parts.append(tag("line", {"class": "end", "x1": end, "x2": end, "y1": 6, "y2": 14}))
    tick = f"{at(limit):.1f}%"
    parts.append(tag("line", {"class": "target", "x1": tick, "x2": tick, "y1": 1, "y2": 19}))
    return tag("svg", {"class": "meter", "height": 20, "width": "100%", "aria-hidden": "true"}, *parts)


def _span(css: str, start: float, end: float, y: float = 4, height: float = 12) -> Markup:
    box: Attributes = {
        "x": f"{start:.1f}%",
        "width": f"{max(0.0, end - start):.1f}%",
        "y": y,
        "height": height,
    }
    return tag("rect", {"class": css, "rx": 2, **box})
