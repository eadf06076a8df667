"""Bleed, tape and coding: labels follow a wavering tape, and nothing comes too early."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE as RATE
from beatsight.synth.studio.codec import through_codec, through_mp3
from beatsight.synth.studio.damage import Damage, draw_damage
from beatsight.synth.studio.mixing import BusConfig
from beatsight.synth.studio.performances import Stroke
from beatsight.synth.studio.song import moved

ALL = BusConfig(bleed_share=1.0, tape_share=1.0, mp3_share=1.0)
TAPE = BusConfig(tape_share=1.0)


def clicks(seconds: float, gap: int = 9000) -> tuple[np.ndarray, np.ndarray]:
    audio = np.zeros(round(seconds * RATE), np.float32)
    at = np.arange(3000, len(audio) - 3000, gap)
    audio[at] = 1.0
    return audio, at


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_labels_move_with_the_tape(seed: int) -> None:
    audio, at = clicks(6.0)
    damage = draw_damage(np.random.default_rng(seed), 6.0, TAPE)
    played = damage.warped(audio)
    heard = damage.heard_at(at / RATE) * RATE
    for label in heard:
        near = played[round(label) - 40 : round(label) + 41]
        assert abs(int(np.argmax(np.abs(near))) - 40) <= 1
    assert (np.diff(heard) > 0).all() and len(played) == len(audio)


def test_the_tape_moves_strokes_by_milliseconds() -> None:
    shifts = []
    for seed in range(20):
        damage = draw_damage(np.random.default_rng(seed), 20.0, TAPE)
        times = np.linspace(0.0, 20.0, 400)
        shifts.append(float(np.abs(damage.heard_at(times) - times).max()))
    assert 0.0005 < np.median(shifts) < 0.01 and max(shifts) < 0.05


def test_the_warp_is_linear_so_stems_stay_stems() -> None:
    rng = np.random.default_rng(4)
    one, other = (rng.standard_normal(2 * RATE).astype(np.float32) for _ in range(2))
    damage = draw_damage(rng, 2.0, TAPE)
    assert np.allclose(damage.warped(one) + damage.warped(other), damage.warped(one + other), atol=1e-5)


def test_without_damage_nothing_changes() -> None:
    audio, _ = clicks(2.0)
    damage = draw_damage(np.random.default_rng(1), 2.0, BusConfig())
    assert damage.names() == []
    for out in (damage.bled(audio), damage.warped(audio), damage.worn(audio)):
        assert np.array_equal(out, audio)
    strokes = [Stroke(0.5, "kick", 0.5)]
    assert moved(strokes, damage) == strokes


def test_a_damage_does_not_depend_on_the_others() -> None:
    one = draw_damage(np.random.default_rng(8), 4.0, TAPE)
    all_of_it = draw_damage(np.random.default_rng(8), 4.0, ALL)
    assert all_of_it.names() == ["bleed", "tape", "mp3"] and one.names() == ["tape"]
    assert one.tape is not None and all_of_it.tape is not None
    assert np.array_equal(one.tape.offset_s, all_of_it.tape.offset_s)


def test_bleed_is_late_and_soft() -> None:
    audio = np.zeros(RATE, np.float32)
    audio[10_000] = 1.0
    for seed in range(10):
        damage = draw_damage(np.random.default_rng(seed), 1.0, BusConfig(bleed_share=1.0))
        added = damage.bled(audio) - audio
        first = int(np.flatnonzero(np.abs(added) > 1e-7)[0])
        # 0.3 to 1.6 m of air.
        assert 0.0008 < (first - 10_000) / RATE < 0.005
        assert 0.0 < np.abs(added).max() < 0.5


@pytest.mark.parametrize("code", [through_codec, through_mp3])
@pytest.mark.parametrize("quality", [0.2, 0.7, 1.0])
def test_coding_keeps_time_and_length(code, quality) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(2)
    audio = rng.standard_normal(3 * RATE).astype(np.float32) * np.float32(0.1)
    out = code(audio, quality)
    assert out.shape == audio.shape and np.isfinite(out).all()
    spectrum = np.fft.rfft(out) * np.conj(np.fft.rfft(audio))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    assert lag in (0, 1, len(audio) - 1)
    assert not np.array_equal(out, audio)


def test_wear_is_finite_on_silence_and_loud_sound() -> None:
    damage = draw_damage(np.random.default_rng(3), 1.0, ALL)
    for audio in (np.zeros(RATE, np.float32), np.full(RATE, 1e4, np.float32)):
        out = damage.worn(audio)
        assert out.shape == audio.shape and np.isfinite(out).all() and out.dtype == np.float32
    assert Damage(seconds=1.0).names() == []
