"""Whether anybody drums: planted weak hits alone, near a sure one, and far from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter1d

from beatsight.models.song_blocks import filtered
from beatsight.models.song_presence import Presence, PresenceConfig

GROUPS, ONSETS = 2, 3
CONFIG = PresenceConfig()


def told(a: np.ndarray, config: PresenceConfig = CONFIG) -> np.ndarray:
    return filtered(a, [Presence(GROUPS, ONSETS, config)])


def song(*hits: tuple[int, int, float], frames: int = 6000) -> np.ndarray:
    """Two groups, a tambourine, and one output that is no onset."""
    a = np.full((frames, 4), 0.01, np.float32)
    for frame, column, height in hits:
        a[frame, column] = height
    return a


def test_weak_hits_alone_are_believed_less() -> None:
    said = told(song((500, 0, 0.45), (520, 1, 0.5), (530, 2, 0.9)))
    # Log-odds less three: a tambourine, which needs a drummer, also.
    assert said[500, 0] == pytest.approx(1 / (1 + np.exp(3 - np.log(0.45 / 0.55))), abs=1e-5)
    assert said[520, 1] < 0.06 and said[530, 2] < 0.35


def test_what_is_not_an_onset_stays() -> None:
    a = song((500, 3, 0.8))
    assert np.array_equal(told(a)[:, 3], a[:, 3])


def test_one_sure_hit_within_fifteen_seconds_is_enough() -> None:
    a = song((500, 0, 0.45), (1990, 1, 0.75), (5000, 0, 0.45))
    said = told(a)
    assert said[500, 0] == a[500, 0] and said[1990, 1] == a[1990, 1]
    assert said[5000, 0] < 0.1


def test_fifteen_seconds_are_as_far_as_it_looks() -> None:
    for frame in (1000, 2999):  # in the first block, and in the third one's past
        said = told(song((frame, 0, 0.4), (frame + 1500, 1, 0.9), (frame + 1501, 0, 0.4)))
        assert said[frame, 0] == np.float32(0.4) and said[frame + 1501, 0] == np.float32(0.4)
        said = told(song((frame, 0, 0.4), (frame + 1501, 1, 0.9)))
        assert said[frame, 0] < 0.1


def test_how_far_they_fall_is_set() -> None:
    said = told(song((500, 0, 0.45)), PresenceConfig(down=1.0))
    assert said[500, 0] == pytest.approx(1 / (1 + np.exp(1 - np.log(0.45 / 0.55))), abs=1e-5)


def test_between_unsure_and_sure_it_is_gradual() -> None:
    heights = [told(song((50, 0, height), (80, 1, 0.3)))[80, 1] for height in (0.45, 0.55, 0.6, 0.65, 0.75)]
    assert heights == sorted(heights) and len(set(heights)) == 5


def test_a_tambourine_alone_tells_of_no_drummer() -> None:
    said = told(song((500, 2, 0.95), (520, 0, 0.4)))
    assert said[520, 0] < 0.1


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5000))
def test_what_scipys_maximum_says_and_the_same_bits_however_the_frames_arrive(seed: int, frames: int) -> None:
    rng = np.random.default_rng(seed)
    a = (rng.random((frames, 4)) ** 60 * 0.8 + 0.01).astype(np.float32)
    whole = told(a)
    near = maximum_filter1d(a[:, :GROUPS].max(axis=1), 3001, mode="constant")
    at = np.arange(frames)
    heard = np.minimum(frames, at + 1501) - np.maximum(0, at - 1500)
    down = 3.0 * (np.clip((0.7 - near) / 0.2, 0, 1) * np.clip(heard / 500, 0, 1))[:, None]
    expected = 1 / (1 + np.exp(down - np.log(a[:, :3] / (1 - a[:, :3]))))
    np.testing.assert_allclose(whole[:, :3], expected, atol=1e-5)
    cuts = np.sort(rng.integers(0, frames + 1, 5))
    pieces = Presence(GROUPS, ONSETS, CONFIG).stream(np.split(a, cuts))
    assert np.array_equal(np.concatenate(list(pieces)), whole)


def test_a_moment_of_audio_tells_little() -> None:
    """One half-believed stroke alone is a stroke; five seconds of nothing else are needed to doubt it."""
    heights = [told(song((50, 0, 0.45), frames=frames))[50, 0] for frames in (100, 250, 499, 501, 2000)]
    assert heights[0] == pytest.approx(1 / (1 + np.exp(3 * 100 / 500 - np.log(0.45 / 0.55))), abs=1e-5)
    assert heights[0] > heights[1] > heights[2] > heights[3] == heights[4]
