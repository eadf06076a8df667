"""Difficulty: planted parts in the order players would put them, and that speed never makes a part easier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.transcription.difficulty import difficulty
from beatsight.transcription.tempo import Timing

Hits = list[tuple[float, str, float]]


def _timing(bpm: float, seconds: float) -> Timing:
    beats = np.arange(0, seconds, 60 / bpm)
    return Timing(bpm, 0.0, "4/4", beats, beats[::4], [(0.0, bpm)], 1.0)


def _part(
    bpm: float, pattern: dict[str, list[float]], quarters: float = 4, bars: int = 16
) -> tuple[Hits, Timing]:
    second = 60 / bpm
    hits = [
        ((bar * quarters + place) * second, drum, 0.8)
        for bar in range(bars)
        for drum, places in pattern.items()
        for place in places
    ]
    return hits, _timing(bpm, bars * quarters * second)


EIGHTHS, SIXTEENTHS = list(np.arange(0, 4, 0.5)), list(np.arange(0, 4, 0.25))
ROCK = {"kick": [0.0, 2.0], "snare": [1.0, 3.0], "hihat_closed": EIGHTHS}
FUNK = {
    "kick": [0, 0.75, 2.5],
    "snare": [1, 1.75, 2.25, 3],
    "hihat_closed": SIXTEENTHS,
    "hihat_pedal": [1, 3],
}
BLAST = {"kick": SIXTEENTHS, "snare": list(np.arange(0.25, 4, 0.5)), "ride": EIGHTHS, "crash": [0.0]}


def test_no_hits_are_no_difficulty() -> None:
    assert difficulty([], _timing(120, 10)) == 0.0


def test_a_slow_kick_is_nearly_nothing() -> None:
    assert 0 < difficulty(*_part(70, {"kick": [0, 1, 2, 3]})) < 1


def test_a_rock_beat_is_easy() -> None:
    assert 2 <= difficulty(*_part(100, ROCK)) <= 3


def test_a_blast_beat_is_for_experts() -> None:
    assert 8 <= difficulty(*_part(200, BLAST)) <= 10
    assert 9 <= difficulty(*_part(220, BLAST)) <= 10


def test_parts_rank_as_players_would() -> None:
    ranked = [
        _part(80, {"kick": [0, 1, 2, 3]}),
        _part(100, {"kick": [0, 2], "snare": [1, 3]}),
        _part(100, ROCK),
        _part(140, ROCK),
        _part(100, FUNK),
        _part(200, BLAST),
    ]
    ratings = [difficulty(*part) for part in ranked]
    assert ratings == sorted(set(ratings))


@pytest.mark.parametrize(
    ("easier", "harder"),
    [
        # More limbs at once, at the same number of hits, speed and drums.
        ({"kick": [0, 2], "ride": [1, 3]}, {"kick": [0, 2], "ride": [0, 2]}),
        # Off the beat.
        ({"kick": [0, 2], "snare": [1, 3]}, {"kick": [0.25, 2.25], "snare": [1.25, 3.25]}),
        # More drums.
        ({"snare": [0, 1, 2, 3]}, {"snare": [0, 1], "tom_high": [2], "tom_low": [3]}),
        # One foot instead of two hands.
        ({"snare": EIGHTHS}, {"kick": EIGHTHS}),
    ],
)
def test_each_demand_counts(easier: dict[str, list[float]], harder: dict[str, list[float]]) -> None:
    assert difficulty(*_part(120, easier)) < difficulty(*_part(120, harder))


def test_a_short_burst_in_an_easy_song_counts_but_less_than_throughout() -> None:
    easy, timing = _part(100, ROCK, bars=32)
    fill = [(20 + n * 0.07, "tom_low", 0.9) for n in range(30)]
    throughout = [(n * 0.07, "tom_low", 0.9) for n in range(1000)]
    rated = [difficulty(part, timing) for part in (easy, easy + fill, easy + throughout)]
    assert rated[0] + 0.5 < rated[1] < rated[2] - 0.5


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300),
            st.sampled_from(["kick", "snare", "hihat_closed", "hihat_pedal", "tom_low", "crash"]),
        ),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from([1.0, 1.25, 2.0, 3.0]),
)
@settings(max_examples=150, deadline=None)
def test_faster_is_never_easier(places: list[tuple[int, str]], factor: float) -> None:
    def rated(bpm: float) -> float:
        hits = [(place / 4 * 60 / bpm, drum, 0.8) for place, drum in places]
        return difficulty(hits, _timing(bpm, 80 * 60 / bpm))

    slow, fast = rated(90), rated(90 * factor)
    assert 0 < slow <= fast <= 10


def test_the_order_of_hits_does_not_matter() -> None:
    hits, timing = _part(120, FUNK)
    assert difficulty(hits[::-1], timing) == difficulty(hits, timing)


def test_what_cannot_be_rated_is_refused() -> None:
    with pytest.raises(InputError, match="a hit's time is not a finite number"):
        difficulty([(float("inf"), "kick", 0.8)], _timing(120, 4))
    with pytest.raises(InputError, match="unknown drum label 'snair'; did you mean 'snare'"):
        difficulty([(0.0, "snair", 0.8)], _timing(120, 4))
