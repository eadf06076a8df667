"""Building blocks for inline SVG: elements, coordinates, round tick marks.

Conventions: every function that draws returns :class:`markupsafe.Markup`; coordinates are user units, one CSS
pixel at natural size; text that comes from data is escaped. Colours are never written here: elements carry
class names (``series-a``, ``fam-kick`` …) that ``templates/page.css`` colours for light, dark and paper.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping

from markupsafe import Markup, escape

# XML 1.0 allows no control characters but tab, newline and return.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
# Attributes of an element: text, or a number that is written as a coordinate.
Attributes = Mapping[str, str | float]
# Advances of 12 px type in DejaVu Sans, rounded up: wider than most system fonts, so that labels never touch.
_ADVANCE_PX = {"ijlI.,:;'|!": 4.0, "frt ()[]-/": 5.0, "mwMWQO%@&→←": 12.0}
_ADVANCE_OF = {character: px for characters, px in _ADVANCE_PX.items() for character in characters}
_LOWER_PX, _UPPER_PX, _WIDE_PX = 7.7, 9.3, 13.0
_LEAST_SPAN = 1e-9  # a smaller range is rounding noise in every quantity drawn here
# Ticks from here on are written as powers of ten: more digits are counted, not read.
_MOST_PLAIN = 1e7
_LEAST_PLAIN_STEP = 1e-3
_MOST_DIGITS = 12


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
    decimals = max(0, 3 - math.floor(math.log10(step)))
    return [round(index * step, decimals) for index in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """The label of a tick: as many decimals as the step between ticks needs, powers of ten beyond reading.

    >>> tick_text(0.5, 0.25), tick_text(10, 5), tick_text(20_000, 5000), tick_text(0.0002, 0.0001)
    ('0.50', '10', '20,000', '2e-4')
    """
    decimals = _decimals(abs(step)) if step else 2
    if not value or (abs(step or 1.0) >= _LEAST_PLAIN_STEP and abs(value) < _MOST_PLAIN):
        return f"{value:,.{max(0, decimals) if abs(step or 1.0) >= _LEAST_PLAIN_STEP else 0}f}"
    digits = max(0, math.floor(math.log10(abs(value)) + 1e-9) + decimals)
    mantissa, exponent = f"{value:.{min(_MOST_DIGITS, digits)}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def _decimals(step: float) -> int:
    """Decimals that a step needs; negative for tens, hundreds and so on."""
    decimals = -math.floor(math.log10(step) + 1e-9)
    whole = step * 10.0**decimals
    return decimals if abs(whole - round(whole)) < 1e-6 else decimals + 1


def text_width(text: str) -> float:
    """Room to keep for a label of 12 px type, in user units.

    >>> text_width("ill") < text_width("abc") < text_width("ABC") < text_width("鼓鼓鼓")
    True
    """
    return sum(map(_advance, text))


def _advance(character: str) -> float:
    found = _ADVANCE_OF.get(character)
    if found is not None:
        return found
    if unicodedata.east_asian_width(character) in "WF":
        return _WIDE_PX
    return _UPPER_PX if character.isupper() or ord(character) > 0x2000 else _LOWER_PX


def fit(text: str, room: float) -> str:
    """``text``, cut with an ellipsis where it needs more than ``room``.

    >>> fit("kick", 100), fit("a name that somebody made very long", 100)
    ('kick', 'a name that…')
    """
    if text_width(text) <= room:
        return text
    length = len(text)
    while length and text_width(text[:length] + "…") > room:
        length -= 1
    return text[:length].rstrip() + "…"


def text_tag(text: str, room: float, attributes: Attributes) -> Markup:
    """A ``<text>`` that fits ``room``; what was cut off shows when pointed at."""
    shown = fit(text, room)
    rest = (tag("title", {}, text),) if shown != text else ()
    return tag("text", attributes, shown, *rest)
