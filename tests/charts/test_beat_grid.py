"""The musical positions of a tempo map: planted beats, and the way there and back."""

from __future__ import annotations

import itertools

import pytest
from chart_strategies import timings
from hypothesis import given
from hypothesis import strategies as st

from beatsight.charts import Timing, TimingPoint
from beatsight.charts.beat_grid import BeatGrid
from beatsight.errors import InputError


def test_beats_before_the_first_bar_have_its_tempo_and_metre() -> None:
    grid = BeatGrid(Timing(bpm=120.0, offset=1250, time_signature="3/4"), "a")
    assert [(beat.time_ms, beat.position, beat.bar) for beat in grid.beats(2300)] == [
        (250, 2, -1), (750, 3, -1), (1250, 1, 0), (1750, 2, 0), (2250, 3, 0),
    ]  # fmt: skip


def test_a_new_metre_begins_a_bar_and_counts_its_own_beats() -> None:
    timing = Timing(
        bpm=120.0,
        timing_points=[
            TimingPoint(time=3000, bpm=60.0, time_signature="7/8"),
            TimingPoint(time=3000 + 3 * 500, bpm=120.0),
        ],
    )
    beats = list(BeatGrid(timing, "a").beats(6200))
    # Six quarters of 4/4: a whole bar and one cut short; then eighths, three slow and the rest fast.
    assert [(beat.bar, beat.position) for beat in beats[:8]] == [
        (0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    assert [beat.time_ms for beat in beats[6:]] == [
        3000,
        3500,
        4000,
        4500,
        4750,
        5000,
        5250,
        5500,
        5750,
        6000,
    ]
    assert [(beat.bar, beat.position) for beat in beats[-3:]] == [(3, 1), (3, 2), (3, 3)]
    assert {(beat.numerator, beat.denominator) for beat in beats[6:]} == {(7, 8)}


def test_a_change_of_tempo_before_the_first_bar_is_kept() -> None:
    timing = Timing(bpm=60.0, offset=3000, timing_points=[TimingPoint(time=2000, bpm=120.0)])
    assert [beat.time_ms for beat in BeatGrid(timing, "a").beats(4000)] == [
        0,
        1000,
        2000,
        2500,
        3000,
        3500,
        4000,
    ]


def test_a_change_beside_a_beat_lies_on_it_and_one_between_beats_does_not() -> None:
    timing = Timing(
        bpm=120.0, timing_points=[TimingPoint(time=4002, bpm=100.0), TimingPoint(time=4302, bpm=90.0)]
    )
    assert [quarter for _, quarter, _ in BeatGrid(timing, "a").tempi()] == pytest.approx([0, 8, 8.5])


@given(timing=timings, time=st.floats(0, 2e6))
def test_there_and_back(timing, time) -> None:
    grid = BeatGrid(timing, "a")
    assert grid.time_ms(grid.quarter(time)) == pytest.approx(time, abs=1e-3)


@given(timing=timings)
def test_beats_rise_and_positions_follow_each_other(timing) -> None:
    beats = list(BeatGrid(timing, "a").beats(60_000))
    for one, after in itertools.pairwise(beats):
        assert after.time_ms > one.time_ms
        if after.bar == one.bar:
            assert after.position == one.position + 1
        else:
            assert (after.bar, after.position) == (one.bar + 1, 1)
        assert 1 <= after.position <= after.numerator


def test_a_million_beats_are_a_fault() -> None:
    with pytest.raises(InputError, match=r"a\.jams: timing: holds more than 1000000 beats"):
        list(BeatGrid(Timing(bpm=1e6), "a.jams").beats(100_000))
