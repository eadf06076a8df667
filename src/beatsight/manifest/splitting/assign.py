"""Sessions into splits: whole groups only, every label divided like the whole, few synthetic events, seeded.

The same sessions, seed and shares give the same splits, whatever the order of the sessions. What could not be
balanced is said in :attr:`Assignment.notes`. How groups are placed:
:mod:`beatsight.manifest.splitting.stratify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from beatsight.errors import InputError
from beatsight.manifest.splitting.grouping import first_come
from beatsight.manifest.splitting.split_notes import LEFT_OUT, Outcome, Share, training_split
from beatsight.manifest.splitting.stratify import Stratifier

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class SessionTable:
    """What is known of each session before the split.

    Attributes:
        names: session ids, all different, n of them.
        group: sessions of one group stay together (:func:`connected_groups`), int, shape (n,).
        labels: label names.
        counts: hits per session and label, int, shape (n, labels).
        events: events per session, 1 or more, int, shape (n,).
        synthetic: how many of them are synthetic, int, shape (n,).
    """

    names: tuple[str, ...]
    group: np.ndarray
    labels: tuple[str, ...]
    counts: np.ndarray
    events: np.ndarray
    synthetic: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.names)
        if not n:
            raise InputError("there is no session to split")
        shapes = {"group": (n,), "counts": (n, len(self.labels)), "events": (n,), "synthetic": (n,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} of the sessions is {getattr(self, name).shape}, not {shape}")
        if len(set(self.names)) != n:
            raise InputError("a session is named twice")
        if (self.counts < 0).any() or (self.events < 1).any():
            raise InputError("a session has no events, or a negative count")
        if ((self.synthetic < 0) | (self.synthetic > self.events)).any():
            raise InputError("a session has more synthetic events than events, or fewer than none")


@dataclass(frozen=True)
class Assignment:
    """Which session goes where.

    Attributes:
        splits: names of the splits, in the order of ``fractions``.
        split: index into ``splits`` per session, -1 where it is left out, int64, shape (n,).
        notes: in plain words, what could not be balanced.
        events, synthetic: per split name.
        labels: per split name and label.
    """

    splits: tuple[str, ...]
    split: np.ndarray
    notes: list[str]
    events: dict[str, Share]
    synthetic: dict[str, Share]
    labels: dict[str, dict[str, Share]]


def assign_splits(
    table: SessionTable,
    fractions: Mapping[str, float],
    *,
    seed: int = 0,
    synthetic_cap: float | None = None,
) -> Assignment:
    """Assign every session to a split, whole groups only.

    Every split with a share above 0 gets a group as long as there are groups. Then the training split (the
    one named ``train``, or the first) keeps every label that there is, unless a split would stay empty; then
    the shares of labels and events come as close to the wanted ones as whole groups allow.

    Args:
        table: the sessions.
        fractions: wanted share of the events by split name, each 0..1, sum 1; a share of 0 gets nothing.
        seed: of the choice among equals.
        synthetic_cap: largest share of synthetic events in each split, 0..1. Where it is exceeded, sessions
            that are wholly synthetic are left out, never real ones; those with the last hits of a label last.

    Raises:
        InputError: shares that do not add up to 1, a cap outside 0..1, a negative seed.

    >>> two = SessionTable(("a", "b", "c"), np.array([0, 1, 1]), ("kick",), np.array([[6], [1], [2]]),
    ...                    np.array([6, 1, 2]), np.zeros(3, int))
    >>> made = assign_splits(two, {"train": 0.7, "val": 0.3})
    >>> [made.splits[s] for s in made.split], made.labels["val"]["kick"].count, made.notes
    (['train', 'val', 'val'], 3, [])
    """
    _check(fractions, seed, synthetic_cap)
    # The order of names, not of the input, decides everything from here on.
    order = np.array(sorted(range(len(table.names)), key=table.names.__getitem__))
    names = [table.names[i] for i in order]
    counts, events, synthetic = (
        np.asarray(column)[order].astype(np.int64) for column in (table.counts, table.events, table.synthetic)
    )
    group = first_come(np.asarray(table.group)[order])
    rng = np.random.default_rng(seed)
    turn = rng.permutation(len(names))
    everyone = np.ones(len(names), bool)
    cap = 1.0 if synthetic_cap is None else synthetic_cap
    kept = ~_over_cap(everyone, counts, events, synthetic, cap, turn)
    split = np.full(len(names), LEFT_OUT, np.int64)
    split[kept] = _split_groups(group[kept], counts[kept], events[kept], synthetic[kept], fractions, rng)
    for index in range(len(fractions)):
        split[_over_cap(split == index, counts, events, synthetic, cap, turn)] = LEFT_OUT
    made = Outcome(names, group, table.labels, counts, events, synthetic, dict(fractions), split)
    by_session = np.empty(len(names), np.int64)
    by_session[order] = split
    by_label = made.label_shares()
    return Assignment(
        splits=tuple(fractions),
        split=by_session,
        notes=[*made.group_notes(), *made.label_notes(), *made.synthetic_notes(synthetic_cap)],
        events=made.shares(events),
        synthetic=made.shares(synthetic),
        labels={name: {label: shares[name] for label, shares in by_label.items()} for name in fractions},
    )


def _check(fractions: Mapping[str, float], seed: int, cap: float | None) -> None:
    if not all(isfinite(value) and 0.0 <= value <= 1.0 for value in fractions.values()):
        raise InputError(f"shares of the splits must lie in 0..1, not {dict(fractions)}")
    if abs(sum(fractions.values()) - 1.0) > _SUM_TOLERANCE:
        raise InputError(f"shares of the splits must add up to 1, not {sum(fractions.values()):g}")
    if cap is not None and not 0.0 <= cap <= 1.0:
        raise InputError(f"the cap on synthetic events must lie in 0..1, not {cap}")
    if seed < 0:
        raise InputError(f"seed must not be negative, not {seed}")


def _over_cap(
    members: np.ndarray,
    counts: np.ndarray,
    events: np.ndarray,
    synthetic: np.ndarray,
    cap: float,
    turn: np.ndarray,
) -> np.ndarray:
    """The wholly synthetic sessions to leave out of ``members`` so that the cap holds, bool, shape (n,)."""
    out = np.zeros(len(members), bool)
    total, made = int(events[members].sum()), int(synthetic[members].sum())
    left = counts[members].sum(axis=0)
    candidates = turn[(members & (synthetic == events))[turn]]
    for careful in (True, False):
        for session in candidates:
            if made <= cap * total:
                return out
            last = ((counts[session] > 0) & (counts[session] == left)).any()
            if out[session] or (careful and last):
                continue
            out[session] = True
            total, made = total - int(events[session]), made - int(synthetic[session])
            left = left - counts[session]
    return out


def _split_groups(
    group: np.ndarray,
    counts: np.ndarray,
    events: np.ndarray,
    synthetic: np.ndarray,
    fractions: Mapping[str, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Index of the split per session; with fewer groups than splits, the later splits get nothing."""
    if not len(group):
        return np.zeros(0, np.int64)
    group = first_come(group)
    n_groups = int(group.max()) + 1
    shares = np.array(list(fractions.values()))
    training = training_split(fractions)
    wanted = np.flatnonzero(shares > 0)
    if len(wanted) > n_groups:
        # Training is served first, then the others in their order.
        first = sorted(wanted, key=lambda index: (index != training, index))[:n_groups]
        wanted = np.array(sorted(first))
    hits = np.zeros((n_groups, counts.shape[1]), np.int64)
    np.add.at(hits, group, counts)
    sizes = np.stack([np.bincount(group, weights=c, minlength=n_groups) for c in (events, synthetic)], axis=1)
    where = np.flatnonzero(wanted == training)
    part = shares[wanted] / shares[wanted].sum()
    placed = Stratifier(hits, sizes, part, int(where[0]) if len(where) else None, rng).place()
    return wanted[placed][group]
