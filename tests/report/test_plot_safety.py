"""Charts of anything: hostile texts are escaped, odd numbers never crash nor leave "nan" in a drawing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from svg_reader import tree, words

from beatsight.report.plots import (
    Band,
    Bar,
    Group,
    Interval,
    Reference,
    Series,
    bar_chart,
    histogram,
    interval_chart,
    line_chart,
    matrix_chart,
    meter,
    xy_chart,
)

EVIL = '"><script>alert(1)</script>'
ANY = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from(
        [0.0, -0.0, 1e308, -1e308, 5e-324, 1e-9, 1.0, 1.0 + 1e-12, math.nan, math.inf, -math.inf]
    ),
    st.integers(-(10**30), 10**30),
)
NUMBER = ANY.map(lambda value: math.nan if value is None else value)
COLUMN = st.lists(st.tuples(NUMBER, ANY), max_size=8)
LIMITS = st.one_of(st.none(), st.tuples(NUMBER, NUMBER))


def sound(chart: Markup) -> None:
    """Well formed, and every number in it is a short, finite one."""
    root = tree(chart)
    for item in root.iter():
        for name, value in item.attrib.items():
            if name not in ("aria-label", "class"):
                assert not re.search(r"nan|inf|None|\de[+-]?\d", value), (item.tag, name, value)
                assert all(len(digits) < 12 for digits in re.findall(r"[\d.]+", value)), (name, value)
    assert not re.search(r"\b(nan|inf|None)\b", " ".join(words(chart)))


def series_of(columns: list[list[tuple[float, float | None]]], **look: bool) -> list[Series]:
    return [
        Series(f"s{n}", [x for x, _ in rows], [y for _, y in rows], **look) for n, rows in enumerate(columns)
    ]


@settings(max_examples=150)
@given(
    st.lists(COLUMN, max_size=3), LIMITS, LIMITS, NUMBER, NUMBER, st.sampled_from(["line", "dots", "steps"])
)
def test_a_chart_of_any_numbers(
    columns: list[list[tuple[float, float | None]]], x_limits: tuple[float, float] | None,
    y_limits: tuple[float, float] | None, one: float, two: float, look: str,
) -> None:  # fmt: skip
    series = series_of(columns, dots=look == "dots", steps=look == "steps")
    sound(line_chart("t", series, "epoch", "loss", y_limits))
    sound(
        xy_chart(
            "t",
            series,
            "x",
            "y",
            x_limits=x_limits,
            y_limits=y_limits,
            diagonal=True,
            bands=[Band(one, two, "band")],
            references=[Reference(one, "one"), Reference(two, "two", "x"), Reference(two, "three")],
        )
    )


@settings(max_examples=100)
@given(st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=6), st.one_of(st.none(), NUMBER), NUMBER, LIMITS)
def test_rows_of_any_numbers(
    rows: list[tuple[float | None, ...]],
    high: float | None,
    reference: float,
    limits: tuple[float, float] | None,
) -> None:
    bars = [Bar(f"b{n}", row[0], target=row[1], second=row[2]) for n, row in enumerate(rows)]
    sound(bar_chart("t", bars, "events", high, (reference, "gate")))
    intervals = [Interval(f"i{n}", row[0], row[1], row[2], row[3]) for n, row in enumerate(rows)]
    sound(interval_chart("t", intervals, "score", limits=limits))


@settings(max_examples=100)
@given(st.lists(st.tuples(NUMBER, ANY, ANY), max_size=8), NUMBER)
def test_a_histogram_of_any_numbers(rows: list[tuple[float, float | None, float | None]], at: float) -> None:
    edges = [row[0] for row in rows]
    groups = [Group("a", [row[1] for row in rows[1:]]), Group("b", [row[2] for row in rows[1:]])]
    sound(
        histogram("t", edges, groups, "x", "n", references=[Reference(at, "at", "x"), Reference(at, "level")])
    )


@given(ANY.filter(lambda value: value is not None), ANY)
def test_a_gauge_of_any_numbers(value: float, target: float | None) -> None:
    sound(meter(value, target))


DRAWINGS: dict[str, Callable[[str], Markup]] = {
    "line": lambda t: line_chart(t, [Series(t, [1, 2], [0, 1])], t, t),
    "no line": lambda t: line_chart(t, [], t, t),
    "xy": lambda t: xy_chart(
        t, [Series(t, [1, 2], [0, 1])], t, t, bands=[Band(0, 1, t)],
        references=[Reference(0.5, t), Reference(1.5, t, "x"), Reference(9.0, t)], y_limits=(0, 1),
    ),
    "bars": lambda t: bar_chart(
        t, [Bar(t, 1, t, target=2, second=1, css=t)], t, 3.0, (1.0, t), parts=(t, t), target_name=t
    ),
    "histogram": lambda t: histogram(
        t, [0, 1], [Group(t, [1]), Group(t, [2])], t, t, references=[Reference(0.5, t, "x"), Reference(1, t)]
    ),
    "intervals": lambda t: interval_chart(t, [Interval(t, 0, 1, 2, 3)], t),
    "matrix": lambda t: matrix_chart(t, [t, t], [[1, 2], [3, 4]], t, t),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("text", [EVIL, "</svg></title>&amp;", "a\x00\x1b[31m\ud800b", "' onload='x"])
def test_texts_stay_texts(name: str, text: str) -> None:
    chart, plain = DRAWINGS[name](text), DRAWINGS[name]("plain")
    kinds = [item.tag for item in tree(plain).iter() if item.tag != "title"]
    assert [item.tag for item in tree(chart).iter() if item.tag != "title"] == kinds
    assert {key for item in tree(chart).iter() for key in item.attrib} <= {
        key for item in tree(plain).iter() for key in item.attrib
    }
    assert "<script" not in chart


@pytest.mark.parametrize("nothing", [[], [None, None], [math.nan, math.inf]])
def test_a_chart_of_nothing_says_so(nothing: list[float | None]) -> None:
    series = [Series("a", list(range(len(nothing))), nothing)]
    edges = [float(n) for n in range(len(nothing) + 1)]
    for chart in (
        line_chart("t", series, "x", "y"),
        xy_chart("t", series, "x", "y", references=[Reference(1.0, "gate")]),
        xy_chart("t", [], "x", "y"),
        histogram("t", edges, [Group("a", nothing)], "x", "n"),
        histogram("t", [], [], "x", "n"),
        bar_chart("t", [], "n"),
        interval_chart("t", [Interval("a", math.nan, math.nan, math.nan)], "x"),
        matrix_chart("t", [], [], "true", "predicted"),
    ):
        assert words(chart) == ["no data"]
