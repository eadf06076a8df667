"""Onset scores: matching found hits with true ones, and precision, recall and F of what was found.

Conventions: times in seconds.

Source: onset scores follow MIREX drum transcription as in mir_eval (Raffel et al., 2014): one-to-one
matching of maximum cardinality within ±50 ms. Deviation: where several largest matchings exist, ours prefers
close pairs, so that timing errors are not biased by the search order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ONSET_TOLERANCE_S = 0.05  # MIREX drum transcription
# Decimal times such as 1.25 and 1.30 differ from 0.05 by float rounding; a hit on the very edge counts.
_ROUNDING_S = 1e-6


def _times(values: npt.ArrayLike, name: str) -> FloatArray:
    times = np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all():
        raise InputError(f"{name} onsets must be a flat list of finite times in seconds")
    return times


def match_onsets(
    reference_s: npt.ArrayLike, estimated_s: npt.ArrayLike, tolerance_s: float = ONSET_TOLERANCE_S
) -> IntArray:
    """Pair reference with estimated onsets, one to one, as many as possible.

    Args:
        reference_s: true onset times in seconds, in any order.
        estimated_s: found onset times in seconds, in any order.
        tolerance_s: largest distance of a pair, inclusive, as in ``mir_eval.util.match_events``.

    Returns:
        (pairs, 2) integer array of indices into the two lists, ordered by reference time.

    Raises:
        InputError: a time is not finite, or an argument is not one-dimensional.

    >>> match_onsets([1.0, 2.0, 3.0], [3.02, 0.99, 2.2]).tolist()
    [[0, 1], [2, 0]]
    """
    reference, estimated = _times(reference_s, "reference"), _times(estimated_s, "estimated")
    reference_order = np.argsort(reference, kind="stable")
    estimated_order = np.argsort(estimated, kind="stable")
    true = reference[reference_order].tolist()
    low = (estimated[estimated_order] - tolerance_s).tolist()
    high = (estimated[estimated_order] + tolerance_s).tolist()
    # Windows of equal width end in the order in which they begin, so giving every onset the earliest free
    # partner never blocks a later pair: the greedy result is as large as any.
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(true) and j < len(low):
        if high[j] < true[i]:
            j += 1
        elif low[j] > true[i]:
            i += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    _prefer_close(pairs, true, low, high)
    if not pairs:
        return np.zeros((0, 2), dtype=np.int64)
    found = np.array(pairs, dtype=np.int64)
    return np.column_stack((reference_order[found[:, 0]], estimated_order[found[:, 1]]))


def _prefer_close(
    pairs: list[tuple[int, int]], true: list[float], low: list[float], high: list[float]
) -> None:
    """Move pairs, last first, onto later free onsets that lie closer (earlier free ones are out of reach)."""
    next_i, next_j = len(true), len(low)
    for k in range(len(pairs) - 1, -1, -1):
        i, j = pairs[k]
        for other in range(j + 1, next_j):
            if low[other] > true[i]:
                break
            if _distance(true[i], low[other], high[other]) < _distance(true[i], low[j], high[j]):
                j = other
        for other in range(i + 1, next_i):
            if true[other] > high[j]:
                break
            if _distance(true[other], low[j], high[j]) < _distance(true[i], low[j], high[j]):
                i = other
        pairs[k] = next_i, next_j = i, j


def _distance(time: float, low: float, high: float) -> float:
    return abs(2.0 * time - low - high)


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives, and the rates made of them.

    With nothing to find and nothing found all three rates are 1. Precision without any estimate, and recall
    without any reference, are 1 only in that case, else 0.

    >>> (Counts(3, 1, 0) + Counts(0, 0, 4)).f1
    0.5454545454545454
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of what was found that is right."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else float(self.fn == 0)

    @property
    def recall(self) -> float:
        """Share of what there is that was found."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else float(self.fp == 0)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.fp + self.fn
        return 2 * self.tp / (2 * self.tp + wrong) if self.tp + wrong else 1.0


@dataclass(frozen=True)
class OnsetScores:
    """Onset counts and timing errors per label; add the scores of several songs for their micro totals.

    Attributes:
        counts: per label, in the order asked for.
        errors_s: per label, estimated minus reference time of every matched pair, in seconds.
    """

    counts: dict[str, Counts]
    errors_s: dict[str, FloatArray]

    def __add__(self, other: OnsetScores) -> OnsetScores:
        if self.counts.keys() != other.counts.keys():
            raise InputError("onset scores over different labels cannot be added")
        return OnsetScores(
            {label: counts + other.counts[label] for label, counts in self.counts.items()},
            {
                label: np.concatenate((errors, other.errors_s[label]))
                for label, errors in self.errors_s.items()
            },
        )

    @property
    def total(self) -> Counts:
        """Counts summed over the labels; its ``f1`` is the micro F-measure."""
        return sum(self.counts.values(), Counts())

    @property
    def macro_f1(self) -> float:
        """Mean of the labels' F-measures; 0 when no label was asked for."""
        return float(np.mean([counts.f1 for counts in self.counts.values()])) if self.counts else 0.0

    @property
    def median_error_ms(self) -> float | None:
        """Median signed timing error in milliseconds (positive: found late); None without a matched pair."""
        errors = np.concatenate([*self.errors_s.values(), np.zeros(0)])
        return float(np.median(errors) * 1e3) if errors.size else None

    def label_median_error_ms(self, label: str) -> float | None:
        """The same for one label."""
        errors = self.errors_s[label]
        return float(np.median(errors) * 1e3) if errors.size else None


def transcription_scores(
    reference: Iterable[tuple[float, str]],
    estimated: Iterable[tuple[float, str]],
    labels: Sequence[str],
    tolerance_s: float = ONSET_TOLERANCE_S,
) -> OnsetScores:
    """Compare found hits with true ones, label by label.

    Args:
        reference: true hits, (time in seconds, label); fold the labels first. Labels not asked for are left
            out.
        estimated: found hits, the same.
        labels: the labels to score.
        tolerance_s: largest distance of a match in seconds, inclusive.

    Raises:
        InputError: a time is not finite.

    >>> scores = transcription_scores([(0.0, "KD"), (0.5, "SD")], [(0.01, "KD"), (0.5, "KD")], ["KD", "SD"])
    >>> scores.total, round(scores.median_error_ms, 3)
    (Counts(tp=1, fp=1, fn=1), 10.0)
    """
    true, found = list(reference), list(estimated)
    counts: dict[str, Counts] = {}
    errors: dict[str, FloatArray] = {}
    for label in labels:
        true_s = np.array([time for time, name in true if name == label], dtype=np.float64)
        found_s = np.array([time for time, name in found if name == label], dtype=np.float64)
        pairs = match_onsets(true_s, found_s, tolerance_s + _ROUNDING_S)
        counts[label] = Counts(len(pairs), len(found_s) - len(pairs), len(true_s) - len(pairs))
        errors[label] = found_s[pairs[:, 1]] - true_s[pairs[:, 0]]
    return OnsetScores(counts, errors)
