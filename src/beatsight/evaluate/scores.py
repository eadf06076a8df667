"""A model against a dataset's split: scores, per-class report, confusion matrix, predictions and truth.

Scores are of clips (one per labelled moment): was each drum that starts there named, and no other. How well
whole songs are transcribed is scored on charts instead (:func:`beatsight.metrics.transcription_scores`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight.dataset.batches import Batches
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, require
from beatsight.events import Prediction, write_records
from beatsight.files import atomic_path, write_bytes
from beatsight.metrics import MultilabelReport, multilabel_confusion, multilabel_report
from beatsight.models.checkpoint import Model

_BATCH = 64


@dataclass(frozen=True)
class Evaluation:
    """Results on one split.

    Attributes:
        labels: class names, in column order.
        rows: dataset rows, shape (n,).
        scores: 0..1, shape (n, classes).
        truth: bool, shape (n, classes).
        thresholds: the model's operating thresholds, shape (classes,).
        report: precision, recall and F1 per class and averaged.
        confusion: as :func:`beatsight.metrics.multilabel_confusion`, shape (classes + 1, classes + 1).
        split: which split.
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    thresholds: np.ndarray
    report: MultilabelReport
    confusion: np.ndarray
    split: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON report."""
        report = self.report
        return {
            "split": self.split,
            "moments": len(self.rows),
            "per_class": {
                label: {
                    "precision": float(report.precision[i]),
                    "recall": float(report.recall[i]),
                    "f1": float(report.f1[i]),
                    "support": int(report.support[i]),
                    "threshold": float(self.thresholds[i]),
                }
                for i, label in enumerate(self.labels)
            },
            "macro_precision": report.macro.precision,
            "macro_recall": report.macro.recall,
            "macro_f1": report.macro.f1,
            "micro_precision": report.micro.precision,
            "micro_recall": report.micro.recall,
            "micro_f1": report.micro.f1,
            "example_f1": report.example_f1,
            "classes_without_support": [
                label for label, n in zip(self.labels, report.support, strict=True) if n == 0
            ],
            "confusion": {
                "rows": [*self.labels, "no drum"],
                "columns": [*self.labels, "missed"],
                "counts": self.confusion.tolist(),
            },
        }


def evaluate_model(
    model: Model, dataset: Dataset, split: str = "test", progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Score a model on every clip of a split, unaugmented.

    Raises:
        InputError: the split is empty, or model and dataset disagree on the labels.
    """
    if tuple(dataset.labels) != tuple(model.labels):
        raise InputError(f"{dataset.root}: its labels are not those the model was trained on")
    batches = Batches(dataset, split, model.features, augment=None, device=model.device, seed=0)
    if not len(batches):
        raise InputError(f"{dataset.root}: the {split} split is empty")
    scores, truth = [], []
    for batch in batches.in_order(_BATCH):
        scores.append(model.scores_of_features(batch.features).cpu().numpy())
        truth.append(batch.labels.cpu().numpy() > 0.5)
        if progress:
            progress(sum(map(len, truth)), len(batches))
    table, targets = np.concatenate(scores), np.concatenate(truth)
    predicted = table >= model.thresholds
    return Evaluation(
        labels=dataset.labels,
        rows=batches.rows,
        scores=table,
        truth=targets,
        thresholds=model.thresholds,
        report=multilabel_report(targets, predicted),
        confusion=multilabel_confusion(targets, predicted),
        split=split,
    )


def write_evaluation(evaluation: Evaluation, dataset: Dataset, folder: str | os.PathLike[str]) -> list[Path]:
    """Write the report, the confusion matrix, and predictions with their truth; return the paths.

    ``predictions.jsonl`` and ``truth.jsonl`` share their ids, so that ``beatsight gate bootstrap`` and
    ``calibration`` read them as they are.
    """
    root = Path(folder)
    names = ("evaluation.json", "confusion_matrix.png", "predictions.jsonl", "truth.jsonl")
    paths = [root / name for name in names]
    write_bytes(paths[0], msgspec.json.format(msgspec.json.encode(evaluation.to_dict()), indent=2))
    draw_confusion(evaluation, paths[1])
    sessions = dataset.session_names
    moments = dataset.moments
    write_records(
        paths[2],
        (
            Prediction(
                sample_id=f"row-{row}",
                session_id=sessions[moments.session[row]],
                onset_time=float(moments.onset_s[row]),
                scores={
                    label: round(float(value), 6)
                    for label, value in zip(evaluation.labels, scores, strict=True)
                },
                predicted_labels=[
                    label
                    for label, value, threshold in zip(
                        evaluation.labels, scores, evaluation.thresholds, strict=True
                    )
                    if value >= threshold
                ],
            )
            for row, scores in zip(evaluation.rows, evaluation.scores, strict=True)
        ),
    )
    truth = (
        {
            "sample_id": f"row-{row}",
            "session_id": sessions[moments.session[row]],
            "onset_time": float(moments.onset_s[row]),
            "labels": [label for label, present in zip(evaluation.labels, labels, strict=True) if present],
        }
        for row, labels in zip(evaluation.rows, evaluation.truth, strict=True)
    )
    write_bytes(paths[3], b"".join(msgspec.json.encode(row) + b"\n" for row in truth))
    return paths


def draw_confusion(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draw the confusion matrix as a PNG, each row in shares of its class, counts written in the cells."""
    require("matplotlib", "ml")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = evaluation.confusion
    rows, columns = [*evaluation.labels, "no drum"], [*evaluation.labels, "missed"]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts, dtype=float), where=totals > 0)
    figure = Figure(figsize=(10, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel("Predicted")
    axes.set_ylabel("True")
    axes.set_title(
        f"Drum classifier on {evaluation.split}: {len(evaluation.rows)} moments, "
        f"macro F1 {evaluation.report.macro.f1:.3f}"
    )
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[i, j] > 0.55 else "black"
        axes.text(
            j, i, f"{counts[i, j]:.1f}".removesuffix(".0"), ha="center", va="center", color=colour, fontsize=8
        )
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
