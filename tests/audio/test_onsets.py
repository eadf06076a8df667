"""Planted strokes are found where they start; silence, noise floors and steady tones give nothing."""

from __future__ import annotations

from pathlib import Path

import mir_eval
import numpy as np
import pytest

from beatsight.audio.io import SAMPLE_RATE, load
from beatsight.audio.onsets import HOP_S, band_power, detect_onsets

TOLERANCE_S = 0.005


def stroke(kind: str, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    if kind == "tick":  # a stick: 3 ms of noise
        return 0.5 * rng.standard_normal(len(t)) * np.exp(-t / 0.003)
    if kind == "noise":
        return 0.3 * rng.standard_normal(len(t)) * np.exp(-t / 0.05)
    frequency = float(kind.removeprefix("sine"))
    return 0.8 * np.sin(2 * np.pi * frequency * t) * np.exp(-t / 0.1)


def planted(kind: str, times_s: list[float], seconds: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    audio = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    for time in times_s:
        at = round(time * SAMPLE_RATE)
        sound = stroke(kind, rng)[: len(audio) - at]
        audio[at : at + len(sound)] += sound.astype(np.float32)
    return audio


def noise(kind: str, level_dbfs: float, seed: int, seconds: float = 10.0) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))
    if kind == "pink":
        spectrum = np.fft.rfft(white)
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        white = np.fft.irfft(spectrum, len(white))
    return white / np.sqrt(np.mean(white**2)) * 10.0 ** (level_dbfs / 20.0)


KINDS = ["tick", "noise", "sine60", "sine90", "sine200", "sine400", "sine1000"]
SPREAD = [0.5, 1.0, 1.6, 2.113, 2.9]


@pytest.mark.parametrize("kind", KINDS)
def test_planted_strokes_are_found_within_five_ms(kind: str) -> None:
    found = detect_onsets(planted(kind, SPREAD, 3.5)).times_s
    assert len(found) == len(SPREAD)
    np.testing.assert_allclose(found, SPREAD, atol=TOLERANCE_S)


def test_timing_has_little_bias() -> None:
    errors = np.concatenate([detect_onsets(planted(kind, SPREAD, 3.5)).times_s - SPREAD for kind in KINDS])
    assert abs(errors.mean()) < 0.001  # measured: 0.3 ms early
    assert np.abs(errors).max() < 0.002


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [[0.0], [0.0, 1.0], [7.0]])
def test_few_strokes_in_a_long_silence(kind: str, times: list[float]) -> None:
    found = detect_onsets(planted(kind, times, 12.0)).times_s
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, atol=TOLERANCE_S)


def test_a_fast_roll_is_found_stroke_by_stroke() -> None:
    times = [0.5 + 0.08 * i for i in range(16)]
    found = detect_onsets(planted("tick", times, 2.5)).times_s
    assert len(found) == 16
    np.testing.assert_allclose(found, times, atol=TOLERANCE_S)


@pytest.mark.parametrize("gain_db", [-20.0, -10.0, 10.0, 20.0])
@pytest.mark.parametrize("kind", ["noise", "sine90"])
def test_level_changes_nothing(kind: str, gain_db: float) -> None:
    audio = 0.1 * planted(kind, SPREAD, 3.5)
    louder = detect_onsets(audio * 10.0 ** (gain_db / 20.0)).times_s
    np.testing.assert_allclose(louder, detect_onsets(audio).times_s, atol=1e-4)


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("level", [-85.0, -75.0, -65.0, -50.0])
def test_a_noise_floor_gives_nothing(kind: str, level: float) -> None:
    for seed in (0, 1):
        assert len(detect_onsets(noise(kind, level, seed)).times_s) == 0


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("level", [-40.0, -20.0])
def test_loud_steady_noise_gives_nothing_either(kind: str, level: float) -> None:
    assert sum(len(detect_onsets(noise(kind, level, seed)).times_s) for seed in range(4)) == 0


def test_a_few_strokes_over_a_noise_floor_are_found() -> None:
    times = [2.0, 9.0, 16.0]
    audio = noise("white", -50.0, 0, seconds=18.0) + planted("noise", times, 18.0)
    found = detect_onsets(audio).times_s
    assert all(np.abs(found - time).min() < TOLERANCE_S for time in times)
    # Measured: one flicker of the noise passes for an onset; a model has to turn it down.
    assert len(found) <= len(times) + 1


@pytest.mark.parametrize("frequency", [60.0, 100.0, 440.0, 5_000.0])
@pytest.mark.parametrize("begin_s", [0.0, 1.2])
@pytest.mark.parametrize("end_s", [2.5, 4.0])
def test_a_steady_tone_gives_nothing(frequency: float, begin_s: float, end_s: float) -> None:
    t = np.arange(int(4.0 * SAMPLE_RATE)) / SAMPLE_RATE
    tone = 0.5 * np.sin(2 * np.pi * frequency * t) * ((t >= begin_s) & (t < end_s))
    assert len(detect_onsets(tone).times_s) == 0


@pytest.mark.parametrize("samples", [0, 1, 10, 511, 5_000])
def test_silence_of_any_length_gives_nothing(samples: int) -> None:
    onsets = detect_onsets(np.zeros(samples, np.float32))
    assert len(onsets.times_s) == len(onsets.strengths) == 0
    assert np.isfinite(onsets.power).all()


def test_times_rise_within_the_file_and_rows_match() -> None:
    audio = planted("noise", [0.0, 0.3, 0.6, 0.9], 1.0)
    onsets = detect_onsets(audio)
    assert (np.diff(onsets.times_s) >= 0).all()
    assert onsets.times_s.min() >= 0 and onsets.times_s.max() < 1.0
    assert onsets.times_s.shape == onsets.strengths.shape
    assert len(onsets.power) == pytest.approx(1.0 / HOP_S, abs=2)


def test_band_power_of_a_full_scale_sine_is_one() -> None:
    t = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    power = band_power(np.sin(2 * np.pi * 3_000 * t))[20:-20]
    assert 10 * np.log10(power.max(axis=1)).mean() == pytest.approx(0.0, abs=3.0)


def test_recorded_kits(shared: Path) -> None:
    """Measured: mean F of 0.963 over five drum tracks, against the union of all drums' annotations."""
    scores = []
    for path in sorted((shared / "data/mdb/drum_only").glob("*.flac"))[:3]:
        name = path.stem.removesuffix("_Drum")
        lines = (shared / f"data/mdb/annotations/class/{name}_class.txt").read_text().splitlines()
        times = np.unique([float(line.split()[0]) for line in lines if line.strip()])
        truth = times[np.diff(times, prepend=-1.0) > 0.02]
        found = np.unique(detect_onsets(load(path)).times_s)
        scores.append(mir_eval.onset.f_measure(truth, found, window=0.05)[0])
    assert len(scores) == 3
    assert np.mean(scores) > 0.93
    assert min(scores) > 0.85
