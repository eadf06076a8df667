"""Peaks of activations: planted ones are found, at the fraction of a frame at which they lie."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import argrelmax

from beatsight.audio.peaks import REACH, find_peaks


def triangle(position: float, frames: int = 40, height: float = 1.0) -> np.ndarray:
    return height * np.maximum(0.0, 1.0 - np.abs(np.arange(frames) - position) / 2.0)


@given(st.floats(5.0, 35.0))
def test_the_centre_of_gravity_tells_the_fraction(position: float) -> None:
    found = find_peaks(triangle(position), 0.4)
    assert len(found.frames) == 1
    assert abs(found.positions[0] - position) < 0.15


def test_a_flam_of_30_ms_is_two_peaks_and_one_of_10_ms_is_one() -> None:
    assert len(find_peaks(np.maximum(triangle(10.0), triangle(13.0)), 0.4).frames) == 2
    assert len(find_peaks(np.maximum(triangle(10.0), triangle(11.0)), 0.4).frames) == 1


def test_a_plateau_is_one_peak_at_its_beginning() -> None:
    assert find_peaks(np.array([0, 0.1, 0.6, 0.6, 0.1, 0, 0]), 0.3).frames.tolist() == [2]


def test_peaks_at_the_very_ends_are_found() -> None:
    activation = np.zeros(20)
    activation[[0, 19]] = 0.9
    assert find_peaks(activation, 0.5).frames.tolist() == [0, 19]


def test_peaks_are_scipys_local_maxima() -> None:
    activation = np.random.default_rng(3).random(500)
    expected = [int(i) for i in argrelmax(activation, order=REACH, mode="clip")[0] if activation[i] >= 0.5]
    found = [f for f in find_peaks(activation, 0.5).frames.tolist() if REACH <= f < 500 - REACH]
    assert found == [i for i in expected if REACH <= i < 500 - REACH]
