"""Metres, drift and free time, planted: what the evidence for a bar is, and what is made of it."""

from __future__ import annotations

import time

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.synth.grooves import make_groove
from beatsight.transcription.beats import GROUPS
from beatsight.transcription.meter import METERS, likelihood, readings
from beatsight.transcription.meter_evidence import EVIDENCE, Part
from beatsight.transcription.tempo import Timing, estimate_timing

Hits = list[tuple[float, float, str]]
# Seeds that benchmarks/fit_meters.py did not use.
SEEDS = range(900, 904)


def _timing(hits: Hits, duration_s: float) -> Timing:
    onsets, weights, labels = zip(*hits, strict=True)
    return estimate_timing(onsets, weights, labels, duration_s)


def _rock(clock: np.ndarray, rng: np.random.Generator, jitter_s: float = 0.004) -> Hits:
    """Rock in eighths; ``clock`` holds the time of every quarter."""
    hits: Hits = []
    for quarter in range(len(clock) - 1):
        places = [(0.0, "snare" if quarter % 2 else "kick"), (0.0, "hihat_closed"), (0.5, "hihat_closed")]
        for part, label in places:
            at = np.interp(quarter + part, np.arange(len(clock)), clock)
            hits.append((float(at + rng.normal(0, jitter_s)), 0.9 if label != "hihat_closed" else 0.5, label))
    return hits


@pytest.mark.parametrize(
    ("meter", "styles", "at_least"),
    [
        ("4/4", ("rock", "funk", "disco", "ballad"), 16),
        ("3/4", ("rock", "waltz", "jazz", "ballad"), 12),
        ("5/4", ("rock", "funk", "metal", "jazz"), 12),
        ("7/8", ("rock", "funk", "latin", "metal"), 11),
    ],
)
def test_generated_parts_are_read_in_their_metre(meter: str, styles: tuple[str, ...], at_least: int) -> None:
    right = 0
    for style in styles:
        for seed in SEEDS:
            played = make_groove(np.random.default_rng([seed, len(style)]), style, meter, None, 50.0)
            hits = [(hit.onset_s, hit.velocity, hit.label) for hit in played.hits]
            right += _timing(hits, 50.0).meter == meter
    assert right >= at_least


def _repeating(bar: float, bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in quarters and groups of a part whose kick and snare repeat after ``bar`` quarters only."""
    rng = np.random.default_rng(round(bar * 2))
    places = np.sort(rng.choice(np.arange(0, bar, 0.25), 6, replace=False))
    groups = np.array([GROUPS.index(name) for name in ("KD", "SD", "KD", "KD", "SD", "SD")])
    position = np.concatenate([index * bar + places for index in range(bars)])
    return position, np.tile(groups, bars)


@pytest.mark.parametrize("bar", [3.0, 3.5, 4.0, 5.0])
def test_what_repeats_after_a_bar_only_exceeds_for_that_bar_only(bar: float) -> None:
    position, groups = _repeating(bar, 16)
    found = readings(position, np.full(len(position), 0.8), groups, 0.5)
    for reading in found:
        # 3/4 and 6/8 bars are of one length, and half of a bar of 6 is one of 3.
        if reading.level == 1.0:
            excess = reading.evidence[EVIDENCE.index("excess")]
            assert (excess > 0.1) == (reading.meter.quarters == bar)


def test_repetition_is_the_share_that_a_count_by_hand_finds() -> None:
    position, groups = _repeating(5.0, 16)
    part = Part(position, np.full(len(position), 0.8), groups, 0.5)
    after_a_bar, after_four = part._repeats_after(np.array([5.0, 4.0]))[0]
    struck = {(round(p * 4), int(g)) for p, g in zip(position, groups, strict=True)}
    by_hand = [
        np.mean([(p + 16, g) in struck for p, g in struck if g == group and p + 16 <= 15 * 20])
        for group in (0, 1)
    ]
    assert after_a_bar == pytest.approx(1.0, abs=0.1)
    assert after_four == pytest.approx(np.mean(by_hand), abs=0.12)


def test_readings_are_in_order_and_their_likelihood_is_a_share() -> None:
    position, groups = _repeating(4.0, 12)
    found = readings(position, np.full(len(position), 0.8), groups, 0.5)
    assert [r.score for r in found] == sorted((r.score for r in found), reverse=True)
    assert 0 < likelihood(found) <= 1
    assert {r.meter for r in found} == set(METERS)
    assert all(0 <= r.first < r.level * r.meter.quarters for r in found)


def test_points_follow_a_wandering_tempo_to_20_ms() -> None:
    rng = np.random.default_rng(5)
    tempo = 110 * (1 + 0.04 * np.sin(np.arange(200) / 14))
    clock = 1.0 + np.concatenate(([0.0], np.cumsum(60 / tempo)))
    timing = _timing(_rock(clock, rng), float(clock[-1]))
    away = np.abs(timing.beats_s[:, None] - clock).min(axis=1)
    inside = (timing.beats_s >= clock[0] - 0.1) & (timing.beats_s <= clock[-1] + 0.1)
    assert np.mean(away[inside] <= 0.02) >= 0.9
    assert 4 <= len(timing.points) <= 40


def test_a_pause_and_a_late_start_leave_the_beats_where_they_are() -> None:
    clock = 20.0 + 0.5 * np.arange(160)
    hits = [hit for hit in _rock(clock, np.random.default_rng(6)) if not 45 < hit[0] < 55]
    timing = _timing(hits, 100.0)
    assert mir_eval.beat.f_measure(clock[:-1], timing.beats_s[timing.beats_s > 19.9]) >= 0.97
    assert (timing.meter, len(timing.points)) == ("4/4", 1)


@pytest.mark.parametrize("seed", range(4))
def test_free_time_is_one_even_tempo_and_no_confidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.choice(["kick", "snare", "hihat_closed", "crash"], 360)
    timing = _timing([(t, 0.7, str(x)) for t, x in zip(rng.uniform(0, 60, 360), labels, strict=True)], 60.0)
    assert len(timing.points) == 1
    assert timing.confidence == 0.0
    np.testing.assert_allclose(np.diff(timing.beats_s)[1:], np.diff(timing.beats_s)[-1], rtol=1e-6)


@given(st.floats(0, 20), st.integers(0, 5))
@settings(max_examples=15)
def test_a_later_recording_of_the_same_has_the_same_bars_later(later_s: float, seed: int) -> None:
    hits = _rock(0.3 + 0.52 * np.arange(60), np.random.default_rng(seed))
    plain, shifted = _timing(hits, 40.0), _timing([(t + later_s, v, x) for t, v, x in hits], 60.0)
    assert shifted.bpm == pytest.approx(plain.bpm, rel=1e-3)
    assert shifted.meter == plain.meter
    bar_s = 240 / plain.bpm
    apart = (shifted.downbeats_s[4] - plain.downbeats_s[4] - later_s + bar_s / 2) % bar_s - bar_s / 2
    assert abs(apart) < 0.02


def test_an_hour_of_hits_takes_seconds() -> None:
    hits = _rock(0.4 * np.arange(9000), np.random.default_rng(7))
    begun = time.process_time()
    timing = _timing(hits, 3600.0)
    # 1.5 s of CPU were measured for 32 thousand hits; the bound leaves room for a slower machine.
    assert time.process_time() - begun < 10
    assert timing.bpm == pytest.approx(150, rel=1e-3)
