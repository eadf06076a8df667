"""Velocity follows loudness, drum by drum, and stays a number whatever the sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE
from beatsight.audio.onsets import Onsets, band_power, detect_onsets
from beatsight.synth.kit import make_kit
from beatsight.taxonomy import CLASSIFIER
from beatsight.transcription.hits import Hit, attack_levels, with_velocities


def at_levels(label: str, levels_db: list[float]) -> list[Hit]:
    return [Hit(float(i), label, 0.9, level) for i, level in enumerate(levels_db)]


def strokes(label: str, gains: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """One stroke every half second with these gains, and their times in seconds."""
    times = 0.5 + 0.5 * np.arange(len(gains))
    audio = np.zeros(int((times[-1] + 1.0) * SAMPLE_RATE), np.float32)
    stroke = make_kit(3).render(label, 0.8)[: SAMPLE_RATE // 3]
    stroke = stroke / np.abs(stroke).max()
    for time, gain in zip(times, gains, strict=True):
        first = round(time * SAMPLE_RATE)
        audio[first : first + len(stroke)] += gain * stroke
    return audio, times


@pytest.mark.parametrize("label", ["kick", "snare", "hihat_closed", "tom_low"])
def test_level_rises_as_the_gain_does(label: str) -> None:
    audio, times = strokes(label, [0.05, 0.1, 0.2, 0.8])
    levels = attack_levels(Onsets(times, np.ones(4), band_power(audio)), label)
    # A factor of two is 6 dB, one of four 12; the start on or between two frames changes it a little.
    assert np.diff(levels) == pytest.approx([6.02, 6.02, 12.04], abs=0.6)


def test_the_order_of_velocities_is_the_order_of_loudness() -> None:
    gains = [0.5, 0.05, 0.8, 0.15, 0.3]
    audio, times = strokes("snare", gains)
    onsets = detect_onsets(audio)
    assert onsets.times_s == pytest.approx(times, abs=0.005)
    levels = attack_levels(onsets, "snare")
    hits = [Hit(t, "snare", 1.0, level) for t, level in zip(times, levels, strict=True)]
    found = [hit.velocity for hit in with_velocities(hits)]
    assert np.argsort(found).tolist() == np.argsort(gains).tolist()
    assert max(found) == pytest.approx(0.85, abs=0.08)


def test_fifty_decibels_are_a_factor_of_ten() -> None:
    loud, soft = at_levels("kick", [-10.0] * 20), at_levels("kick", [-60.0])
    found = [hit.velocity for hit in with_velocities(loud + soft)]
    assert found[0] == pytest.approx(0.85, abs=0.001)
    assert found[-1] == pytest.approx(0.085, abs=0.001)


def test_each_drum_is_measured_against_its_own_loud_level() -> None:
    found = with_velocities(at_levels("kick", [-10.0] * 5) + at_levels("hihat_closed", [-40.0] * 5))
    assert {hit.velocity for hit in found} == {0.85}


def test_a_rare_soft_drum_is_not_made_loud() -> None:
    # One ghost note has no level of its own to be measured by; it counts against the rest of the song.
    found = with_velocities(at_levels("kick", [-10.0] * 9) + at_levels("tom_low", [-60.0]))
    assert found[-1].velocity == pytest.approx(0.085, abs=0.001)


def test_no_hits_and_silent_hits() -> None:
    assert with_velocities([]) == []
    (hit,) = with_velocities(at_levels("crash", [-100.0]))
    assert 0.0 < hit.velocity <= 1.0
    silent = attack_levels(Onsets(np.array([0.0]), np.ones(1), np.zeros((10, 40), np.float32)), "kick")
    assert silent == pytest.approx([-100.0])


@pytest.mark.parametrize("label", CLASSIFIER)
def test_every_class_has_a_band_with_energy_in_it(label: str) -> None:
    onsets = Onsets(np.array([0.0, 0.04]), np.ones(2), np.ones((9, 40), np.float32))
    levels = attack_levels(onsets, label)
    # An onset in the last frames looks at what is left of the file.
    assert levels.shape == (2,) and (levels >= 0.0).all()


@given(st.lists(st.tuples(st.sampled_from(CLASSIFIER), st.floats(-100.0, 20.0)), min_size=1, max_size=30))
def test_velocities_are_in_range_and_keep_the_order_within_a_label(rows: list[tuple[str, float]]) -> None:
    hits = [Hit(float(i), label, 0.5, level) for i, (label, level) in enumerate(rows)]
    found = with_velocities(hits)
    assert [(hit.time_s, hit.label, hit.level_db) for hit in found] == [
        (hit.time_s, hit.label, hit.level_db) for hit in hits
    ]
    assert all(0.0 <= hit.velocity <= 1.0 for hit in found)
    for label in {hit.label for hit in found}:
        ranked = sorted((hit.level_db, hit.velocity) for hit in found if hit.label == label)
        assert [velocity for _, velocity in ranked] == sorted(velocity for _, velocity in ranked)
