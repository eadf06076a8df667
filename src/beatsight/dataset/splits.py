"""Which session goes to which split: a session's hits always stay together.

Hits of one song (or one-shots of one kit) share drummer, room and gear; on both sides of a split they would
make validation look better than it is.
"""

from __future__ import annotations

import numpy as np


def split_sessions(
    sessions: np.ndarray, labels: np.ndarray, fractions: tuple[float, float], seed: int
) -> tuple[np.ndarray, list[str]]:
    """Assign whole sessions to train, val and test.

    Sessions are drawn in a seeded order; each of val and test takes those that bring its share of moments
    closest to what is asked, and not the last session of training that holds some class. Where that takes
    none, the session that costs training the fewest classes is held out after all, and a note says so; the
    last session is always training's.

    Args:
        sessions: session index per moment, int, shape (n,).
        labels: 0/1 per moment and class, shape (n, classes).
        fractions: share of moments wanted in val and in test.
        seed: of the order.

    Returns:
        split index per moment (0 train, 1 val, 2 test), uint8; and notes on what could not be had.
    """
    count = int(sessions.max()) + 1 if len(sessions) else 0
    sizes = np.bincount(sessions, minlength=count)
    holds = np.zeros((count, labels.shape[1]), np.int64)
    np.add.at(holds, sessions, labels.astype(np.int64))
    order = np.random.default_rng(seed).permutation(count)
    left = holds.sum(axis=0)  # moments per class that training still holds
    split = np.zeros(count, np.uint8)
    notes = []
    for index, (name, fraction) in enumerate(zip(("val", "test"), fractions, strict=True), start=1):
        if fraction <= 0:
            continue
        wanted = fraction * len(sessions)
        taken = 0.0
        for session in order:
            if split[session] or not sizes[session]:
                continue
            keeps_classes = ((left > holds[session]) | (holds[session] == 0)).all()
            closer = abs(taken + sizes[session] - wanted) < abs(taken - wanted)
            spare = np.count_nonzero((split == 0) & (sizes > 0)) > 1
            if keeps_classes and closer and spare:
                split[session] = index
                taken += sizes[session]
                left = left - holds[session]
        if taken:
            continue
        free = [session for session in order if not split[session] and sizes[session]]
        if len(free) < 2:
            notes.append(f"nothing is held out for {name}: there is no session to spare")
            continue
        lost = [int(((left <= holds[s]) & (holds[s] > 0)).sum()) for s in free]
        session = min(zip(lost, sizes[free], free, strict=True))[2]
        split[session] = index
        left = left - holds[session]
        if min(lost):
            notes.append(f"{name} holds the only moments of {min(lost)} of the classes: too few sessions")
    return split[sessions], notes
