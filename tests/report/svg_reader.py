"""Reads a chart back, with an independent parser: elements, places and texts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

Point = tuple[float, float]


def tree(drawing: str) -> ElementTree.Element:
    return ElementTree.fromstring(drawing)


def of_class(drawing: str, *names: str) -> list[ElementTree.Element]:
    """Every element that has all of these classes."""
    return [item for item in tree(drawing).iter() if set(names) <= set(item.get("class", "").split())]


def words(drawing: str) -> list[str]:
    return [item.text or "" for item in tree(drawing).iter("text")]


def text_at(drawing: str, text: str) -> Any:
    """The one text element with these words."""
    (found,) = [item for item in tree(drawing).iter("text") if item.text == text]
    return found


def number(item: ElementTree.Element, name: str) -> float:
    return float(item.get(name, ""))


def points(item: ElementTree.Element) -> list[Point]:
    pairs = (pair.split(",") for pair in item.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def size(drawing: str) -> Point:
    """Width and height of the drawing."""
    _, _, width, height = map(float, tree(drawing).get("viewBox", "").split())
    return width, height


class Scale:
    """From values to places, worked out from the written ticks alone."""

    def __init__(self, drawing: str) -> None:
        ticks = [item for item in of_class(drawing, "tick") if "value" not in item.get("class", "")]
        across = [item for item in ticks if "middle" in item.get("class", "")]
        up = [item for item in ticks if "end" in item.get("class", "")]
        self._x = [(_value(item.text), number(item, "x")) for item in across]
        # The text of a y tick stands 4 px below its line.
        self._y = [(_value(item.text), number(item, "y") - 4) for item in up]

    def at(self, x: float, y: float) -> Point:
        return _between(self._x, x), _between(self._y, y)

    def x(self, value: float) -> float:
        return _between(self._x, value)


def _value(text: str | None) -> float:
    return float((text or "").replace(",", ""))


def _between(pairs: list[tuple[float, float]], value: float) -> float:
    (low, start), (high, end) = pairs[0], pairs[-1]
    return start + (value - low) / (high - low) * (end - start)
