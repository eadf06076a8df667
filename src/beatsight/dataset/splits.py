"""Which session goes to which split: its hits always stay together, and a drummer's too where possible.

Hits of one song (or one-shots of one kit) share drummer, room and gear; on both sides of a split they would
make validation look better than it is. Sessions that share a drummer, a kit or a room stay together as one
group, unless that costs training or validation too much; then a note says so, and sessions are split singly.
The split itself is :func:`beatsight.manifest.splitting.assign.assign_splits`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.manifest.splitting.assign import Assignment, SessionTable, assign_splits
from beatsight.manifest.splitting.grouping import SHARED_KEYS, connected_groups

SPLITS = ("train", "val", "test")
# Whole groups may hold out up to this many times what was asked. Three equal kits and the default of 15 %
# give 2.2; three kits and 8 % would give 4.2: a third of the training data for what was to be a small split.
_MOST_HELD_OUT = 3.0


def check_splits(splits: Mapping[str, str | None], sessions: Collection[str], where: str) -> None:
    """Refuse a split that does not name exactly these sessions; ``where`` is named in the error.

    Raises:
        InputError: a session without a split, a split of an unknown session, or of an unknown name.
    """
    if missing := sorted(set(sessions) - splits.keys()):
        raise InputError(f"{where}: has no split for {len(missing)} of the sessions, such as {missing[0]!r}")
    if unknown := sorted(splits.keys() - set(sessions)):
        raise InputError(f"{where}: names {len(unknown)} sessions without events, such as {unknown[0]!r}")
    for session, split in splits.items():
        if split is not None and split not in SPLITS:
            raise InputError(
                f"{where}: session {session!r} is in split {split!r}; known: {', '.join(SPLITS)}"
            )
    if not any(splits.values()):
        raise InputError(f"{where}: leaves every session out")


def linked_groups(events: Sequence[Event], sessions: Sequence[str]) -> np.ndarray:
    """Group number of each session: those that share a drummer, a kit or a room have the same one.

    Args:
        events: any events; those of other sessions are passed over.
        sessions: session ids, in the order of the result.

    Returns:
        int64, shape (sessions,).
    """
    index = {session: number for number, session in enumerate(sessions)}
    keys: dict[tuple[str, str], int] = {}
    pairs: set[tuple[int, int]] = set()
    for event in events:
        if event.session_id in index:
            for name in SHARED_KEYS:
                if (value := getattr(event, name)) is not None:
                    pairs.add((index[event.session_id], keys.setdefault((name, value), len(keys))))
    edges = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return connected_groups(len(sessions), edges[:, 0], edges[:, 1])


def split_sessions(
    sessions: np.ndarray,
    labels: np.ndarray,
    fractions: tuple[float, float],
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Assign whole sessions to train, val and test.

    Val and test do not take the last session of training that holds some class, unless one of them would stay
    empty; then a note says so. The last session is always training's.

    Args:
        sessions: session index per moment, int, shape (n,).
        labels: 0/1 per moment and class, shape (n, classes).
        fractions: share of moments wanted in val and in test.
        seed: of the choice among equals.
        groups: group number by session index; sessions of one group stay together if that leaves enough to
            train on and to hold out. By default every session is its own group.

    Returns:
        split index per moment (0 train, 1 val, 2 test), uint8; and notes on what could not be had.
    """
    if not len(sessions):
        return np.zeros(0, np.uint8), []
    present, inverse = np.unique(sessions, return_inverse=True)
    single = np.arange(len(present))
    counts = np.zeros((len(present), labels.shape[1]), np.int64)
    np.add.at(counts, inverse, labels.astype(np.int64))
    by_session = _assign(single, counts, np.bincount(inverse), fractions, seed)
    made, notes = by_session, []
    if groups is not None and len(np.unique(groups[present])) < len(present):
        by_group = _assign(groups[present], counts, np.bincount(inverse), fractions, seed)
        reason = _why_not(by_group, by_session, fractions)
        if reason:
            notes.append(
                "split by session alone, so training and held-out sessions share drummers, kits or rooms: "
                f"{reason}"
            )
        else:
            made = by_group
    return made.split.astype(np.uint8)[inverse], [*notes, *_notes(made)]


def _assign(
    group: np.ndarray, counts: np.ndarray, moments: np.ndarray, fractions: tuple[float, float], seed: int
) -> Assignment:
    # Leading zeros, so that names sort like numbers.
    names = tuple(f"{number:09d}" for number in range(len(group)))
    classes = tuple(str(number) for number in range(counts.shape[1]))
    table = SessionTable(names, group, classes, counts, moments, np.zeros(len(group), np.int64))
    wanted = dict(zip(SPLITS, (max(0.0, 1.0 - sum(fractions)), *fractions), strict=True))
    return assign_splits(table, wanted, seed=seed)


def _lost(made: Assignment) -> dict[str, int]:
    """How many classes lie in a held-out split and not in training, by split."""
    train = made.labels["train"]
    return {
        name: sum(share.count > 0 and not train[label].count for label, share in made.labels[name].items())
        for name in SPLITS[1:]
    }


def _why_not(by_group: Assignment, by_session: Assignment, fractions: tuple[float, float]) -> str:
    """Why whole groups do not do; empty when they do."""
    for name in SPLITS[1:]:
        if by_session.events[name].count and not by_group.events[name].count:
            return f"in whole groups, nothing is left for {name}"
    held, single = (1.0 - made.events["train"].share for made in (by_group, by_session))
    if held > max(single, _MOST_HELD_OUT * sum(fractions)):
        return f"whole groups would hold out {held:.0%} of the moments, wanted {sum(fractions):.0%}"
    classes = sum(_lost(by_group).values())
    if classes > sum(_lost(by_session).values()):
        return f"in whole groups, training would lose {classes} of the classes"
    return ""


def _notes(made: Assignment) -> list[str]:
    notes = []
    for name, lost in _lost(made).items():
        if made.events[name].wanted > 0 and not made.events[name].count:
            notes.append(f"nothing is held out for {name}: there is no session to spare")
        elif lost:
            notes.append(f"{name} holds the only moments of {lost} of the classes: too few sessions")
    return notes


@dataclass(frozen=True)
class SplitPlan:
    """How the sessions of a dataset are to be split.

    Attributes:
        fractions: share of moments wanted in val and in test.
        test_sessions: sessions that are the test split, whatever the fractions.
        splits: the split of every session instead, None where it is left out.
        seed: of the choice among equals.
        events: all events of the dataset.
    """

    fractions: tuple[float, float]
    test_sessions: tuple[str, ...]
    splits: Mapping[str, str | None] | None
    seed: int
    events: Sequence[Event]

    def split(
        self, sessions: list[str], session: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, list[str]]:
        """Split index per moment, uint8, and notes; ``session`` counts in the sorted list ``sessions``."""
        if self.splits is not None:
            given = np.array([SPLITS.index(self.splits[name] or "") for name in sessions], np.uint8)
            out = sum(split is None for split in self.splits.values())
            note = f"{out} of {len(self.splits)} sessions are left out, as the given split says"
            return given[session], [note] if out else []
        fixed = np.isin(session, [sessions.index(name) for name in self.test_sessions])
        free = np.flatnonzero(~fixed)
        split = np.full(len(fixed), SPLITS.index("test"), np.uint8)
        # Test sessions that are asked for by name bind nobody: who shares a kit with them may still train.
        tested = set(self.test_sessions)
        links = linked_groups([event for event in self.events if event.session_id not in tested], sessions)
        split[free], notes = split_sessions(session[free], labels[free], self.fractions, self.seed, links)
        return split, notes
