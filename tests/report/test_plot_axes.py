"""Axes, legends and the room of texts: round numbers at every scale, nothing that touches."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from svg_reader import number, of_class, size, text_at, tree

from beatsight.report.plots import Reference, Series, line_chart, xy_chart
from beatsight.report.plots.axes import Key, axis, legend, legend_height, swatch
from beatsight.report.svg import fit, text_width, tick_text


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0011, 0.0042], ["0.000", "0.001", "0.002", "0.003", "0.004", "0.005"]),
        ([0.31, 0.96], ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.91, 0.99], ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]),
        ([-87.3, 383.6], ["-100", "0", "100", "200", "300", "400"]),
        ([-5.0, -1.0], ["-5", "-4", "-3", "-2", "-1", "0"]),
        ([12_000, 48_000], ["0", "10,000", "20,000", "30,000", "40,000", "50,000"]),
        ([0, 1_000_000], ["0", "200,000", "400,000", "600,000", "800,000", "1,000,000"]),
        ([0, 5e9], ["0", "1e9", "2e9", "3e9", "4e9", "5e9"]),
        ([1e-5, 5e-5], ["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]),
    ],
)
def test_ticks_are_round_and_readable_at_every_scale(values: list[float], texts: list[str]) -> None:
    assert [text for _, text in axis(values).marks] == texts


def test_ticks_far_from_zero_can_be_told_apart() -> None:
    texts = [text for _, text in axis([12_345_678.0, 12_345_679.0]).marks]
    assert len(set(texts)) == len(texts)
    assert tick_text(0.00125, 0.00025) == "1.25e-3"


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_an_axis_holds_its_values_and_its_ticks_say_what_they_mark(low: float, span: float) -> None:
    if span < 1e-6 * abs(low):
        return
    found = axis([low, low + span])
    slack = 1e-9 * (found.high - found.low)
    assert found.low - slack <= low <= low + span <= found.high + slack
    for value, text in found.marks:
        assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-9, abs=1e-3 * span)
    texts = [text for _, text in found.marks]
    assert len(set(texts)) == len(texts) >= 2


@pytest.mark.parametrize("fixed", [(1.0, 0.0), (2.0, 2.0), (math.nan, 1.0), (0.0, math.inf)])
def test_limits_that_make_no_sense_give_way_to_the_data(fixed: tuple[float, float]) -> None:
    found = axis([3.0, 7.0], fixed)
    assert (found.low, found.high) == (0.0, 8.0)


def test_one_value_lies_inside_its_axis() -> None:
    for value in (0.0, 5.0, -5.0, 1e9, 1e-12):
        found = axis([value, value])
        assert found.low <= value <= found.high and found.low < found.high
    assert axis([7], whole=True, round_out=False).marks == [(7.0, "7")]


def test_only_whole_numbers_are_marked_on_a_count() -> None:
    assert [text for _, text in axis([0, 2], whole=True).marks] == ["0", "1", "2"]


def _boxes(chart: str, css: str) -> list[tuple[float, float, float]]:
    """(y, left, right) of the texts of a class."""
    found = []
    for item in of_class(chart, css):
        width, x = text_width(item.text or ""), number(item, "x")
        left = x - width / 2 if "middle" in item.get("class", "") else x
        found.append((number(item, "y"), left, left + width))
    return sorted(found)


def _apart(boxes: list[tuple[float, float, float]]) -> bool:
    return all(
        abs(upper[0] - lower[0]) >= 13.9 or upper[2] <= lower[1]
        for upper, lower in itertools.combinations(boxes, 2)
    )


@given(st.lists(st.text("abcdefgh ", min_size=1, max_size=60), min_size=1, max_size=10))
def test_the_entries_of_a_legend_never_overlap_nor_leave_the_drawing(names: list[str]) -> None:
    chart = line_chart("t", [Series(name, [1, 2], [0.0, 1.0]) for name in names], "epoch", "loss")
    boxes = _boxes(chart, "key")
    assert len(boxes) == len(names)
    assert _apart(boxes)
    assert all(right <= size(chart)[0] + 1 for _, _, right in boxes)
    first_grid = min(number(item, "y1") for item in of_class(chart, "grid"))
    assert max(y for y, *_ in boxes) < first_grid


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.booleans())
def test_the_names_of_references_never_overlap(values: list[float], upright: bool) -> None:
    references = [Reference(v, f"gate {v:.2f}", "x" if upright else "y") for v in values]
    series = [Series("a", [0.0, 1.0], [0.0, 1.0])]
    chart = xy_chart("t", series, "x", "y", x_limits=(0, 1), y_limits=(0, 1), references=references)
    boxes = _boxes(chart, "value")
    assert len(boxes) == len(values)
    assert _apart(boxes)
    assert max(y for y, *_ in boxes) < max(number(tick, "y") for tick in of_class(chart, "tick"))


def test_ticks_of_the_x_axis_do_not_touch() -> None:
    series = [Series("a", [0.0, 123_456_789.0], [0.0, 1.0])]
    for chart in (xy_chart("t", series, "x", "y"), line_chart("t", series, "x", "y")):
        boxes = [
            box for box in _boxes(chart, "middle") if box[0] == max(y for y, *_ in _boxes(chart, "tick"))
        ]
        assert len(boxes) >= 2
        assert _apart(boxes)


def test_a_long_name_is_cut_and_shows_when_pointed_at() -> None:
    name = "a microphone whose name somebody made far too long " * 3
    chart = line_chart("t", [Series(name, [1, 2], [0, 1])], "epoch", "loss")
    (key,) = of_class(chart, "key")
    assert (key.text or "").endswith("…")
    assert key[0].text == name
    assert text_width(fit("スネアドラム" * 9, 200)) <= 200 < text_width("スネアドラム" * 9)


def test_a_legend_knows_its_height() -> None:
    keys = [Key(f"a series of number {index}", swatch("bin")) for index in range(5)]
    height = legend_height(keys, 0, 400)
    drawn = [number(tree(part), "y") for part in legend(keys, 0, 400, 10) if "<text" in part]
    assert height == 18.0 * len(set(drawn))
    assert 10 < min(drawn) < max(drawn) < 10 + height
    assert legend_height([], 0, 400) == 0


def test_a_wide_chart_has_more_ticks() -> None:
    series = [Series("a", [0.0, 100.0], [0.0, 1.0])]
    normal, wide = xy_chart("t", series, "s", "y"), xy_chart("t", series, "s", "y", size="wide")
    assert size(wide)[0] > 2 * size(normal)[0]
    assert number(text_at(wide, "100"), "x") > 850
    assert len(of_class(wide, "tick", "middle")) > len(of_class(normal, "tick", "middle"))
