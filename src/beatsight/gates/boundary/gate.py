"""How gate ``boundary`` judges.

Truth rows are those of ``beatsight manifest boundary-pack``: one labelled hit at the leading or trailing edge
of one window. A label is predicted where its score is at or above its threshold. Precision, recall and F1 are
those of scikit-learn's ``precision_recall_fscore_support(..., zero_division=0)`` over the union of true
and predicted classes: a class that is predicted and never true lowers every macro average. A row without a
prediction predicts nothing, so its labels are missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from beatsight.gates.boundary.records import (
    EDGES,
    Averages,
    BoundaryReport,
    BoundarySettings,
    BoundaryTruth,
    Edge,
    Scores,
)
from beatsight.gates.inputs import (
    Joined,
    canonical,
    join,
    named,
    read_predictions,
    read_rows,
    read_thresholds,
    tables,
)
from beatsight.gates.result import GateResult, at_least, verdict
from beatsight.metrics import Rates, multilabel_report
from beatsight.taxonomy import is_known

if TYPE_CHECKING:
    from beatsight.manifest.engine.table import Progress

# A mean of exact ratios must not fail its own limit by the last bit of a double.
_DIGITS = 12


def boundary_scores(
    labels: Sequence[str], truth: npt.ArrayLike, predicted: npt.ArrayLike, missing: int = 0
) -> Scores:
    """Scores over the union of the true and the predicted classes.

    Args:
        labels: names of the columns.
        truth: (rows, labels), boolean.
        predicted: the same shape, boolean.
        missing: how many of the rows had no prediction.

    >>> scores = boundary_scores(["crash", "kick", "ride_bow"], [[0, 1, 0]], [[1, 1, 0]])
    >>> scores.per_class_recall, scores.macro.recall, scores.true_class_recall
    ({'crash': 0.0, 'kick': 1.0}, 0.5, 1.0)
    """
    true, found = np.asarray(truth, dtype=bool), np.asarray(predicted, dtype=bool)
    used = np.flatnonzero(true.any(axis=0) | found.any(axis=0))
    names = [labels[column] for column in used.tolist()]
    report = multilabel_report(true[:, used], found[:, used])
    recalls = report.recall[report.support > 0]

    def by_name(values: npt.NDArray[Any]) -> dict[str, Any]:
        return dict(zip(names, values.tolist(), strict=True))

    def averages(rates: Rates) -> Averages:
        return Averages(precision=rates.precision, recall=rates.recall, f1=rates.f1)

    return Scores(
        rows=len(true),
        missing=missing,
        per_class_precision=by_name(report.precision),
        per_class_recall=by_name(report.recall),
        per_class_f1=by_name(report.f1),
        support=by_name(report.support),
        predicted=by_name(found[:, used].sum(axis=0)),
        macro=averages(report.macro),
        micro=averages(report.micro),
        true_class_recall=float(recalls.mean()) if recalls.size else None,
    )


def boundary_gate(settings: BoundarySettings, *, progress: Progress | None = None) -> BoundaryReport:
    """Score predictions against a boundary pack.

    Args:
        settings: files and limits.
        progress: called with (steps done, steps in all).

    Raises:
        InputError: a file cannot be read, is empty or faulty, or truth and predictions share no id.
    """

    def step(done: int) -> None:
        if progress:
            progress(done, 3)

    chosen = read_thresholds(settings.thresholds_file) if settings.thresholds_file else {}
    truths = read_rows(settings.ground_truth, BoundaryTruth)
    step(1)
    predictions = read_predictions(settings.predictions)
    step(2)
    joined = join(truths, predictions, str(settings.ground_truth), str(settings.predictions))
    report = _report(settings, joined, chosen)
    step(3)
    return report


def _report(
    settings: BoundarySettings, joined: Joined[BoundaryTruth], chosen: dict[str, float]
) -> BoundaryReport:
    labels, truth, values = tables(
        [list(dict.fromkeys(map(canonical, row.labels))) for row in joined.truths], joined.predictions
    )
    limits = np.array([chosen.get(label, settings.threshold) for label in labels])
    predicted = values >= limits
    absent = np.array([row is None for row in joined.predictions])
    edges = np.array([row.edge for row in joined.truths])
    scores = boundary_scores(labels, truth, predicted, int(absent.sum()))
    at_edge = {edge: edges == edge for edge in EDGES}
    results_of_edges = {
        edge: boundary_scores(labels, truth[rows], predicted[rows], int(absent[rows].sum()))
        for edge, rows in at_edge.items()
        if rows.any()
    }
    hits = {edge: int(truth[rows].any(axis=1).sum()) for edge, rows in at_edge.items()}
    results = _results(scores, hits, settings.min_macro_recall)
    inputs = {"ground_truth": settings.ground_truth, "predictions": settings.predictions}
    if settings.thresholds_file:
        inputs["thresholds_file"] = settings.thresholds_file
    return BoundaryReport(
        passed=verdict(results),
        gating_results=results,
        inputs={role: str(path) for role, path in inputs.items()},
        notes=_notes(joined, hits, scores, set(labels), chosen),
        by_edge=results_of_edges,
        edge_hits=hits,
        extra=len(joined.extra),
        threshold=settings.threshold,
        thresholds={label: chosen.get(label, settings.threshold) for label in scores.support},
        **msgspec.structs.asdict(scores),
    )


def _results(scores: Scores, hits: dict[Edge, int], minimum: float) -> list[GateResult]:
    # Without a true class there is nothing that could have been found: no recall was measured.
    recall = round(scores.macro.recall, _DIGITS) if scores.true_class_recall is not None else None
    return [
        at_least("macro_recall", recall, minimum, _why(scores)),
        *(at_least(f"edge.{edge}", hits[edge], 1, f"labelled hits at a {edge} edge") for edge in EDGES),
    ]


def _why(scores: Scores) -> str:
    if scores.true_class_recall is None:
        return "no row of the truth carries a label, so no recall can be measured"
    true = {label: value for label, value in scores.per_class_recall.items() if scores.support[label]}
    worst = min(true, key=lambda label: (true[label], label))
    found = round(true[worst] * scores.support[worst])
    text = f"mean over {len(scores.support)} labels true or predicted; "
    if true[worst] < 1:
        text += f"of the true ones {worst!r} is found least, {found} of {scores.support[worst]}"
    else:
        text += "every hit was found"
    if false := [label for label, count in scores.support.items() if not count]:
        text += (
            f"; {named(false, 'label')} predicted but never true count as 0, without them it is "
            f"{scores.true_class_recall:.3f}"
        )
    return text


def _notes(
    joined: Joined[BoundaryTruth],
    hits: dict[Edge, int],
    scores: Scores,
    columns: set[str],
    chosen: dict[str, float],
) -> list[str]:
    notes = joined.notes
    if joined.missing:
        notes[0] += ", counted as missed"
    notes += [f"no hit at a {edge} edge in the truth" for edge in EDGES if not hits[edge]]
    scored = {canonical(label) for row in joined.predictions if row for label in row.scores}
    if unscored := [label for label, count in scores.support.items() if count and label not in scored]:
        notes.append(f"{named(unscored, 'true label')} without a score in any prediction")
    if unknown := sorted(label for label in scores.support if not is_known(label)):
        notes.append(f"{named(unknown, 'label')} unknown to the taxonomy, scored under the name given")
    if unused := sorted(label for label in chosen if label not in columns and not is_known(label)):
        notes.append(f"{named(unused, 'threshold')} for labels that nothing has")
    return notes
