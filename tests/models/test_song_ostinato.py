"""Even strokes as evidence: planted rides with some hidden, a hand that stops, strokes that keep no time."""

from __future__ import annotations

import math
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from beatsight.models.song_blocks import filtered
from beatsight.models.song_ostinato import Ostinato, OstinatoConfig, steady_distance

GROUPS = ("KD", "SD", "TT", "HH", "CY")
CONFIG = OstinatoConfig()
EVERY = 29


def even(frames: int = 3000, seed: int = 0, jitter: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Rides every 0.29 s by a hand that is 10 ms off, with noise, and where they are."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0.005, 0.03, (frames, 6)).astype(np.float32)
    at = np.arange(20, frames - 20, EVERY)
    at += rng.integers(-jitter, jitter + 1, len(at))
    a[at, 4] = rng.uniform(0.7, 0.95, len(at))
    return a, at


def moved(a: np.ndarray, config: OstinatoConfig = CONFIG) -> np.ndarray:
    return filtered(a, [Ostinato(GROUPS, config)])


def by_hand(a: np.ndarray, index: int, up: float = 1.0) -> np.ndarray:
    """The rule for one group, frame by frame."""

    def sure(p: float, lowest: float) -> float:
        p = min(1 - lowest, max(lowest, p))
        return math.log(p / (1 - p))

    frames, expected = len(a), a[:, index].astype(float)
    loose = [float(a[max(0, t - 3) : t + 4, index].max()) for t in range(frames)]
    for block in range(0, frames, 1280):
        distance, likeness = steady_distance(a[max(0, block - 600) : block + 1280 + 600, index])
        steady = min(1.0, max(0.0, (likeness - 0.3) / 0.3))
        for t in range(block, min(frames, block + 1280)):
            near = [t + k * distance for k in (-2, -1, 1, 2) if distance and 0 <= t + k * distance < frames]
            if near and loose[t] >= 0.06:
                gap = median(sure(loose[s], 1e-2) for s in near) - sure(loose[t], 1e-2)
                if gap > 0 and steady > 0:
                    expected[t] = 1 / (1 + math.exp(-sure(float(a[t, index]), 1e-3) - up * steady * gap))
    return expected


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("frames", "noise", "up"), [(300, 0.05, 1.0), (1200, 0.3, 0.7), (1300, 0.2, 1.0), (3900, 0.25, 0.5)]
)
def test_what_the_rule_says_frame_by_frame(frames: int, noise: float, up: float) -> None:
    """Also at both ends of a song, at the ends of blocks, and where strokes are but half steady."""
    rng = np.random.default_rng(frames)
    a = np.maximum(even(frames)[0], (rng.random((frames, 6)) ** 8 * noise).astype(np.float32))
    a[:25, 4], a[-25:, 4] = 0.1, 0.1
    # Another tempo later on, which only blocks near it hear of.
    a[2000::31, 4] = 0.8
    weak = rng.random(frames) < 0.3
    a[weak, 4] *= np.float32(0.15)
    said = moved(a, OstinatoConfig(up=up))[:, 4]
    np.testing.assert_allclose(said, by_hand(a, 4, up), atol=2e-5)
    assert (said - a[:, 4]).max() > 0.1


def test_hidden_strokes_come_back() -> None:
    a, at = even()
    hidden = at[5::7]
    a[hidden, 4] = 0.15
    assert moved(a)[hidden, 4].min() > 0.5
    half = moved(a, OstinatoConfig(up=0.5))[hidden, 4]
    assert half.min() > 0.15 and half.max() < 0.6


def test_what_was_not_heard_at_all_stays_away() -> None:
    a, at = even()
    a[at[7] - 5 : at[7] + 6, 4] = 0.03
    said = moved(a)
    assert np.array_equal(said[at[7] - 2 : at[7] + 3], a[at[7] - 2 : at[7] + 3])
    # Nor between the strokes, nor anything less sure than it was.
    between = at[:-1] + EVERY // 2
    assert said[between, 4].max() < 0.1
    assert (said >= a - 1e-6).all()


def test_a_hand_that_stops_has_stopped() -> None:
    a, at = even()
    gone = at[40:]
    a[gone, 4] = 0.15
    said = moved(a)[gone, 4]
    # Of the four around a stroke three must be there: the first stroke after the end has two.
    assert said[1:].max() < 0.4


def test_groups_that_are_not_named_and_other_outputs_pass_unchanged() -> None:
    a, at = even()
    a[:, 0] = a[:, 4]
    a[at[5::7], :5] = 0.15
    assert np.array_equal(moved(a)[:, [0, 1, 2, 5]], a[:, [0, 1, 2, 5]])
    assert moved(a, OstinatoConfig(groups=("KD",)))[at[12], 0] > 0.5


def test_strokes_at_random_are_left_alone() -> None:
    rng = np.random.default_rng(5)
    a = np.full((3000, 5), 0.01, np.float32)
    at = np.sort(rng.choice(np.arange(20, 2980, 7), 90, replace=False))
    a[at, 4] = rng.uniform(0.1, 0.9, len(at))
    assert np.abs(moved(a) - a).max() < 0.15
    assert np.array_equal(moved(np.zeros((500, 5), np.float32)), np.zeros((500, 5)))


def test_the_distance_is_that_of_scipys_autocorrelation() -> None:
    a, _ = even(2400, jitter=0)
    distance, likeness = steady_distance(a[:, 4])
    assert distance == EVERY
    smooth = np.convolve(a[:, 4].astype(float), np.exp(-0.5 * np.square(np.arange(-6, 7) / 1.5)), "same")
    smooth -= smooth.mean()
    r = signal.correlate(smooth, smooth)[len(smooth) - 1 :]
    assert likeness == pytest.approx(r[EVERY] / r[0] * 2400 / (2400 - EVERY), rel=1e-9)
    assert likeness > 0.8


def strokes(every: int, heights: tuple[float, ...] = (0.8,), frames: int = 2480) -> np.ndarray:
    a = np.full(frames, 0.01)
    at = np.arange(0, frames, every)
    a[at] = np.resize(heights, len(at))
    return a


@pytest.mark.parametrize(
    ("every", "heights", "distance"),
    [
        (29, (0.9, 0.7), 29),  # an accent does not make it slower
        (29, (0.9, 0.45), 58),  # this one does
        (13, (0.8,), 13),
        (8, (0.8,), 16),  # faster than a hand goes on with: every second one
        (108, (0.8,), 108),
    ],
)
def test_the_shortest_distance_that_comes_back(every: int, heights: tuple[float, ...], distance: int) -> None:
    found, likeness = steady_distance(strokes(every, heights))
    assert found == distance and likeness > 0.75


def test_what_comes_back_too_slowly_or_too_seldom_is_none() -> None:
    assert steady_distance(strokes(115))[0] != 115
    # Four distances must fit.
    assert steady_distance(strokes(29, frames=125))[0] == 29
    assert steady_distance(strokes(29, frames=112))[0] == 0


@pytest.mark.parametrize("frames", [0, 1, 40])
def test_a_short_song_has_none(frames: int) -> None:
    a, _ = even(100)
    assert np.array_equal(moved(a[:frames]), a[:frames])
    assert steady_distance(np.ones(frames))[0] == 0


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4000))
def test_the_same_bits_however_the_frames_arrive(seed: int, frames: int) -> None:
    a = even(max(frames, 41), seed)[0][:frames]
    a[::3] *= 0.3
    whole = moved(a)
    assert whole.shape == a.shape and ((whole >= 0) & (whole <= 1)).all()
    cuts = np.sort(np.random.default_rng(seed).integers(0, frames + 1, 5))
    pieces = Ostinato(GROUPS, CONFIG).stream(np.split(a, cuts))
    assert np.array_equal(np.concatenate(list(pieces)), whole)


def test_memory_does_not_grow_with_the_song() -> None:
    ostinato, held = Ostinato(GROUPS, CONFIG), []
    for part in range(60):
        ostinato.push(even(300, part)[0])
        held.append(len(ostinato._rows))
    assert max(held[40:]) <= max(held[:40])
