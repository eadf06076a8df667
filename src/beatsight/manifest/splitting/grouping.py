"""Which sessions must stay together: those that share a drummer, a kit or a room, directly or through others.

A session may have several drummers, kits and rooms, so the input is a list of pairs (session, key), where a
key stands for one drummer, one kit or one room. Sessions that are joined by a chain of shared keys are one
group: a connected component of the graph of sessions and keys.
"""

from __future__ import annotations

import numpy as np

from beatsight.errors import InputError

# Keys of an event whose values may not stand on two sides of a split, besides the session itself.
SHARED_KEYS = ("drummer_id", "kit_id", "room_id")


def connected_groups(n_sessions: int, session: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Number the groups of sessions that share keys.

    Args:
        n_sessions: how many sessions there are; one without any key is a group of its own.
        session: session index 0..n_sessions-1 of each pair, int, shape (pairs,).
        key: key number, 0 or more, of each pair, int, shape (pairs,). A drummer and a kit of one name need
            different numbers. Pairs may repeat; an unknown drummer is no pair.

    Returns:
        group number per session, int64, shape (n_sessions,); numbered by their first session.

    Raises:
        InputError: the two lists differ in length, or an index is out of range.

    Sessions 0 and 2 share key 7, sessions 2 and 3 share key 1; session 1 shares nothing:

    >>> connected_groups(4, np.array([0, 2, 2, 3, 1]), np.array([7, 7, 1, 1, 4])).tolist()
    [0, 1, 0, 0]
    """
    # Imported here: it takes as long as many a command that never asks for groups.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    session, key = np.asarray(session, np.int64), np.asarray(key, np.int64)
    if session.ndim != 1 or session.shape != key.shape:
        raise InputError(
            f"sessions and keys must be two lists of one length, not {session.shape}, {key.shape}"
        )
    if len(session) and (session.min() < 0 or session.max() >= n_sessions or key.min() < 0):
        raise InputError(f"a session index lies outside 0..{n_sessions - 1}, or a key number is negative")
    distinct, column = np.unique(key, return_inverse=True)
    size = n_sessions + len(distinct)
    ones = np.ones(len(session), np.int8)
    graph = coo_array((ones, (session, n_sessions + column)), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    return first_come(found[:n_sessions])


def first_come(values: np.ndarray) -> np.ndarray:
    """Equal values as equal numbers 0, 1, …, in the order in which they first occur.

    >>> first_come(np.array([9, 4, 9, 0])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
