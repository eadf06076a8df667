"""The files of an evaluation: JSON report, page, picture, predictions with their truth, suspected labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from beatsight.dataset.store import Dataset
from beatsight.errors import require
from beatsight.evaluate.answers import answer
from beatsight.evaluate.label_issues import searchable
from beatsight.evaluate.listening import sights_of
from beatsight.evaluate.mistakes import MOST, sample_id
from beatsight.evaluate.scores import Evaluation
from beatsight.events import Prediction, write_records
from beatsight.files import atomic_path, write_bytes
from beatsight.report.evaluation import evaluation_page
from beatsight.report.evaluation_data import EvaluationReport, LabelIssue, LabelIssues
from beatsight.report.page import write_page


def write_evaluation(
    evaluation: Evaluation,
    dataset: Dataset,
    folder: str | os.PathLike[str],
    issues: Sequence[LabelIssue] | None = None,
) -> list[Path]:
    """Write all files of an evaluation; return their paths.

    ``predictions.jsonl`` and ``truth.jsonl`` share their ids, so that ``beatsight gate bootstrap`` and
    ``calibration`` read them as they are.

    Args:
        evaluation: of this dataset.
        dataset: for the sounds of the page.
        folder: made when missing.
        issues: from :func:`beatsight.evaluate.find_label_issues`; None where nobody searched.

    Raises:
        InputError: a file cannot be written.
    """
    root = Path(folder)
    report = full_report(evaluation, issues)
    names = ["evaluation.json", "evaluation.html", "confusion_matrix.png", "predictions.jsonl", "truth.jsonl"]
    paths = [root / name for name in names]
    write_bytes(paths[0], msgspec.json.format(msgspec.json.encode(report), indent=2))
    rows = [mistake.row for pair in report.mistake_pairs for mistake in pair.hardest]
    rows += [issue.row for issue in (report.label_issues.worst if report.label_issues else [])]
    write_page(evaluation_page(report, sights_of(dataset, rows, evaluation.features)), paths[1])
    draw_confusion(evaluation, paths[2])
    write_records(paths[3], _predictions(evaluation))
    _write_lines(paths[4], _truths(evaluation))
    if issues is not None:
        paths.append(root / "label_issues.jsonl")
        _write_lines(paths[-1], issues)
    return paths


def full_report(evaluation: Evaluation, issues: Sequence[LabelIssue] | None) -> EvaluationReport:
    """The summary, and what the search for label errors found, if there was one."""
    if issues is None:
        return evaluation.summary
    found = LabelIssues(
        found=sum(issue.flagged for issue in issues),
        listed=len(issues),
        searched=len(evaluation.rows),
        classes=searchable(evaluation),
        worst=list(issues[:MOST]),
    )
    return msgspec.structs.replace(evaluation.summary, label_issues=found)


def _write_lines(path: Path, rows: Iterable[Any]) -> None:
    write_bytes(path, b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _predictions(evaluation: Evaluation) -> Iterable[Prediction]:
    origin, predicted = evaluation.origin, evaluation.predicted
    velocity, openness = evaluation.velocity, evaluation.openness
    for at, row in enumerate(evaluation.rows.tolist()):
        where = Prediction(
            sample_id=sample_id(row),
            session_id=origin.session[at],
            audio_path=origin.audio_file[at],
            onset_time=float(origin.onset_s[at]),
            scores={},
        )
        yield answer(
            where, evaluation.labels, evaluation.scores[at], predicted[at],
            None if velocity is None else velocity[at], None if openness is None else float(openness[at]),
        )  # fmt: skip


def _truths(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    origin = evaluation.origin
    for at, row in enumerate(evaluation.rows.tolist()):
        truth: dict[str, Any] = {
            "sample_id": sample_id(row),
            "session_id": origin.session[at],
            "audio_path": origin.audio_file[at],
            "onset_time": float(origin.onset_s[at]),
            "labels": evaluation.names(evaluation.truth[at]),
        }
        velocity = evaluation.true_velocity[at][evaluation.truth[at]]
        known = velocity[np.isfinite(velocity)]
        if len(known):
            truth["velocity"] = float(known.max())
        if np.isfinite(evaluation.true_openness[at]):
            truth["openness"] = float(evaluation.true_openness[at])
        yield truth


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
        f"macro F1 {evaluation.summary.macro_f1_present:.3f} over the classes that occur"
    )
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[i, j] > 0.55 else "black"
        axes.text(
            j, i, f"{counts[i, j]:.1f}".removesuffix(".0"), ha="center", va="center", color=colour, fontsize=8
        )
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
