"""The open-set gate itself: from two files to a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.events import Prediction
from beatsight.gates.inputs import join, named, read_predictions, read_rows
from beatsight.gates.openset.records import (
    Histogram,
    OpensetReport,
    OpensetSettings,
    OpensetTruth,
    RocPoint,
    ScoredSample,
)
from beatsight.gates.openset.scores import knownness
from beatsight.gates.result import GateResult, at_least, at_most, verdict
from beatsight.manifest.engine.table import Progress
from beatsight.metrics import (
    TPR_TARGET,
    OperatingPoint,
    RocCurve,
    area_under,
    average_precision,
    corners,
    operating_point,
    roc_curve,
)

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# More corners than a page is pixels wide cannot be seen.
ROC_POINTS = 1000
HISTOGRAM_BINS = 25
# The samples nearest to the wrong side that the report names, for each group.
HARDEST = 10
# With fewer samples in a group one of them moves a rate by more than a point.
_FEW = 100


def openset_gate(settings: OpensetSettings, *, progress: Progress | None = None) -> OpensetReport:
    """Judge how well known and unknown samples are told apart.

    Raises:
        InputError: a file cannot be used (named), a sample has no prediction or no score, or the truth holds
            only known or only unknown samples.
    """
    step = progress or (lambda done, total: None)
    truths, predictions, notes, extra = _read(settings, step)
    known = np.array([truth.is_known for truth in truths])
    scores, score_text = knownness(predictions, settings, str(settings.predictions))
    # What the file says: of a rejection score, high means unknown.
    sign = -1.0 if settings.score == "given" else 1.0
    name = settings.score_key if settings.score == "given" else settings.score
    curve = roc_curve(known, scores)
    point = operating_point(curve, TPR_TARGET)
    area = area_under(curve)
    results = _results(settings, area, point)
    roc, roc_text = roc_points(curve, point, sign)
    step(3, 3)
    return OpensetReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"ground_truth": str(settings.ground_truth), "predictions": str(settings.predictions)},
        notes=[*notes, *_few(known)],
        auroc=area,
        auprc=average_precision(known, scores),
        auprc_unknown=average_precision(~known, -scores),
        fpr_at_95_tpr=point.fpr,
        score=settings.score,
        score_name=name,
        score_text=score_text,
        accepts=f"{name} {'<=' if sign < 0 else '>='} {sign * point.threshold:.6g}",
        threshold=sign * point.threshold,
        tpr_at_threshold=point.tpr,
        known=int(known.sum()),
        unknown=int((~known).sum()),
        extra_predictions=extra,
        roc=roc,
        roc_text=roc_text,
        histogram=histogram(known, sign * scores, unit_range=settings.score == "max_probability"),
        hardest_known=_hardest(truths, known, scores, sign),
        hardest_unknown=_hardest(truths, ~known, -scores, -sign),
    )


def _read(
    settings: OpensetSettings, step: Progress
) -> tuple[list[OpensetTruth], list[Prediction], list[str], int]:
    """(truths, the prediction of each, what could not be joined, predictions of other samples)."""
    truth_path, prediction_path = str(settings.ground_truth), str(settings.predictions)
    truths = read_rows(settings.ground_truth, OpensetTruth)
    _need_both(np.array([truth.is_known for truth in truths]), truth_path)
    step(1, 3)
    joined = join(truths, read_predictions(settings.predictions), truth_path, prediction_path)
    step(2, 3)
    if joined.missing:
        raise InputError(
            f"{prediction_path}: {named(joined.missing, 'sample')} of {truth_path} without a prediction; "
            "a sample that was not scored cannot be judged"
        )
    predictions = [row for row in joined.predictions if row is not None]
    return truths, predictions, joined.notes, len(joined.extra)


def _results(settings: OpensetSettings, area: float, point: OperatingPoint) -> list[GateResult]:
    return [
        at_least(
            "auroc", area, settings.min_auroc,
            "chance that a known sample looks more known than an unknown one",
        ),
        at_most(
            "fpr_at_95_tpr", point.fpr, settings.max_fpr95,
            f"unknown samples accepted where {100 * point.tpr:.4g} % of the known ones are",
        ),
    ]  # fmt: skip


def _need_both(known: BoolArray, path: str) -> None:
    if known.all() or not known.any():
        held, lacking = ("known", "unknown") if known.all() else ("unknown", "known")
        raise InputError(
            f"{path}: holds only {held} samples; telling known from unknown needs {lacking} ones too "
            f"(is_known: {str(lacking == 'known').lower()})"
        )


def _few(known: BoolArray) -> list[str]:
    notes = []
    for group, name, rate in ((known, "known", "true-positive"), (~known, "unknown", "false-positive")):
        count = int(group.sum())
        if count < _FEW:
            plural = "" if count == 1 else "s"
            notes.append(f"only {count} {name} sample{plural}: each moves the {rate} rate by {1 / count:.2g}")
    return notes


def roc_points(curve: RocCurve, point: OperatingPoint, sign: float) -> tuple[list[RocPoint], str]:
    """The points to draw, in the file's direction of the score, and which they are."""
    kept = corners(curve)
    text = f"every corner of the curve through {len(curve.thresholds) - 1:,} distinct scores"
    if len(kept) > ROC_POINTS:
        text = f"{ROC_POINTS:,} of the curve's {len(kept):,} corners, evenly along it: more cannot be seen"
        way = (curve.fpr + curve.tpr)[kept]
        kept = kept[np.searchsorted(way, np.linspace(0.0, way[-1], ROC_POINTS))]
    at = np.flatnonzero(curve.thresholds == point.threshold)
    points = []
    for index in np.union1d(kept, at):
        threshold = float(curve.thresholds[index])
        points.append(
            RocPoint(
                fpr=float(curve.fpr[index]),
                tpr=float(curve.tpr[index]),
                threshold=sign * threshold if math.isfinite(threshold) else None,
            )
        )
    return points, text


def histogram(known: BoolArray, values: FloatArray, unit_range: bool) -> Histogram:
    """Counts of both groups in equal bins over 0..1 or over the range of the values."""
    low, high = (0.0, 1.0) if unit_range else (float(values.min()), float(values.max()))
    if not high - low > 1e-9 * max(1.0, abs(low), abs(high)):
        reach = max(0.5, 1e-3 * abs(low))
        low, high = low - reach, high + reach
    edges = np.linspace(low, high, HISTOGRAM_BINS + 1)
    bins = np.searchsorted(edges[1:-1], values, side="right")
    counts = [np.bincount(bins[group], minlength=HISTOGRAM_BINS).tolist() for group in (known, ~known)]
    return Histogram(edges=edges.tolist(), known=counts[0], unknown=counts[1])


def _hardest(
    truths: Sequence[OpensetTruth], group: BoolArray, wrongness: FloatArray, sign: float
) -> list[ScoredSample]:
    """The samples of a group with the lowest of ``wrongness``; sample order decides between equals."""
    order = [index for index in np.argsort(wrongness, kind="stable") if group[index]][:HARDEST]
    return [
        ScoredSample(sample_id=truths[index].sample_id, score=float(sign * wrongness[index]))
        for index in order
    ]
