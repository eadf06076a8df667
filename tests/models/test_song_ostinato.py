"""Even strokes as evidence: planted rides with some hidden, a hand that stops, strokes that keep no time."""

from __future__ import annotations

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
