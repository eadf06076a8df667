"""Repetition as evidence: planted bars with one hit hidden, one invented, one played once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.models.song_blocks import filtered
from beatsight.models.song_repetition import Repetition, RepetitionConfig, _evidence

GROUPS = ("KD", "SD", "TT", "HH", "CY")
CONFIG = RepetitionConfig()
BAR = 200


def reinforced(a: np.ndarray, config: RepetitionConfig = CONFIG) -> np.ndarray:
    return filtered(a, [Repetition(GROUPS, config)])


def bars(count: int = 16, seed: int = 0, drift: float = 0.0) -> np.ndarray:
    """A rock beat, 2 s a bar, with noise; columns as the network's, one more beside the groups."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0.005, 0.03, (count * BAR, 6)).astype(np.float32)
    for bar in range(count):
        for column, places in ((0, (0, 100)), (1, (50, 150)), (3, range(0, BAR, 25))):
            for place in places:
                at = min(len(a) - 1, round(bar * BAR * (1 + drift) + place))
                a[at, column] = rng.uniform(0.75, 0.95)
    return a


def test_a_hidden_hit_comes_back_and_an_invented_one_goes() -> None:
    a = bars()
    hidden, invented = 7 * BAR + 75, 9 * BAR + 60
    a[hidden, 3], a[invented, 4] = 0.2, 0.6
    said = reinforced(a)
    assert said[hidden, 3] > 0.6
    assert said[invented, 4] < 0.3
    ordinary = said[6 * BAR + np.arange(0, BAR, 25), 3]
    assert ordinary.min() > 0.6


def test_a_fill_is_spared() -> None:
    a = bars()
    a[8 * BAR + 140 : 8 * BAR + 200 : 12, 2] = 0.85
    said = reinforced(a)
    assert said[8 * BAR + 140 : 8 * BAR + 200 : 12, 2].min() > 0.5
    # Were toms treated like the others, the fill would go.
    harsh = reinforced(a, RepetitionConfig(fills=()))
    assert harsh[8 * BAR + 140, 2] < said[8 * BAR + 140, 2]


def test_nothing_moves_where_nothing_repeats() -> None:
    rng = np.random.default_rng(3)
    a = np.full((1500, 5), 0.01, np.float32)
    at = np.sort(rng.choice(np.arange(20, 1480, 7), 12, replace=False))
    a[at, rng.integers(0, 5, 12)] = 0.8
    said = reinforced(a)
    moved = np.abs(said - a)[a > 0.5]
    assert np.median(moved) < 0.35 and moved.max() < 0.6
    silence = np.zeros((900, 5), np.float32)
    assert reinforced(silence).max() <= 0.002


def test_hits_stay_where_they_are_when_the_tempo_drifts() -> None:
    a = bars(drift=0.002)
    said = reinforced(a)
    peaks = a[:, 3] > 0.5
    assert said[peaks, 3].min() > 0.5
    assert said[~peaks, 3].max() < 0.5


def test_the_other_outputs_pass_unchanged() -> None:
    a = bars()
    assert np.array_equal(reinforced(a)[:, 5], a[:, 5])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4000))
def test_the_same_bits_however_the_frames_arrive(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    a = np.square(rng.random((frames, 6))).astype(np.float32)
    whole = reinforced(a)
    assert whole.shape == a.shape and ((whole >= 0) & (whole <= 1)).all()
    cuts = np.sort(rng.integers(0, frames + 1, 5))
    pieces = Repetition(GROUPS, CONFIG).stream(np.split(a, cuts))
    assert np.array_equal(np.concatenate(list(pieces)), whole)


def test_evidence_is_that_of_moments_alike() -> None:
    """The rule for single frames, worked out in float64 and without sums that go on."""
    rng = np.random.default_rng(4)
    features = np.square(rng.random((640 + 2 * 810, 3))).astype(np.float32)
    # Something that comes round, and a quiet place after a loud one.
    features[::37] *= np.float32([3.0, 1.0, 2.0])
    features[1300:1420] *= np.float32(0.01)
    loose = rng.random(features.shape).astype(np.float32)
    others, worth = _evidence(features, loose)
    f = features.astype(float)
    for frame in (0, 1, 63, 64, 300, 500, 550, 639):
        at, total, said = 810 + frame, 0.0, np.zeros(3)
        here = f[at - 60 : at + 61]
        for away in [*range(-750, -19), *range(20, 751)]:
            there = f[at + away - 60 : at + away + 61]
            sizes = np.sqrt(((here**2).sum() + 1e-3) * ((there**2).sum() + 1e-3))
            weight = max(0.0, (here * there).sum() / sizes - 0.3) ** 2
            total, said = total + weight, said + weight * loose[at + away]
        assert others[frame] == pytest.approx(said / total, abs=1e-4)
        assert worth[frame, 0] == pytest.approx(total / (total + 0.1), rel=1e-3)  # float32 sums


def test_memory_does_not_grow_with_the_song() -> None:
    repetition, held = Repetition(GROUPS, CONFIG), []
    for bar in range(60):
        repetition.push(bars(1, seed=bar))
        held.append(len(repetition._rows))
    assert max(held[40:]) <= max(held[:40])


def test_far_away_bars_say_nothing() -> None:
    """Fifteen seconds are as far as it looks: the middle of one part knows nothing of the other."""
    first, second = bars(20), bars(20, seed=1)
    second[:, 4] = 0.9
    together = reinforced(np.concatenate([first, second]))[: len(first)]
    alone = reinforced(np.concatenate([first, np.zeros_like(second)]))[: len(first)]
    # 15 s and half of the 2.4 s that are compared, and what a peak is loose by.
    far = len(first) - 1630
    assert together[:far] == pytest.approx(alone[:far], abs=1e-6)
    assert not np.allclose(together[far + 100 :], alone[far + 100 :], atol=1e-3)
