"""Hits matched in time, counted per sample.

A true hit is a label at its sample's onset, a found hit a predicted label at the prediction's onset. Hits are
matched one to one, by label, within a session (all of its samples share one clock); a sample without a
session is matched by itself. A found pair counts for the sample of the true hit, a found hit for the sample
that it was predicted for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.events import Prediction
from beatsight.gates.inputs import Truth
from beatsight.metrics import match_onsets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TOLERANCES_S = (0.02, 0.05)  # what the targets ask for, and MIREX
# Decimal times on the very edge of the tolerance count, as in `metrics.transcription_scores`.
_EDGE_S = 1e-6


@dataclass(frozen=True)
class OnsetHits:
    """Counts per sample.

    Attributes:
        columns: three of (samples,): matched hits per tolerance, and true + found hits; all 0 where no
            prediction has a time.
        untimed: samples with a true time whose predicted labels have none; they count as wrong.
        copied_times: whether there are predicted times, and every one is the true one.
    """

    columns: tuple[FloatArray, FloatArray, FloatArray]
    untimed: int
    copied_times: bool


def onset_columns(
    truths: Sequence[Truth],
    predictions: Sequence[Prediction | None],
    truth: BoolArray,
    predicted: BoolArray,
) -> OnsetHits:
    """Match the hits of all samples whose truth has a time.

    Args:
        truths, predictions: the samples.
        truth, predicted: (samples, labels), what is true and what was found.
    """
    true_s = np.array([row.onset_time for row in truths], dtype=np.float64)
    found_s = np.array([row.onset_time if row else None for row in predictions], dtype=np.float64)
    timed = ~np.isnan(true_s)
    both = timed & ~np.isnan(found_s)
    zeros = np.zeros(len(truths))
    if not both.any():
        return OnsetHits((zeros, zeros, zeros), 0, False)
    clocks: dict[object, int] = {}
    # A tuple can never be the name of a session.
    group = np.array(
        [clocks.setdefault(row.session_id or (index,), len(clocks)) for index, row in enumerate(truths)]
    )
    matched = [zeros.copy() for _ in TOLERANCES_S]
    for true_rows, found_rows in _shared_groups(group, truth & timed[:, None], predicted & both[:, None]):
        for tolerance, tp in zip(TOLERANCES_S, matched, strict=True):
            tp[_matched(true_rows, found_rows, true_s, found_s, tolerance + _EDGE_S)] += 1
    hits = np.where(timed, truth.sum(axis=1) + predicted.sum(axis=1), 0).astype(np.float64)
    return OnsetHits(
        (matched[0], matched[1], hits),
        int((timed & ~both & predicted.any(axis=1)).sum()),
        bool((true_s[both] == found_s[both]).all()),
    )


def _matched(
    true_rows: IntArray, found_rows: IntArray, true_s: FloatArray, found_s: FloatArray, tolerance_s: float
) -> IntArray:
    """The samples whose true hit was found."""
    if len(true_rows) == len(found_rows) == 1:  # most groups, where samples have no session
        near = abs(true_s[true_rows[0]] - found_s[found_rows[0]]) <= tolerance_s
        return true_rows if near else true_rows[:0]
    return true_rows[match_onsets(true_s[true_rows], found_s[found_rows], tolerance_s)[:, 0]]


def _shared_groups(
    group: IntArray, truth: BoolArray, predicted: BoolArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Samples of the true and of the found hits, for every session and label that has both."""
    true_keys, true_rows = _keyed(group, truth)
    found_keys, found_rows = _keyed(group, predicted)
    for key in np.intersect1d(true_keys, found_keys):
        yield (
            true_rows[slice(*np.searchsorted(true_keys, (key, key + 1)))],
            found_rows[slice(*np.searchsorted(found_keys, (key, key + 1)))],
        )


def _keyed(group: IntArray, table: BoolArray) -> tuple[IntArray, IntArray]:
    """The true cells of a table as (session and label in one number, sample), sorted by that number."""
    rows, labels = np.nonzero(table)
    keys = group[rows] * table.shape[1] + labels
    order = np.argsort(keys, kind="stable")
    return keys[order], rows[order]
