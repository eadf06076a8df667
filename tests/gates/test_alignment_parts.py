"""Gate alignment: its smaller parts, against plain calculations."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_sessions import RATE

from beatsight.audio.io import load, save
from beatsight.gates.alignment.correlation import common_delay
from beatsight.gates.alignment.fitting import coverage, fit, largest_jump, slope
from beatsight.gates.alignment.hits import MAX_HITS, find_hits
from beatsight.gates.alignment.listening import _Level, layout, listen, windows


def test_windows_are_cut_as_from_the_whole_file(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 25 * RATE).astype(np.float32)
    save(tmp_path / "a.wav", audio, RATE, "PCM_24")
    whole = load(tmp_path / "a.wav")
    starts = [-300, -5, 0, 40, 9 * RATE, 10 * RATE - 50, 20 * RATE, len(audio) - 20, len(audio) + 9000]
    padded = np.concatenate([np.zeros(300), whole, np.zeros(10_000)])
    found = list(windows(tmp_path / "a.wav", RATE, starts, 100))
    assert len(found) == len(starts)
    for start, window in zip(starts, found, strict=True):
        assert np.array_equal(window, padded[300 + start : 400 + start])
    assert list(windows(tmp_path / "a.wav", RATE, [], 100)) == []


def test_loudness_and_spectrum_are_those_of_the_whole_file(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 13 * RATE + 77).astype(np.float32)
    save(tmp_path / "a.wav", audio, RATE, "PCM_24")
    lengths = layout(RATE, 50)
    sound = listen(tmp_path / "a.wav", lengths)
    whole = load(tmp_path / "a.wav")
    whole = np.concatenate([whole, np.zeros(-len(whole) % lengths.size, np.float32)])
    energy = (np.diff(whole, prepend=0.0).reshape(-1, lengths.hop) ** 2).mean(axis=1)
    assert sound.energy == pytest.approx(energy, rel=1e-4, abs=1e-9)
    units = whole.reshape(-1, lengths.size) * np.hanning(lengths.size + 1)[:-1]
    power = (np.abs(np.fft.rfft(units, axis=1)) ** 2).mean(axis=0)
    assert sound.power == pytest.approx(power, rel=1e-3, abs=1e-3)


@given(
    flags=st.lists(st.booleans(), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=60),
)
def test_flat_tops_are_counted_across_blocks(flags: list[bool], cuts: list[int]) -> None:
    audio = np.where(flags, 1.0, 0.2).astype(np.float32)
    level, start = _Level(), 0
    for length in itertools.cycle(cuts):
        level.add(audio[start : start + length])
        start += length
        if start >= len(audio):
            break
    runs = [len(list(group)) for flag, group in itertools.groupby(flags) if flag]
    assert level.clipped == sum(run >= 3 for run in runs)
    assert level.frames == len(audio)


def test_hits_are_where_they_are(tmp_path: Path) -> None:
    lengths = layout(RATE, 50)
    energy = np.full(4000, 1e-9, np.float32)
    frames = np.arange(50, 3900, 100)
    for frame in frames:
        energy[frame : frame + 60] = 0.01 * np.exp(-np.arange(60) / 15.0)
    starts, found = find_hits(energy, lengths)
    assert (starts // lengths.hop).tolist() == frames.tolist() and found == len(frames)
    assert find_hits(np.full(4000, 0.01, np.float32), lengths)[1] <= 1  # a steady tone
    many = np.tile(energy, 60)
    starts, found = find_hits(many, lengths)
    assert found == 60 * len(frames) > MAX_HITS >= len(starts) > MAX_HITS / 2
    assert starts[-1] > 0.99 * len(many) * lengths.hop


def _curves(delays: npt.NDArray[np.float64], level: float) -> npt.NDArray[np.float32]:
    """Correlations of noise, with a peak of some height at each delay."""
    lengths = layout(RATE, 50)
    rows = np.random.default_rng(5).normal(0, 1, (len(delays), 2 * lengths.reach + 1)).astype(np.float32)
    inside = np.flatnonzero(np.abs(delays) <= lengths.reach)
    rows[inside, np.rint(delays[inside]).astype(int) + lengths.reach] += level
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def test_the_common_delay_must_stand_out() -> None:
    lengths, starts = layout(RATE, 50), np.arange(50) * RATE
    for delay in (-1500, 0, 2000):
        found = common_delay(_curves(np.full(50, delay), 40.0), starts, lengths)
        assert found is not None and np.abs(found - delay).max() <= 3
    assert common_delay(_curves(np.zeros(50), 0.0), starts, lengths) is None
    for outside in (-2400, 2400):  # heard by single hits' room only
        assert common_delay(_curves(np.full(50, outside), 80.0), starts, lengths) is None


def test_the_common_delay_follows_a_clock_that_runs_away() -> None:
    """Over ten minutes 2000 samples, four times what the paths of a kit differ by."""
    lengths, starts = layout(RATE, 50), np.arange(200) * 3 * RATE
    line = np.linspace(-900.0, 1100.0, 200)
    found = common_delay(_curves(line, 40.0), starts, lengths)
    assert found is not None and np.abs(found - line).max() < lengths.spread / 2


@given(st.lists(st.booleans(), max_size=40))
def test_coverage_is_one_less_the_longest_gap(measured: list[bool]) -> None:
    gaps = [len(list(group)) for flag, group in itertools.groupby(measured) if not flag]
    expected = 1 - max(gaps, default=0) / len(measured) if measured else 0.0
    assert coverage(np.array(measured, bool)) == pytest.approx(expected)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), groups=st.integers(1, 4))
def test_the_slope_has_the_least_dispersion(seed: int, groups: int) -> None:
    """Jaeckel's dispersion, the sum over pairs of a group of |difference of residuals|, is least there."""
    rng = np.random.default_rng(seed)
    times, values = np.sort(rng.uniform(0, 60, 25)), rng.standard_t(2, 25)
    group = rng.integers(0, groups, 25)
    found = slope(times, values, group)

    def dispersion(rate: float) -> float:
        left = values - rate * times
        return sum(
            float(np.abs(left[group == one][:, None] - left[group == one]).sum()) for one in range(groups)
        )

    least = dispersion(found)
    for other in np.concatenate([found + np.linspace(-1, 1, 41), [0.0]]):
        assert least <= dispersion(float(other)) + 1e-9


def test_a_drift_is_found_among_outliers_and_levels() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 120, 200))
    groups = rng.integers(0, 3, 200)
    delays = np.array([0.0, 300.0, -80.0])[groups] + 0.8 * times / 60 + rng.normal(0, 0.05, 200)
    delays[rng.choice(200, 30, replace=False)] += rng.uniform(5, 400, 30)
    line = fit(times, delays, groups, RATE)
    assert line.drift == pytest.approx(0.8, abs=0.02)
    assert line.used.sum() == 170
    assert 0 < line.drift_error < 0.02
    assert abs(line.drift - 0.8) < 4 * line.drift_error
    alone = fit(times[:2], delays[:2], np.array([0, 1]), RATE)
    assert np.isnan(alone.drift) and not alone.used.any()


def test_no_jump_in_a_handful_of_hits() -> None:
    assert np.isnan(largest_jump(np.arange(9.0), np.zeros(9))[0])
    # One hit off is no jump.
    assert largest_jump(np.arange(20.0), np.eye(20)[7] * 50)[0] == 0.0
