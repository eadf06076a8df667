"""Charts with planted values: each is found where the written ticks say that it must be."""

from __future__ import annotations

import math

import pytest
from svg_reader import Scale, number, of_class, points, text_at, words

from beatsight.errors import UsageError
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
    xy_chart,
)

NEAR = 0.03


def near(answer: object) -> object:
    return pytest.approx(answer, abs=NEAR)


def lines_of(chart: str, css: str) -> list[list[tuple[float, float]]]:
    return [points(item) for item in of_class(chart, "line", css) if item.tag == "polyline"]


def test_a_line_goes_through_its_points_and_stops_at_gaps() -> None:
    x, y = [0.0, 10.0, 25.0, 30.0, 40.0, 55.0], [1.0, 3.5, 2.0, math.nan, 4.0, -1.0]
    chart = xy_chart("t", [Series("delay", x, y)], "time (s)", "delay (ms)")
    at = Scale(chart).at
    first, second = lines_of(chart, "series-a")
    assert first == [near(at(*p)) for p in zip(x[:3], y[:3], strict=True)]
    assert second == [near(at(*p)) for p in zip(x[4:], y[4:], strict=True)]
    assert {"time (s)", "delay (ms)", "delay"} <= set(words(chart))


def test_dots_are_dots_and_a_lone_point_is_seen() -> None:
    chart = xy_chart("t", [Series("a", [1, 2, 3], [1, None, 3], dots=True)], "x", "y")
    at = Scale(chart).at
    dots = [(number(c, "cx"), number(c, "cy")) for c in of_class(chart, "dot") if number(c, "r") < 3]
    assert dots == [near(at(1, 1)), near(at(3, 3))]
    assert not lines_of(chart, "series-a")
    lone = xy_chart("t", [Series("a", [5.0], [0.5])], "x", "y", y_limits=(0, 1))
    assert number(of_class(lone, "dot")[-1], "cy") == near(Scale(lone).at(5, 0.5)[1])


def test_steps_hold_their_value() -> None:
    series = [Series("ROC", [0.0, 0.25, 1.0], [0.0, 0.8, 1.0], steps=True)]
    chart = xy_chart("t", series, "FPR", "TPR", x_limits=(0, 1), y_limits=(0, 1), diagonal=True)
    at = Scale(chart).at
    corners = [(0, 0), (0.25, 0), (0.25, 0.8), (1, 0.8), (1, 1)]
    assert lines_of(chart, "series-a") == [[near(at(*corner)) for corner in corners]]
    (diagonal,) = of_class(chart, "diagonal")
    ends = [(number(diagonal, f"x{n}"), number(diagonal, f"y{n}")) for n in (1, 2)]
    assert ends == [near(at(0, 0)), near(at(1, 1))]
    width, height = ends[1][0] - ends[0][0], ends[0][1] - ends[1][1]
    assert width == near(height)


def test_references_and_bands_lie_at_their_values() -> None:
    chart = xy_chart(
        "t", [Series("a", [0.0, 60.0], [0.1, -0.1])], "time (s)", "delay (ms)",
        bands=[Band(-0.25, 0.25, "allowed")],
        references=[Reference(0.5, "worst"), Reference(30.0, "cut", "x")],
    )  # fmt: skip
    at = Scale(chart).at
    (band,) = of_class(chart, "band")
    assert number(band, "y") == near(at(0, 0.25)[1])
    assert number(band, "y") + number(band, "height") == near(at(0, -0.25)[1])
    upright, level = sorted(
        of_class(chart, "reference"), key=lambda line: number(line, "x2") - number(line, "x1")
    )
    assert (number(upright, "x1"), number(upright, "x2")) == (near(at(30, 0)[0]), near(at(30, 0)[0]))
    assert (number(level, "y1"), number(level, "y2")) == (near(at(0, 0.5)[1]), near(at(0, 0.5)[1]))
    assert number(text_at(chart, "worst"), "y") < number(level, "y1")
    assert {"allowed", "cut"} <= set(words(chart))


def test_a_reference_outside_fixed_axes_keeps_its_name() -> None:
    references = [Reference(2.0, "high"), Reference(-1.0, "low"), Reference(9.0, "late", "x")]
    chart = xy_chart(
        "t", [Series("a", [0, 1], [0, 1])], "x", "y", x_limits=(0, 1), y_limits=(0, 1), references=references
    )
    assert {"↑ high", "↓ low", "late →"} <= set(words(chart))
    assert not of_class(chart, "reference")


def test_a_line_outside_fixed_axes_is_cut_at_the_plot() -> None:
    chart = xy_chart("t", [Series("a", [0, 1, 2], [0.5, 40.0, 0.5])], "x", "y", y_limits=(0, 1))
    (area,) = of_class(chart, "area")
    left, top, width, height = map(float, area.get("viewBox", "").split())
    assert (left, top, width, height) == tuple(number(area, name) for name in ("x", "y", "width", "height"))
    assert points(area.find("polyline"))[1][1] < top  # type: ignore[arg-type]


def test_series_differ_in_colour_and_in_shape() -> None:
    series = [Series(f"s{n}", [0, 1], [n, n + 1.0]) for n in range(9)]
    chart = line_chart("t", series, "epoch", "loss")
    for letter in "abcdefgh":
        assert of_class(chart, "line", f"series-{letter}")
    shapes = {
        (item.tag, len(points(item)), _turn(item)) for item in of_class(chart, "dot") if item.tag != "svg"
    }
    assert len(shapes) == 8
    # The ninth has the colour of the first; it is dashed.
    assert of_class(chart, "line", "series-a", "dashed")
    assert len(of_class(chart, "key")) == 9


def _turn(item: object) -> tuple[bool, bool]:
    """What tells shapes of as many corners apart: a corner at the top, and equal width and height."""
    corners = points(item)  # type: ignore[arg-type]
    if not corners:
        return (False, False)
    top = min(y for _, y in corners)
    wide = max(x for x, _ in corners) - min(x for x, _ in corners)
    high = max(y for _, y in corners) - top
    return (sum(abs(y - top) < 0.1 for _, y in corners) == 1, abs(wide - high) < 0.2)


def test_a_long_line_is_thinned_but_keeps_its_extremes() -> None:
    count = 200_000
    y = [math.sin(n / 500) for n in range(count)]
    y[123_456], y[54_321] = 7.0, -7.0
    chart = xy_chart("t", [Series("a", range(count), y)], "x", "y")
    (line,) = lines_of(chart, "series-a")
    assert len(line) < 2500
    at = Scale(chart).at
    assert min(p[1] for p in line) == near(at(0, 7)[1])
    assert max(p[1] for p in line) == near(at(0, -7)[1])
    assert line == sorted(line, key=lambda p: p[0])
    dots = xy_chart("t", [Series("a", [0.5] * count, [0.5] * count, dots=True)], "x", "y")
    assert len(dots) < 6000


def test_bars_show_minimum_and_second_part() -> None:
    bars = [Bar("kick", 100, target=50, second=60), Bar("snare", 40, target=50, second=0), Bar("hat", None)]
    chart = bar_chart("t", bars, "events", parts=("real", "synthetic"))
    at = Scale(chart).x
    first = [item for item in of_class(chart, "bar") if number(item, "height") > 15]
    assert [number(bar, "x") + number(bar, "width") for bar in first] == [
        near(at(100)),
        near(at(40)),
        near(at(0)),
    ]
    second = [item for item in of_class(chart, "second") if number(item, "height") > 15]
    assert [(number(s, "x"), number(s, "width")) for s in second] == [(near(at(100)), near(at(60) - at(0)))]
    ticks = [number(t, "x1") for t in of_class(chart, "target") if number(t, "y2") - number(t, "y1") > 20]
    assert ticks == [near(at(50)), near(at(50))]
    assert {"100 + 60", "40 + 0", "–", "real", "synthetic", "minimum"} <= set(words(chart))
    # The text of a bar that falls short stands right of its tick, not under it.
    assert number(text_at(chart, "40 + 0"), "x") > at(50)
    assert "minimum" not in words(bar_chart("t", [Bar("kick", 3)], "events"))


def test_the_text_of_a_bar_is_clear_of_the_reference_line() -> None:
    bars = [
        Bar("short of it", 0.9, "90 of 100"),
        Bar("far from it", 0.1, "10 of 100"),
        Bar("over it", 1.0, "all"),
    ]
    chart = bar_chart("t", bars, "recall", 1.0, (0.95, "gate"))
    line = number(of_class(chart, "reference")[0], "x1")
    assert number(text_at(chart, "90 of 100"), "x") == pytest.approx(line + 6)
    ends = [number(bar, "x") + number(bar, "width") for bar in of_class(chart, "bar")]
    assert number(text_at(chart, "10 of 100"), "x") == pytest.approx(ends[1] + 6)
    assert number(text_at(chart, "all"), "x") == pytest.approx(ends[2] + 6)


def test_bins_are_as_high_as_their_counts() -> None:
    edges = [0.0, 0.1, 0.5, 1.0]
    groups = [Group("known", [4, 0, 2]), Group("unknown", [1, 3, None])]
    chart = histogram(
        "t", edges, groups, "score (0..1)", "samples", references=[Reference(0.5, "threshold", "x")]
    )
    at = Scale(chart).at
    bins = [item for item in of_class(chart, "bin") if number(item, "height") != 12]
    drawn = [(number(b, "x"), number(b, "y"), number(b, "x") + number(b, "width")) for b in bins]
    wanted = [(0.0, 0.1, 4), (0.5, 1.0, 2), (0.0, 0.1, 1), (0.1, 0.5, 3)]
    assert drawn == [near((at(low, n)[0], at(low, n)[1], at(high, n)[0])) for low, high, n in wanted]
    assert number(of_class(chart, "reference")[0], "x1") == near(at(0.5, 0)[0])
    assert {"known", "unknown", "threshold"} <= set(words(chart))
    assert not of_class(histogram("t", [0, 1, 2], [Group("one", [1, 2])], "x", "n"), "key")


def test_counts_that_do_not_fit_the_bins_are_refused() -> None:
    with pytest.raises(UsageError, match="3 counts for 3 edges"):
        histogram("t", [0, 1, 2], [Group("a", [1, 2, 3])], "x", "n")


def test_intervals_lie_at_their_values() -> None:
    rows = [Interval("macro F1", 0.2, 0.5, 0.7, 0.6, good=False), Interval("ECE", None, 0.1, None, good=True)]
    chart = interval_chart("t", rows, "score (0..1)", limits=(0, 1))
    at = Scale(chart).x
    bar, *caps = of_class(chart, "line", "bad-mark")
    assert (number(bar, "x1"), number(bar, "x2")) == (near(at(0.2)), near(at(0.7)))
    assert [number(cap, "x1") for cap in caps] == [near(at(0.2)), near(at(0.7))]
    assert number(of_class(chart, "dot", "bad-mark")[0], "cx") == near(at(0.5))
    diamond = points(of_class(chart, "baseline")[0])
    assert sum(x for x, _ in diamond) / 4 == near(at(0.6))
    assert number(of_class(chart, "dot", "good-mark")[0], "cx") == near(at(0.1))
    assert {"✕ 0.500 [0.200, 0.700]", "✓ 0.100", "baseline"} <= set(words(chart))
    assert "baseline" not in words(interval_chart("t", rows[1:], "score"))
