"""Blocks of a song: each sees what lies around it, however the frames arrive, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.models.song_blocks import LOWEST, BlockFilter, filtered, odds

COUNT, OUTPUTS = 2, 3


class Planted(BlockFilter):
    """Moves a frame by the weighted sum of all that it may see, and keeps what it was shown."""

    def __init__(self, block: int, margin: int) -> None:
        super().__init__(COUNT, block, margin)
        self.block, self.margin = block, margin
        self.shown: list[tuple[np.ndarray, slice]] = []

    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        self.shown.append((around.copy(), song))
        weights = 0.5 + np.arange(2 * self.margin + 1)
        windows = np.lib.stride_tricks.sliding_window_view(around, len(weights), axis=0)
        return windows @ weights / len(weights)


def song_of(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.01, 0.9, (frames, OUTPUTS)).astype(np.float32)


def by_hand(a: np.ndarray, margin: int) -> np.ndarray:
    """The planted rule for a song in memory, in float64 and without blocks."""
    expected = a.astype(np.float64)
    for frame in range(len(a)):
        for column in range(COUNT):
            seen = [
                (0.5 + k) * float(a[frame - margin + k, column])
                for k in range(2 * margin + 1)
                if 0 <= frame - margin + k < len(a)
            ]
            p = float(a[frame, column])
            moved = np.log(p / (1 - p)) + sum(seen) / (2 * margin + 1)
            expected[frame, column] = 1 / (1 + np.exp(-moved))
    return expected


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(0, 60),
    block=st.integers(1, 9),
    margin=st.integers(0, 12),
    cuts=st.lists(st.integers(0, 60), max_size=12),
)
def test_a_frame_is_moved_by_what_lies_around_it(
    frames: int, block: int, margin: int, cuts: list[int]
) -> None:
    a = song_of(frames)
    whole = filtered(a, [Planted(block, margin)])
    assert whole.shape == a.shape
    np.testing.assert_allclose(whole, by_hand(a, margin), atol=1e-5)
    pieces = np.split(a, sorted(cut for cut in cuts if cut <= frames))
    parts = list(Planted(block, margin).stream(pieces))
    assert all(len(part) for part in parts)
    assert np.array_equal(np.concatenate([a[:0], *parts]), whole)


@pytest.mark.parametrize(("block", "margin"), [(4, 6), (7, 3), (1, 0), (5, 5)])
def test_a_frame_is_given_as_soon_as_its_block_has_been_seen(block: int, margin: int) -> None:
    a, planted, given_out = song_of(41), Planted(block, margin), 0
    for frame in range(len(a)):
        given_out += len(planted.push(a[frame : frame + 1]))
        assert given_out == max(0, frame + 1 - margin) // block * block
        # What is held is what the next block may need.
        assert len(planted._rows) <= block + 2 * margin
    assert given_out + len(planted.finish()) == len(a)


@pytest.mark.parametrize("frames", [1, 5, 23])
def test_where_there_is_no_song_are_zeros_and_the_filter_is_told(frames: int) -> None:
    a, planted = song_of(frames), Planted(4, 6)
    filtered(a, [planted])
    assert len(planted.shown) == -(-frames // 4)
    for number, (around, song) in enumerate(planted.shown):
        assert around.shape == (16, COUNT)
        low = 4 * number - 6
        assert (song.start, song.stop) == (max(0, -low), min(16, frames - low))
        assert np.array_equal(around[song], a[max(0, low) : low + 16, :COUNT])
        assert not around[: song.start].any() and not around[song.stop :].any()


class Still(BlockFilter):
    """Moves every second frame, up."""

    def _shift(self, around: np.ndarray, song: slice) -> np.ndarray:
        return np.where(np.arange(10)[:, None] % 2 == 0, 0.0, 2.0) * np.ones(COUNT)


def test_frames_that_do_not_move_keep_their_bits_and_certainty_has_an_end() -> None:
    a = song_of(30)
    a[::6, 0], a[3::6, 0] = 0.0, 1.0
    before = a.copy()
    said = filtered(a, [Still(COUNT, 10, 2)])
    assert np.array_equal(a, before)
    assert np.array_equal(said[::2], a[::2]) and np.array_equal(said[:, COUNT:], a[:, COUNT:])
    assert said[3::6, 0] == pytest.approx(1 / (1 + LOWEST / (1 - LOWEST) * np.exp(-2.0)), rel=1e-6)
    assert odds(np.array([0.0, 1.0])) == pytest.approx([-np.log(999), np.log(999)])


def test_filters_come_one_after_the_other() -> None:
    a = song_of(50)
    once = filtered(a, [Planted(4, 6)])
    assert np.array_equal(
        filtered(a, [Planted(4, 6), Still(COUNT, 10, 2)]), filtered(once, [Still(COUNT, 10, 2)])
    )
    assert np.array_equal(filtered(a, []), a)
