"""Labels that look wrong, found by confident learning over a model's scores (extra ``cleanlab``).

A score is weighed against how sure the model usually is of that class: a moment whose labels disagree with a
surer score than usual is counted as wrong. How many that are is an estimate, which errs low where errors are
few; so the list is ranked by the quality of the labels and goes on for as many again. All this works on
scores of moments that the model was not trained on; on the training split it has learnt the wrong labels as
well and doubts few of them.

Source: Northcutt, Jiang and Chuang, Confident Learning (JAIR 2021); for several labels Thyagarajan et al.,
Identifying Incorrect Annotations in Multi-Label Classification Data (2022), as cleanlab does it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from beatsight.errors import InputError, require
from beatsight.evaluate.mistakes import sample_id
from beatsight.evaluate.scores import Evaluation
from beatsight.report.evaluation_data import LabelIssue

# With fewer moments that carry a class (or do not) its usual score is a guess.
LEAST_MOMENTS = 5
EVEN = 0.5
# Moments listed besides for each that is counted as wrong.
_MORE = 1


def searchable(evaluation: Evaluation) -> list[str]:
    """The classes with enough moments on either side to be searched."""
    support = evaluation.truth.sum(axis=0)
    return evaluation.names((support >= LEAST_MOMENTS) & (len(evaluation.rows) - support >= LEAST_MOMENTS))


def find_label_issues(evaluation: Evaluation) -> list[LabelIssue]:
    """Moments whose labels look wrong, the worst first; none where nothing is counted as wrong.

    Raises:
        MissingDependencyError: cleanlab is not installed.
        InputError: no class has enough moments.
    """
    require("cleanlab", "cleanlab")
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    classes = searchable(evaluation)
    if not classes:
        raise InputError(
            f"{evaluation.dataset}: no class has {LEAST_MOMENTS} moments with and {LEAST_MOMENTS} without it "
            f"in the {evaluation.split} split, so no label can be judged"
        )
    columns = np.flatnonzero(np.isin(evaluation.labels, classes))
    truth = evaluation.truth[:, columns]
    scores = evaluation.scores[:, columns].astype(np.float64)
    given = [np.flatnonzero(row).tolist() for row in truth]
    per_class: Any = find_multilabel_issues_per_class(given, scores, n_jobs=1)
    found = np.asarray(per_class, dtype=bool)
    quality = get_label_quality_scores(given, scores)
    flagged = np.asarray(found.any(axis=1))
    doubtful = np.zeros_like(evaluation.truth)
    doubtful[:, columns] = found | _against(truth, scores)
    ranked = np.argsort(quality, kind="stable")
    listed = flagged.copy()
    listed[ranked[~flagged[ranked]][: _MORE * int(flagged.sum())]] = True
    return [
        _issue(evaluation, at, doubtful[at], float(quality[at]), bool(flagged[at]))
        for at in ranked[listed[ranked]].tolist()
    ]


def _against(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The labels that the scores are against: those under even odds, and in every moment the least likely."""
    confidence = np.where(truth, scores, 1.0 - scores)
    return (confidence < EVEN) | (confidence == confidence.min(axis=1, keepdims=True))


def _issue(
    evaluation: Evaluation, at: int, doubtful: np.ndarray, quality: float, flagged: bool
) -> LabelIssue:
    origin, row = evaluation.origin, int(evaluation.rows[at])
    return LabelIssue(
        row=row,
        sample_id=sample_id(row),
        session_id=origin.session[at],
        audio_path=origin.audio_file[at],
        onset_time=float(origin.onset_s[at]),
        given=evaluation.names(evaluation.truth[at]),
        suggested=evaluation.names(evaluation.truth[at] ^ doubtful),
        score=quality,
        flagged=flagged,
    )
