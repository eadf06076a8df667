"""Intervals of an evaluation's figures, by drawing whole sessions with replacement.

Hits of one session share kit, room and player: they are not so many independent tries. What a session adds
is a row of sums, and every figure is a function of such sums (:mod:`beatsight.metrics.bootstrap`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from beatsight.evaluate.scores import Evaluation
from beatsight.metrics import DEFAULT_BINS, bin_edges, bin_of, cluster_bootstrap, cluster_sums
from beatsight.report.evaluation_data import Interval, Resampling

FloatArray = npt.NDArray[np.float64]

FIGURES = (
    "macro_f1", "macro_f1_present", "micro_f1", "example_f1", "ece", "velocity_mae", "openness_mae",
)  # fmt: skip
_ITERATIONS = 1000
_CONFIDENCE = 0.95
_SEED = 0


def intervals_of(
    evaluation: Evaluation,
) -> tuple[Resampling, dict[str, Interval | None], dict[str, Interval | None]]:
    """How was resampled, the intervals of :data:`FIGURES`, and those of every class's F1.

    None where there is no interval: the figure rests on a single session, or on nothing.
    """
    names = sorted(set(evaluation.origin.session))
    number = {name: index for index, name in enumerate(names)}
    cluster = [number[name] for name in evaluation.origin.session]
    sums = cluster_sums(_columns(evaluation), cluster, len(names))
    present = evaluation.report.support > 0
    found = cluster_bootstrap(
        sums, lambda rows: _values(rows, present), iterations=_ITERATIONS, seed=_SEED, confidence=_CONFIDENCE
    )
    ends = [
        (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None
        for low, high in zip(found.low, found.high, strict=True)
    ]
    resampling = Resampling(clusters=len(names), iterations=_ITERATIONS, confidence=_CONFIDENCE, seed=_SEED)
    return (
        resampling,
        dict(zip(FIGURES, ends[: len(FIGURES)], strict=True)),
        dict(zip(evaluation.labels, ends[len(FIGURES) :], strict=True)),
    )


def absolute_errors(found: np.ndarray | None, true: np.ndarray) -> FloatArray:
    """The errors of a head, NaN where the truth is not known or there is no such head; the truth's shape."""
    if found is None:
        return np.full(true.shape, np.nan)
    return np.abs(found.astype(np.float64) - true)


def true_velocities(evaluation: Evaluation) -> np.ndarray:
    """The velocity of every true hit, NaN elsewhere, shape (moments, classes)."""
    return np.where(evaluation.truth, evaluation.true_velocity, np.nan)


def _columns(evaluation: Evaluation) -> FloatArray:
    """Per moment what it adds: tp and true + predicted by class, then pairs of a sum and its count."""
    truth, predicted = evaluation.truth, evaluation.predicted
    hits, size = (truth & predicted).sum(axis=1), truth.sum(axis=1) + predicted.sum(axis=1)
    moments = np.ones(len(truth))
    velocity = absolute_errors(evaluation.velocity, true_velocities(evaluation))
    openness = absolute_errors(evaluation.openness, evaluation.true_openness)
    return np.column_stack(
        (
            truth & predicted,
            truth.astype(np.int64) + predicted,
            np.divide(2.0 * hits, size, out=np.zeros(len(truth)), where=size > 0), moments,
            np.nansum(velocity, axis=1), np.isfinite(velocity).sum(axis=1),
            np.nan_to_num(openness), np.isfinite(openness),
            moments * truth.shape[1], _gaps(truth, evaluation.scores),
        )
    )  # fmt: skip


def _gaps(truth: np.ndarray, scores: np.ndarray) -> FloatArray:
    """(moments, bins): the sum of score - truth of a moment's scores in each bin of calibration."""
    cell = bin_of(scores, bin_edges([])) + DEFAULT_BINS * np.arange(len(scores))[:, None]
    gaps = (scores.astype(np.float64) - truth).ravel()
    sums = np.bincount(cell.ravel(), weights=gaps, minlength=DEFAULT_BINS * len(scores))
    return sums.astype(np.float64).reshape(len(scores), DEFAULT_BINS)


def _values(sums: FloatArray, present: np.ndarray) -> FloatArray:
    """:data:`FIGURES`, then F1 by class, of sums (rows, columns); NaN where nothing was counted."""
    classes = len(present)
    tp, size, rest = sums[:, :classes], sums[:, classes : 2 * classes], sums[:, 2 * classes :]
    example, moments, velocity, velocities, openness, opennesses, cells = rest[:, :7].T
    f1 = _ratio(2 * tp, size)
    counted = (size > 0) & present
    return np.column_stack(
        (
            np.where(size.any(axis=1), np.nan_to_num(f1).mean(axis=1), np.nan),
            _ratio(np.where(counted, f1, 0.0).sum(axis=1), counted.sum(axis=1).astype(float)),
            _ratio(2 * tp.sum(axis=1), size.sum(axis=1)),
            _ratio(example, moments),
            _ratio(np.abs(rest[:, 7:]).sum(axis=1), cells),
            _ratio(velocity, velocities),
            _ratio(openness, opennesses),
            np.where(present, f1, np.nan),
        )
    )


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
