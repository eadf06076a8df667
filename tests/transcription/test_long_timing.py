"""Hours of hits: memory that hardly grows, and the same answer in blocks as in one piece."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from beatsight.transcription import beats, meter_evidence, tempo
from beatsight.transcription.tempo import Timing, estimate_timing

Tempo = Callable[[np.ndarray], np.ndarray]


def _hits(tempo_of: Tempo, quarters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rock in eighths at a tempo that may depend on the quarter: times, strengths, labels."""
    rng = np.random.default_rng(seed)
    clock = 1.0 + np.concatenate(([0.0], np.cumsum(60.0 / tempo_of(np.arange(quarters)))))
    drums = np.where(np.arange(quarters) % 2, "snare", "kick")
    place = np.concatenate((np.arange(quarters), np.arange(0, quarters, 0.5)))
    times = np.interp(place, np.arange(quarters + 1), clock) + rng.normal(0, 0.004, len(place))
    order = np.argsort(times)
    labels = np.concatenate((drums, np.full(2 * quarters, "hihat_closed")))
    strengths = np.where(labels == "hihat_closed", 0.5, 0.9)
    return np.maximum(times, 0.0)[order], strengths[order], labels[order].tolist()


def _wandering(quarter: np.ndarray) -> np.ndarray:
    return 118 + 6 * np.sin(quarter / 40)


def _jumping(quarter: np.ndarray) -> np.ndarray:
    return np.where(quarter // 150 % 2, 96.0, 134.0)


def _timing(hits: tuple[np.ndarray, np.ndarray, list[str]]) -> Timing:
    return estimate_timing(*hits, float(hits[0].max()) + 1.0)


@pytest.mark.parametrize("tempo_of", [_wandering, _jumping])
def test_small_blocks_give_the_answer_of_one(tempo_of: Tempo, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = _hits(tempo_of, 600)
    whole = _timing(hits)
    assert len(whole.points) > 2
    monkeypatch.setattr(beats, "_BLOCK_ROWS", 7)
    monkeypatch.setattr(beats, "_BLOCK_FRAMES", 331)
    monkeypatch.setattr(beats, "_FFT_SIZE", 1 << 10)
    monkeypatch.setattr(meter_evidence, "_BLOCK_SLOTS", 500)
    parts = _timing(hits)
    assert parts.meter == whole.meter
    np.testing.assert_allclose(parts.beats_s, whole.beats_s, atol=1e-9, rtol=0)
    np.testing.assert_allclose(parts.downbeats_s, whole.downbeats_s, atol=1e-9, rtol=0)
    np.testing.assert_allclose(parts.points, whole.points, rtol=1e-9)
    assert parts.confidence == pytest.approx(whole.confidence, rel=1e-9)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=80), st.integers(6, 10), st.integers(0, 2**31))
def test_bins_of_the_spectrum_are_those_of_the_whole_transform(
    index: list[int], length: int, seed: int
) -> None:
    places, weights = np.sort(np.array(index)), np.random.default_rng(seed).uniform(0.1, 1, len(index))
    size = 1 << 15
    bins = np.random.default_rng(seed).integers(0, size // 2, (20, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beats, "_FFT_SIZE", 1 << length)
        found = beats._spectrum(places, weights, size, bins)
    expected = np.fft.fft(np.bincount(places, weights), size)[bins]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(st.sets(st.integers(0, 400), min_size=1, max_size=120), st.integers(1, 60), st.integers(1, 150))
def test_overlaps_are_those_of_the_blurred_signal(struck: set[int], block: int, lags: int) -> None:
    slot = np.array(sorted(struck))
    size = int(slot[-1]) + 1
    lags = min(lags, size)
    plain = np.zeros((1, size))
    plain[0, slot] = 1.0
    signal = meter_evidence.smear(plain, meter_evidence._BLUR)[0]
    expected = np.correlate(signal, signal, "full")[size - 1 : size - 1 + lags]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter_evidence, "_BLOCK_SLOTS", block)
        found = meter_evidence._overlap(slot, size, lags)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def _bends_by_trying_all(
    position: np.ndarray, time: np.ndarray, edges: np.ndarray, spread: float
) -> list[float]:
    """The same optimum with no candidate left out, each line fitted by NumPy."""
    starts = np.searchsorted(position, edges)
    best, back = [0.0], [0]
    for end in range(1, len(edges)):
        costs = []
        for begin in range(max(end - tempo._MIN_SEGMENT_BARS, 0) + 1):
            inside = slice(starts[begin], starts[end])
            off = np.zeros(1)
            if starts[end] - starts[begin] > 2:
                line = np.polyfit(position[inside], time[inside], 1)
                off = time[inside] - np.polyval(line, position[inside])
            costs.append(best[begin] + float(off @ off) / spread**2 + tempo._BEND_COST)
        best.append(min(costs))
        back.append(int(np.argmin(costs)))
    found, end = [], len(edges) - 1
    while end > 0:
        end = back[end]
        found.append(float(edges[end]))
    return found[-2::-1]


@pytest.mark.parametrize("piece", [40, 8, 5])
@pytest.mark.parametrize("seed", range(4))
def test_bends_are_the_best_of_all(seed: int, piece: int) -> None:
    rng = np.random.default_rng(seed)
    position = np.arange(240.0)
    slopes = np.repeat(rng.uniform(0.4, 0.6, 240 // piece), piece)
    time = np.cumsum(slopes) + rng.normal(0, 0.01, 240)
    edges = np.concatenate((np.arange(0, 240, 4.0), [239.000001]))
    found = tempo._bends(position, time, edges, 0.015)
    assert found == _bends_by_trying_all(position, time, edges, 0.015)
    assert len(found) >= 3


def test_of_bends_that_cost_the_same_the_first_is_taken() -> None:
    """Nothing is played from bar 10 to bar 20; the tempo changes on the way."""
    position = np.concatenate((np.arange(40.0), np.arange(80.0, 120.0)))
    time = np.where(position < 60, 0.5 * position, 30 + 0.4 * (position - 60))
    edges = np.concatenate((np.arange(0, 120, 4.0), [119.000001]))
    assert tempo._bends(position, time, edges, 0.015) == [40.0]


def test_beginnings_that_lost_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, real = 0, np.maximum

    def counting(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        nonlocal tried
        tried += len(x)
        return real(x, y)

    monkeypatch.setattr(tempo.np, "maximum", counting)
    position = np.arange(8000.0)
    time = np.cumsum(np.where(position // 80 % 2, 0.5, 0.47))
    edges = np.concatenate((np.arange(0, 8000, 4.0), [7999.000001]))
    assert len(tempo._bends(position, time, edges, 0.015)) == 99
    # Two million beginnings twice over without pruning.
    assert tried < 500_000


@given(st.integers(0, 2**31), st.integers(2, 30), st.floats(0, 0.9))
@settings(max_examples=60)
def test_the_line_is_that_of_a_dense_fit(seed: int, count: int, missing: float) -> None:
    """Also where no beat determines a knot: there it lies on the straight line."""
    rng = np.random.default_rng(seed)
    knots = np.concatenate(([0.0], np.cumsum(4.0 * rng.integers(2, 9, count - 1))))
    position = np.arange(knots[-1] + 1)
    kept = rng.random(len(position)) >= missing
    kept[[0, 1, -1]] = True
    position = position[kept]
    time = np.interp(position, knots, np.cumsum(rng.uniform(1, 4, count))) + rng.normal(
        0, 0.02, len(position)
    )
    piece = np.clip(np.searchsorted(knots, position, side="right") - 1, 0, count - 2)
    part = (position - knots[piece]) / (knots[piece + 1] - knots[piece])
    design = np.zeros((len(position), count))
    design[np.arange(len(position)), piece] = 1 - part
    design[np.arange(len(position)), piece + 1] = part
    # A knot that one beat all but leaves open has no value that two solvers would agree on.
    sizes = np.linalg.svd(design, compute_uv=False)
    assume(not np.any((sizes > 1e-9) & (sizes < 0.03)))
    straight = np.polyfit(position, time, 1)
    bend = np.linalg.lstsq(design, time - np.polyval(straight, position), rcond=None)[0]
    expected = np.polyval(straight, knots) + bend
    np.testing.assert_allclose(tempo._line(position, time, knots), expected, atol=1e-5)


def test_an_hour_of_hits_takes_few_megabytes() -> None:
    """12 MB were measured; tables of everything took 110."""
    hits = _hits(_wandering, 7000)
    assert hits[0][-1] > 3500
    tracemalloc.start()
    try:
        timing = _timing(hits)
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    assert peak_mb < 30
    clock = 1.0 + np.concatenate(([0.0], np.cumsum(60.0 / _wandering(np.arange(7000)))))
    place = np.searchsorted(clock, timing.beats_s).clip(1, 7000)
    away = np.minimum(np.abs(clock[place] - timing.beats_s), np.abs(clock[place - 1] - timing.beats_s))
    assert np.mean(away[timing.beats_s > 0.9] < 0.02) > 0.9
