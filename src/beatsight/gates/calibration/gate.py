"""The calibration gate itself: from two files to a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.events import dynamic_bucket
from beatsight.gates.calibration.records import (
    BUCKETS,
    Bin,
    CalibrationReport,
    CalibrationSettings,
    ClassCalibration,
    DynamicCalibration,
)
from beatsight.gates.inputs import (
    Joined,
    Truth,
    canonical,
    canonical_scores,
    join,
    named,
    read_predictions,
    read_truths,
    tables,
)
from beatsight.gates.result import GateResult, at_least, at_most, verdict
from beatsight.manifest.engine.table import Progress
from beatsight.metrics import (
    DEFAULT_THRESHOLD,
    Reliability,
    brier_score,
    expected_calibration_error,
    reliability,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# What was not forecast cannot be judged, so nothing less than all of it will do.
MIN_COVERAGE = 1.0
# With fewer samples chance alone opens visible gaps, and gaps only ever add up.
_FEW = 100


@dataclass(frozen=True)
class _Overall:
    """Figures over all cells; ``certain`` over those that the model would report, NaN without any."""

    table: Reliability
    equal_mass: float
    certain: float
    certain_cells: int
    brier: float


def calibration_gate(settings: CalibrationSettings, *, progress: Progress | None = None) -> CalibrationReport:
    """Judge whether the scores of predictions can be taken as probabilities.

    Raises:
        InputError: a file cannot be used (named), or there is not a single cell to judge.
    """
    step = progress or (lambda done, total: None)
    truth_path, prediction_path = str(settings.ground_truth), str(settings.predictions)
    truths = read_truths(settings.ground_truth)
    step(1, 3)
    joined = join(truths, read_predictions(settings.predictions), truth_path, prediction_path)
    step(2, 3)
    pairs = [(row, guess) for row, guess in zip(truths, joined.predictions, strict=True) if guess is not None]
    labels, truth, scores = tables([row.names for row, _ in pairs], [guess for _, guess in pairs])
    if not labels:
        raise InputError(
            f"{prediction_path}: no sample has a score or a true label, so nothing can be judged"
        )
    unscored = truth.size - sum(len(canonical_scores(guess)) for _, guess in pairs)
    loud = [loudness(row) for row, _ in pairs]
    overall = _overall(truth, scores, settings.bins)
    results = _results(settings, joined, overall, len(labels))
    step(3, 3)
    return CalibrationReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"ground_truth": truth_path, "predictions": prediction_path},
        notes=[*joined.notes, *_notes(unscored, truth)],
        ece=overall.table.error,
        ece_equal_mass=overall.equal_mass,
        ece_asserted=overall.certain if overall.certain_cells else None,
        brier=overall.brier,
        coverage=_coverage(joined),
        samples=len(pairs),
        missing=len(joined.missing),
        extra_predictions=len(joined.extra),
        cells=truth.size,
        asserted_cells=overall.certain_cells,
        unscored_cells=unscored,
        reliability=_bins(overall.table),
        per_class=[
            _of_class(label, truth[:, column], scores[:, column], settings.bins)
            for column, label in enumerate(labels)
        ],
        dynamics=[_of_bucket(name, labels, loud, truth, scores, settings.bins) for name in BUCKETS],
        samples_without_dynamics=sum(not row for row in loud),
    )


def loudness(row: Truth) -> dict[str, str]:
    """The dynamic bucket of every true label of a sample that has one: of its loudest hit with that label.

    A component's velocity decides, else its ``dynamic_bucket``, else the velocity of the row.

    >>> loudness(Truth(sample_id="a", labels=["kick", "snare"], velocity=0.2))
    {'kick': 'light', 'snare': 'light'}
    """
    of_row = None if row.velocity is None else dynamic_bucket(row.velocity)
    found: dict[str, str] = {}
    for part in row.components or ():
        bucket = part.dynamic_bucket if part.velocity is None else dynamic_bucket(part.velocity)
        if bucket is not None:
            name = canonical(part.label)
            found[name] = max(bucket, found.get(name, bucket), key=BUCKETS.index)
    chosen = {name: found.get(name, of_row) for name in row.names}
    return {name: bucket for name, bucket in chosen.items() if bucket is not None}


def _overall(truth: BoolArray, scores: FloatArray, bins: int) -> _Overall:
    certain = scores >= DEFAULT_THRESHOLD
    return _Overall(
        table=reliability(truth, scores, bins),
        equal_mass=expected_calibration_error(truth, scores, bins, equal_mass=True),
        certain=expected_calibration_error(truth[certain], scores[certain], bins),
        certain_cells=int(certain.sum()),
        brier=brier_score(truth, scores),
    )


def _coverage(joined: Joined[Truth]) -> float:
    return 1 - len(joined.missing) / len(joined.truths)


def _results(
    settings: CalibrationSettings, joined: Joined[Truth], overall: _Overall, classes: int
) -> list[GateResult]:
    samples = len(joined.truths) - len(joined.missing)
    lacking = f"{named(joined.missing, 'sample')} without a prediction" if joined.missing else ""
    results = [
        at_least("coverage", _coverage(joined), MIN_COVERAGE, lacking or "every sample has a prediction"),
        at_most(
            "ece", overall.table.error, settings.max_ece,
            f"mean gap between score and truth over {samples * classes:,} cells: {samples:,} samples, "
            f"{classes} classes",
        ),
    ]  # fmt: skip
    if settings.max_asserted_ece is not None:
        count, least = overall.certain_cells, f"a score of {DEFAULT_THRESHOLD:g} or above"
        text = f"the same gap over the {count:,} cells with {least}" if count else f"no cell has {least}"
        results.append(at_most("ece_asserted", overall.certain, settings.max_asserted_ece, text))
    if settings.max_brier is not None:
        text = "mean squared difference of score and truth, over all cells"
        results.append(at_most("brier", overall.brier, settings.max_brier, text))
    return results


def _notes(unscored: int, truth: BoolArray) -> list[str]:
    notes = []
    if unscored:
        notes.append(f"{unscored:,} of {truth.size:,} cells have no score and count as a score of 0")
    if len(truth) < _FEW:
        notes.append(f"only {len(truth)} samples: by chance alone, calibration errors come out too high")
    return notes


def _bins(table: Reliability) -> list[Bin]:
    return [
        Bin(
            low=float(low),
            high=float(high),
            count=int(count),
            positives=int(positives),
            mean_score=float(score) if count else None,
            mean_truth=float(true) if count else None,
        )
        for low, high, count, positives, score, true in zip(
            table.edges[:-1], table.edges[1:], table.count, table.positives, table.mean_score,
            table.mean_truth, strict=True,
        )
    ]  # fmt: skip


def _of_class(label: str, truth: BoolArray, scores: FloatArray, bins: int) -> ClassCalibration:
    table = reliability(truth, scores, bins)
    return ClassCalibration(
        label=label,
        support=int(truth.sum()),
        prevalence=float(truth.mean()),
        mean_score=float(scores.mean()),
        ece=table.error,
        brier=brier_score(truth, scores),
        reliability=_bins(table),
    )


def _of_bucket(
    bucket: str,
    labels: Sequence[str],
    loud: Sequence[Mapping[str, str]],
    truth: BoolArray,
    scores: FloatArray,
    bins: int,
) -> DynamicCalibration:
    """One dynamic bucket; ``loud`` is the :func:`loudness` of every sample."""
    column = {name: index for index, name in enumerate(labels)}
    cells = [
        (index, column[name]) for index, row in enumerate(loud) for name, its in row.items() if its == bucket
    ]
    of_hits = np.array([scores[cell] for cell in cells])
    loudest = [max(row.values(), key=BUCKETS.index) if row else None for row in loud]
    chosen = np.array([its == bucket for its in loudest])
    table = reliability(truth[chosen], scores[chosen], bins)
    return DynamicCalibration(
        bucket=bucket,
        hits=len(cells),
        mean_score=float(of_hits.mean()) if cells else None,
        found=float((of_hits >= DEFAULT_THRESHOLD).mean()) if cells else None,
        samples=int(chosen.sum()),
        ece=table.error if chosen.any() else None,
        brier=brier_score(truth[chosen], scores[chosen]) if chosen.any() else None,
        reliability=_bins(table),
    )
