"""An evaluation's figures as one record: what ``evaluation.json`` and its page hold.

Conventions: rates, velocity and openness 0..1; a figure over nothing is None. Classes without a true hit are
left out of averages over "the classes that occur".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beatsight.evaluate.intervals import absolute_errors, intervals_of, true_velocities
from beatsight.evaluate.mistakes import mistakes_of
from beatsight.evaluate.scores import Evaluation
from beatsight.events import dynamic_bucket
from beatsight.gates.bootstrap.gate import FEW_CLUSTERS
from beatsight.gates.calibration import BUCKETS, Bin
from beatsight.metrics import (
    DEFAULT_THRESHOLD,
    Reliability,
    brier_score,
    expected_calibration_error,
    multilabel_report,
    reliability,
)
from beatsight.report.evaluation_data import (
    Calibration,
    ClassResult,
    Confusion,
    Estimates,
    EvaluationReport,
    Interval,
    Part,
    Spread,
)
from beatsight.version import VERSION

HISTOGRAM_BINS = 20
# Of openness, from shut to wide open.
_LEVELS = 5


def summarise(evaluation: Evaluation) -> EvaluationReport:
    """All figures of an evaluation."""
    resampling, intervals, of_classes = intervals_of(evaluation)
    report, origin = evaluation.report, evaluation.origin
    velocity, openness = _velocities(evaluation, intervals), _opennesses(evaluation, intervals)
    count, pairs = mistakes_of(evaluation)
    present = report.support > 0
    return EvaluationReport(
        program_version=VERSION,
        dataset=evaluation.dataset,
        split=evaluation.split,
        moments=len(evaluation.rows),
        sessions=resampling.clusters,
        model=evaluation.model,
        per_class=_classes(evaluation, of_classes),
        macro_precision=report.macro.precision,
        macro_recall=report.macro.recall,
        macro_f1=report.macro.f1,
        macro_f1_present=float(report.f1[present].mean()) if present.any() else 0.0,
        micro_precision=report.micro.precision,
        micro_recall=report.micro.recall,
        micro_f1=report.micro.f1,
        example_f1=report.example_f1,
        classes_without_support=evaluation.names(~present),
        resampling=resampling,
        intervals=intervals,
        confusion=Confusion(
            rows=[*evaluation.labels, "no drum"],
            columns=[*evaluation.labels, "missed"],
            counts=evaluation.confusion.tolist(),
        ),
        calibration=_calibration(evaluation, intervals["ece"]),
        velocity_mae=None if velocity is None else velocity.mae,
        openness_mae=None if openness is None else openness.mae,
        velocity=velocity,
        openness=openness,
        by_session=_parts(evaluation, origin.session),
        by_source=_parts(evaluation, origin.source),
        by_kit=_parts(evaluation, origin.kit),
        mistakes=count,
        mistake_pairs=pairs,
        notes=_notes(evaluation, resampling.clusters),
    )


def _notes(evaluation: Evaluation, sessions: int) -> list[str]:
    notes = []
    if evaluation.split == "train":
        notes.append(
            "these are clips of the training split: the model has seen them with their labels, so no figure "
            "here says how it does on others"
        )
    if evaluation.split == "val":
        notes.append(
            "the best epoch, the thresholds and the temperature were chosen on validation, so its figures "
            "are a little too good; a test split has none of that"
        )
    if sessions == 1:
        notes.append("all moments are of one session, so there are no intervals")
    elif sessions < FEW_CLUSTERS:
        notes.append(f"intervals rest on {sessions} sessions only and are too narrow")
    return notes


def _classes(evaluation: Evaluation, intervals: dict[str, Interval | None]) -> dict[str, ClassResult]:
    report, found = evaluation.report, evaluation.predicted.sum(axis=0)
    classes = {}
    for column, label in enumerate(evaluation.labels):
        truth, scores = evaluation.truth[:, column], evaluation.scores[:, column]
        true, other = _histograms(truth, scores)
        classes[label] = ClassResult(
            precision=float(report.precision[column]),
            recall=float(report.recall[column]),
            f1=float(report.f1[column]),
            support=int(report.support[column]),
            threshold=float(evaluation.thresholds[column]),
            f1_interval=intervals[label],
            found=int(found[column]),
            ece=expected_calibration_error(truth, scores),
            brier=brier_score(truth, scores),
            true_scores=true,
            other_scores=other,
        )
    return classes


def _histograms(truth: np.ndarray, scores: np.ndarray) -> tuple[list[int], list[int]]:
    """Counts of scores in equal bins of 0..1, where the label is true and where it is not."""
    true, other = (
        np.histogram(scores[chosen], HISTOGRAM_BINS, (0.0, 1.0))[0].tolist() for chosen in (truth, ~truth)
    )
    return true, other


def _calibration(evaluation: Evaluation, interval: Interval | None) -> Calibration:
    truth, scores = evaluation.truth, evaluation.scores
    table = reliability(truth, scores)
    asserted = scores >= DEFAULT_THRESHOLD
    true, other = _histograms(truth, scores)
    return Calibration(
        ece=table.error,
        ece_interval=interval,
        ece_asserted=expected_calibration_error(truth[asserted], scores[asserted])
        if asserted.any()
        else None,
        brier=brier_score(truth, scores),
        cells=truth.size,
        reliability=_bins(table),
        true_scores=true,
        other_scores=other,
    )


def _bins(table: Reliability) -> list[Bin]:
    columns = (
        table.edges[:-1],
        table.edges[1:],
        table.count,
        table.positives,
        table.mean_score,
        table.mean_truth,
    )
    return [
        Bin(
            low=low, high=high, count=count, positives=positives,
            mean_score=score if count else None, mean_truth=true if count else None,
        )
        for low, high, count, positives, score, true in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]  # fmt: skip


def _velocities(evaluation: Evaluation, intervals: dict[str, Interval | None]) -> Estimates | None:
    if evaluation.velocity is None:
        return None
    true = true_velocities(evaluation)
    known = np.isfinite(true)
    columns = np.broadcast_to(np.arange(true.shape[1]), true.shape)[known]
    found = evaluation.velocity[known]
    buckets = np.array([BUCKETS.index(dynamic_bucket(value)) for value in true[known].tolist()], np.int64)
    return _estimates(
        true[known], found, intervals["velocity_mae"], (buckets, BUCKETS), (columns, evaluation.labels)
    )


def _opennesses(evaluation: Evaluation, intervals: dict[str, Interval | None]) -> Estimates | None:
    if evaluation.openness is None:
        return None
    known = np.isfinite(evaluation.true_openness)
    true, found = evaluation.true_openness[known], evaluation.openness[known]
    level = np.minimum((true * _LEVELS).astype(np.int64), _LEVELS - 1)
    names = tuple(f"{index / _LEVELS:g} to {(index + 1) / _LEVELS:g}" for index in range(_LEVELS))
    # A moment has one openness, whichever of its labels is the hat: no classes to tell apart.
    return _estimates(true, found, intervals["openness_mae"], (level, names), (level, ()))


Groups = tuple[np.ndarray, Sequence[str]]


def _estimates(
    true: np.ndarray, found: np.ndarray, interval: Interval | None, levels: Groups, classes: Groups
) -> Estimates:
    whole = _spread("all", true, found)

    def spreads(groups: Groups) -> list[Spread]:
        index, names = groups
        return [_spread(name, true[index == at], found[index == at]) for at, name in enumerate(names)]

    return Estimates(
        hits=whole.hits,
        mae=whole.mae,
        interval=interval,
        bias=whole.bias,
        by_level=spreads(levels),
        by_class=[spread for spread in spreads(classes) if spread.hits],
    )


def _spread(name: str, true: np.ndarray, found: np.ndarray) -> Spread:
    def mean(values: np.ndarray) -> float | None:
        return float(values.mean(dtype=np.float64)) if len(values) else None

    return Spread(
        name=name,
        hits=len(true),
        mae=mean(absolute_errors(found, true)),
        bias=mean(found.astype(np.float64) - true),
        mean_true=mean(true),
        mean_found=mean(found),
    )


def _parts(evaluation: Evaluation, names: Sequence[str]) -> list[Part]:
    """Results by name, the worst micro F1 first; none where nothing but one name is known."""
    known = sorted(set(names) - {""})
    if len(known) + ("" in names) < 2:
        return []
    of_row = np.array(names, dtype=object)
    parts = []
    for name in known:
        mine = of_row == name
        truth = evaluation.truth[mine]
        report = multilabel_report(truth, evaluation.predicted[mine])
        present = report.support > 0
        parts.append(
            Part(
                name=name,
                moments=len(truth),
                hits=int(truth.sum()),
                classes=int(present.sum()),
                precision=report.micro.precision,
                recall=report.micro.recall,
                micro_f1=report.micro.f1,
                macro_f1=float(report.f1[present].mean()) if present.any() else 0.0,
            )
        )
    return sorted(parts, key=lambda part: (part.micro_f1, part.name))
