"""Whole sessions go to one split, by a seeded order, near the share that was asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.dataset.splits import check_splits, linked_groups, split_sessions
from beatsight.errors import InputError
from beatsight.events import Component, Event
from beatsight.manifest.splitting.split_file import read_split


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


def event(session: str, drummer: str | None, kit: str | None, room: str | None) -> Event:
    return Event(
        sample_id="x", session_id=session, onset_time=0.0, components=[Component(label="kick")],
        drummer_id=drummer, kit_id=kit, room_id=room,
    )  # fmt: skip


def test_sessions_that_share_anything_are_one_group() -> None:
    events = [
        event("a", "ann", None, None),
        event("b", None, "k1", "r1"),
        event("c", None, "k2", "r1"),  # the room of b
        event("d", "ann", "k3", None),  # the drummer of a
        event("e", "k1", None, None),  # a drummer who is called like a kit
        event("a", "bob", None, None),  # a has two drummers
        event("f", "bob", None, None),
        event("elsewhere", "ann", "k1", "r1"),  # not asked for: it joins nothing
    ]
    assert linked_groups(events, ["a", "b", "c", "d", "e", "f", "g"]).tolist() == [0, 1, 1, 0, 2, 0, 3]


@settings(max_examples=100, deadline=None)
@given(moments(), FRACTIONS, st.integers(0, 5), st.lists(st.integers(0, 7), min_size=8, max_size=8))
def test_groups_stay_together_unless_a_note_says_so(
    table: tuple[np.ndarray, np.ndarray], fractions: tuple[float, float], seed: int, groups: list[int]
) -> None:
    sessions, labels = table
    split, notes = split_sessions(sessions, labels, fractions, seed, np.array(groups))
    of_moment = np.array(groups)[sessions]
    if not any(note.startswith("split by session alone") for note in notes):
        for group in np.unique(of_moment):
            assert len(np.unique(split[of_moment == group])) == 1
    else:
        alone, _ = split_sessions(sessions, labels, fractions, seed)
        np.testing.assert_array_equal(split, alone)


def test_ten_drummers_of_four_songs_each_are_split_by_drummer() -> None:
    sessions = np.repeat(np.arange(40), 5)
    drummer = np.arange(40) % 10
    split, notes = split_sessions(sessions, np.ones((200, 1)), (0.2, 0.1), 0, drummer)
    assert notes == []
    for number, share in ((1, 2), (2, 1)):
        assert len(np.unique(drummer[sessions[split == number]])) == share
    assert np.bincount(split).tolist() == [140, 40, 20]


@pytest.mark.parametrize(
    ("groups", "fractions", "why"),
    [
        ([0] * 12, (0.25, 0.0), "in whole groups, nothing is left for val"),
        ([0, 1] * 6, (0.25, 0.25), "in whole groups, nothing is left for test"),
        ([0, 1, 2] * 4, (1 / 12, 0.0), "whole groups would hold out 33% of the moments, wanted 8%"),
    ],
)
def test_where_groups_do_not_do_sessions_are_split_and_a_note_says_so(
    groups: list[int], fractions: tuple[float, float], why: str
) -> None:
    sessions = np.repeat(np.arange(12), 3)
    split, notes = split_sessions(sessions, np.ones((36, 1)), fractions, 0, np.array(groups))
    assert len(notes) == 1 and notes[0].endswith(why)
    assert notes[0].startswith("split by session alone, so training and held-out sessions share drummers")
    for number, fraction in enumerate(fractions, start=1):
        assert (split == number).sum() == round(36 * fraction)


def test_groups_that_would_cost_training_a_class_are_given_up() -> None:
    sessions = np.repeat(np.arange(4), 5)
    labels = np.zeros((20, 3), np.uint8)
    labels[:, 0] = 1
    labels[sessions < 2, 1] = 1
    labels[sessions >= 2, 2] = 1
    split, notes = split_sessions(sessions, labels, (0.25, 0.0), 0, np.array([0, 0, 1, 1]))
    assert np.bincount(split).tolist() == [15, 5]
    assert len(notes) == 1 and notes[0].endswith("in whole groups, training would lose 1 of the classes")


def test_a_split_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    content = {"parameters": {"seed": 1}, "sessions": {"a": "train", "b": "val", "c": None}, "notes": []}
    path.write_text(json.dumps(content))
    assert read_split(path) == {"a": "train", "b": "val", "c": None}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"sessions": {"a": 3}}', r"Expected `str \| null`, got `int` - at `\$\.sessions\[\.\.\.\]`"),
        ('{"a": "train"}', "missing required field `sessions`"),
        ('{"sessions": ', "is not a split of sessions: Input data was truncated"),
        (b"\xff\xfe", "is not a split of sessions"),
    ],
)
def test_a_faulty_split_file_is_refused(tmp_path: Path, text: str | bytes, why: str) -> None:
    path = tmp_path / "split.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=why) as caught:
        read_split(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("splits", "why"),
    [
        ({"a": "train"}, "f: has no split for 1 of the sessions, such as 'b'"),
        (
            {"a": "train", "b": "val", "d": "val", "c": None},
            "f: names 2 sessions without events, such as 'c'",
        ),
        ({"a": "train", "b": "dev"}, "f: session 'b' is in split 'dev'; known: train, val, test"),
        ({"a": None, "b": None}, "f: leaves every session out"),
    ],
)
def test_a_split_of_other_sessions_is_refused(splits: dict[str, str | None], why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_splits(splits, {"a", "b"}, "f")
