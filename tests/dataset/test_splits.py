"""Whole sessions go to one split, by a seeded order, near the share that was asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.dataset.splits import split_sessions


@st.composite
def moments(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    sessions = np.array(draw(st.lists(st.integers(0, 7), min_size=1, max_size=60)))
    labels = draw(st.lists(st.integers(0, 7), min_size=len(sessions), max_size=len(sessions)))
    return sessions, (np.array(labels)[:, None] >> np.arange(3)) & 1


FRACTIONS = st.tuples(st.floats(0, 0.45), st.floats(0, 0.45))


@settings(max_examples=100, deadline=None)
@given(moments(), FRACTIONS, st.integers(0, 5))
def test_a_session_is_never_on_two_sides(
    table: tuple[np.ndarray, np.ndarray], fractions: tuple[float, float], seed: int
) -> None:
    sessions, labels = table
    split, _ = split_sessions(sessions, labels, fractions, seed)
    assert split.shape == sessions.shape
    for session in np.unique(sessions):
        assert len(np.unique(split[sessions == session])) == 1


@settings(max_examples=100, deadline=None)
@given(moments(), FRACTIONS, st.integers(0, 5))
def test_training_keeps_every_class_and_the_seed_decides(
    table: tuple[np.ndarray, np.ndarray], fractions: tuple[float, float], seed: int
) -> None:
    sessions, labels = table
    split, notes = split_sessions(sessions, labels, fractions, seed)
    kept = (labels[split == 0].any(axis=0) == labels.any(axis=0)).all()
    assert kept or any("holds the only moments" in note for note in notes)
    assert (split == 0).any()
    again, same_notes = split_sessions(sessions, labels, fractions, seed)
    np.testing.assert_array_equal(again, split)
    assert same_notes == notes


def test_shares_are_close_to_what_was_asked() -> None:
    sessions = np.repeat(np.arange(40), 10)
    labels = np.tile(np.eye(2, dtype=np.uint8), (200, 1))
    split, notes = split_sessions(sessions, labels, (0.2, 0.1), 0)
    assert np.bincount(split).tolist() == [280, 80, 40]
    assert notes == []
    other, _ = split_sessions(sessions, labels, (0.2, 0.1), 1)
    assert (other != split).any()


def test_one_session_cannot_be_split_and_a_note_says_so() -> None:
    split, notes = split_sessions(np.zeros(10, np.int32), np.ones((10, 1)), (0.2, 0.0), 0)
    assert not split.any()
    assert notes == ["nothing is held out for val: there is no session to spare"]


def test_training_keeps_the_last_session() -> None:
    split, notes = split_sessions(np.array([0, 1]), np.zeros((2, 3), np.uint8), (0.25, 0.375), 0)
    assert np.bincount(split, minlength=3).tolist() == [1, 1, 0]
    assert notes == ["nothing is held out for test: there is no session to spare"]


def test_of_two_sessions_one_is_held_out_even_if_that_costs_a_class() -> None:
    sessions = np.repeat([0, 1], [6, 4])
    labels = np.zeros((10, 3), np.uint8)
    labels[:, 0] = 1
    labels[sessions == 0, 1:] = 1  # holding session 0 out would cost two classes, session 1 none
    split, notes = split_sessions(sessions, labels, (0.1, 0.0), 0)
    assert (split == (sessions == 1)).all() and notes == []
    labels[:, 1], labels[:, 2] = sessions == 0, sessions == 1  # now either costs one; 1 is the smaller
    split, notes = split_sessions(sessions, labels, (0.1, 0.0), 0)
    assert (split == (sessions == 1)).all()
    assert notes == ["val holds the only moments of 1 of the classes: too few sessions"]


def test_the_only_session_with_a_class_stays_in_training() -> None:
    sessions = np.repeat(np.arange(10), 4)
    labels = np.ones((40, 2), np.uint8)
    labels[:, 1] = sessions == 3
    for seed in range(20):
        split, _ = split_sessions(sessions, labels, (0.4, 0.3), seed)
        assert not split[sessions == 3].any()
        assert (split == 1).any() and (split == 2).any()


def test_no_fractions_is_all_training() -> None:
    split, notes = split_sessions(np.arange(5), np.ones((5, 1)), (0.0, 0.0), 0)
    assert not split.any() and notes == []
