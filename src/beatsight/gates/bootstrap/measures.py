"""One model's predictions as columns of sums, and every metric as a function of such sums.

Conventions: a sample is a row; adding rows up by cluster, by resample or altogether gives sums, from which
:meth:`Measures.values` makes the metrics, NaN where they are undefined. A label is predicted where its score
is at or above its threshold. Micro and per-class F1 are 2 tp / (true + predicted); macro F1 is the mean over
the labels that are true or predicted among the samples at hand, example F1 the mean over samples, 0 for one
without any label on either side: what scikit-learn gives with ``zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.events import Prediction
from beatsight.gates.bootstrap.onset_hits import onset_columns
from beatsight.gates.inputs import Truth, tables
from beatsight.metrics.calibration import DEFAULT_BINS, bin_edges, bin_of

FloatArray = npt.NDArray[np.float64]

# Columns after those of the labels; the gaps of the calibration bins follow.
_FIXED = (
    "example_f1", "samples", "openness_error", "openness_pairs", "velocity_error", "velocity_pairs",
    "onset_tp_20ms", "onset_tp_50ms", "onset_hits", "cells",
)  # fmt: skip


@dataclass(frozen=True)
class Measures:
    """Predictions beside the truth, ready to be summed.

    Attributes:
        labels: those that are true of a sample or predicted for one, sorted.
        known: those, and all that have a score.
        columns: (samples, columns): per label tp, per label true + predicted, the named ones, and per
            calibration bin the sum of score - truth.
        predicted: samples that have a prediction.
        untimed: samples with a true time whose predicted labels have none.
        copied_times: whether every predicted time is the true one.
        unlabelled: samples with no label on either side.
    """

    labels: list[str]
    known: frozenset[str]
    columns: FloatArray
    predicted: int
    untimed: int
    copied_times: bool
    unlabelled: int

    def values(self, sums: FloatArray) -> FloatArray:
        """Metrics in the order of ``records.METRICS``, then F1 per label.

        Args:
            sums: (rows, columns).

        Returns:
            (rows, metrics + labels), NaN where nothing was counted.
        """
        tp, size, fixed, gaps = self._split(sums)
        f1 = _ratio(2 * tp, size)
        metrics = (
            _ratio(np.where(size > 0, f1, 0.0).sum(axis=1), (size > 0).sum(axis=1)),
            _ratio(2 * tp.sum(axis=1), size.sum(axis=1)),
            _ratio(fixed["example_f1"], fixed["samples"]),
            _ratio(2 * fixed["onset_tp_20ms"], fixed["onset_hits"]),
            _ratio(2 * fixed["onset_tp_50ms"], fixed["onset_hits"]),
            _ratio(fixed["openness_error"], fixed["openness_pairs"]),
            _ratio(fixed["velocity_error"], fixed["velocity_pairs"]),
            _ratio(np.abs(gaps).sum(axis=1), fixed["cells"]),
        )
        return np.column_stack((*metrics, f1))

    def counted(self, sums: FloatArray) -> npt.NDArray[np.int64]:
        """How many of the rows (samples, or clusters) hold anything that counts in each value.

        Args:
            sums: (rows, columns).

        Returns:
            (metrics + labels,), in the order of :meth:`values`.
        """
        _, size, fixed, _ = self._split(sums)
        hits, onsets = size.sum(axis=1), fixed["onset_hits"]
        each = (
            hits, hits, fixed["samples"], onsets, onsets, fixed["openness_pairs"], fixed["velocity_pairs"],
            fixed["cells"],
        )  # fmt: skip
        return np.count_nonzero(np.column_stack((*each, size)) > 0, axis=0)

    def _split(self, sums: FloatArray) -> tuple[FloatArray, FloatArray, dict[str, FloatArray], FloatArray]:
        count = len(self.labels)
        gaps = 2 * count + len(_FIXED)
        named = dict(zip(_FIXED, sums[:, 2 * count : gaps].T, strict=True))
        return sums[:, :count], sums[:, count : 2 * count], named, sums[:, gaps:]


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part / whole``, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def measure(
    truths: Sequence[Truth],
    predictions: Sequence[Prediction | None],
    thresholds: Mapping[str, float],
    threshold: float,
) -> Measures:
    """Columns of a model's predictions.

    Args:
        truths: the samples.
        predictions: of the same samples; None, no prediction, is one without labels. Of the scores only what
            was predicted counts for ECE, and of openness and velocity only where both sides give one.
        thresholds: by canonical label, of the labels that have one of their own.
        threshold: of the others.
    """
    names, truth, scores = tables([row.names for row in truths], predictions)
    predicted = scores >= np.array([thresholds.get(name, threshold) for name in names])
    used = np.asarray(truth.any(axis=0) | predicted.any(axis=0))
    hits = truth & predicted
    true_count, found_count = truth.sum(axis=1), predicted.sum(axis=1)
    example = np.nan_to_num(_ratio(2.0 * hits.sum(axis=1), (true_count + found_count).astype(np.float64)))
    answered = np.array([row is not None for row in predictions])
    onsets = onset_columns(truths, predictions, truth, predicted)
    cells = answered * float(len(names))
    columns = np.column_stack(
        (
            hits[:, used],
            truth[:, used].astype(np.int64) + predicted[:, used],
            example,
            np.ones(len(truths)),
            *_error(
                [opened(row) for row in truths], [row.openness_pred if row else None for row in predictions]
            ),
            *_error(
                [loudest(row) for row in truths], [row.velocity_pred if row else None for row in predictions]
            ),
            *onsets.columns,
            cells,
            _gaps(truth, scores) * answered[:, None],
        )
    )
    return Measures(
        labels=[name for name, is_used in zip(names, used, strict=True) if is_used],
        known=frozenset(names),
        columns=columns,
        predicted=int(answered.sum()),
        untimed=onsets.untimed,
        copied_times=onsets.copied_times,
        unlabelled=int((true_count + found_count == 0).sum()),
    )


def loudest(truth: Truth) -> float | None:
    """The velocity of a moment: its own, or that of its loudest component."""
    if truth.velocity is not None:
        return truth.velocity
    return max((part.velocity for part in truth.parts if part.velocity is not None), default=None)


def opened(truth: Truth) -> float | None:
    """The openness of a moment: its own, or that of its most open component."""
    if truth.openness is not None:
        return truth.openness
    return max((part.openness for part in truth.parts if part.openness is not None), default=None)


def _error(true: Sequence[float | None], found: Sequence[float | None]) -> tuple[FloatArray, FloatArray]:
    """Per sample the absolute error, and 1 where both values are there."""
    difference = np.array(true, dtype=np.float64) - np.array(found, dtype=np.float64)
    there = ~np.isnan(difference)
    return np.where(there, np.abs(difference), 0.0), there.astype(np.float64)


def _gaps(truth: npt.NDArray[np.bool_], scores: FloatArray) -> FloatArray:
    """(samples, bins): the sum of score - truth of a sample's scores in each bin."""
    cell = bin_of(scores, bin_edges([])) + DEFAULT_BINS * np.arange(len(scores))[:, None]
    gaps = np.bincount(cell.ravel(), weights=(scores - truth).ravel(), minlength=DEFAULT_BINS * len(scores))
    return gaps.astype(np.float64).reshape(len(scores), DEFAULT_BINS)
