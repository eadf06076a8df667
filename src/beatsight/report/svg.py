"""Building blocks for inline SVG: elements, coordinates, round tick marks.

Conventions: every function that draws returns :class:`markupsafe.Markup`; coordinates are user units, one CSS
pixel at natural size; text that comes from data is escaped. Colours are never written here: elements carry
class names (``series-a``, ``fam-kick`` …) that ``templates/page.css`` colours for light, dark and paper.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from markupsafe import Markup, escape

# XML 1.0 allows no control characters but tab, newline and return.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
# Attributes of an element: text, or a number that is written as a coordinate.
Attributes = Mapping[str, str | float]
# Mean advance of a 12 px system font, for room that text needs: wider than most, so labels never touch.
CHARACTER_PX = 7.0
_LEAST_SPAN = 1e-9  # a smaller range is rounding noise in every quantity drawn here


def coordinate(value: float) -> str:
    """A coordinate with at most two decimals.

    >>> coordinate(12.0), coordinate(1 / 3), coordinate(-0.001)
    ('12', '0.33', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def tag(name: str, attributes: Attributes, *children: str | Markup) -> Markup:
    """One element; attribute values and plain-string children are escaped, Markup is kept.

    >>> print(tag("text", {"x": 4.5}, "<kick>"))
    <text x="4.5">&lt;kick&gt;</text>
    """
    pairs = (
        f' {key}="{escape(_CONTROL.sub("", value)) if isinstance(value, str) else coordinate(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(
        child if isinstance(child, Markup) else escape(_CONTROL.sub("", child)) for child in children
    )
    head = f"<{name}{''.join(pairs)}"
    return Markup(f"{head}>{inner}</{name}>" if inner else f"{head}/>")


def drawing(width: float, height: float, title: str, *children: Markup) -> Markup:
    """The outer ``<svg>`` of a chart: it scales with the page between 80 % and 120 % of natural size."""
    style = f"min-width:{width * 0.8:.0f}px;max-width:{width * 1.2:.0f}px"
    attributes = {
        "class": "chart",
        "viewBox": f"0 0 {coordinate(width)} {coordinate(height)}",
        "role": "img",
        "aria-label": title,
        "style": style,
    }
    return tag("svg", attributes, *children)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round tick positions (steps of 1, 2 or 5 times a power of ten) inside ``low``..``high``.

    >>> ticks(0.0, 1.0), ticks(3, 3)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [3])
    """
    if not high - low > max(_LEAST_SPAN, 1e-9 * max(abs(low), abs(high))):
        return [low]
    raw = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """The label of a tick: as many decimals as the step between ticks needs, powers of ten when tiny.

    >>> tick_text(0.5, 0.25), tick_text(10, 5), tick_text(0.0002, 0.0001)
    ('0.50', '10', '2e-4')
    """
    if 0 < abs(step) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-") if value else "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step else 2
    if not float(step * 10**decimals).is_integer():
        decimals += 1
    return f"{value:.{decimals}f}"


def text_width(text: str) -> float:
    """Room to keep for a label of 12 px type, in user units."""
    return CHARACTER_PX * len(text)
