"""What a model's answer to one moment becomes in a file of predictions; the one home of that decision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beatsight.events import Prediction
from beatsight.taxonomy import is_hihat

_SCORE_DIGITS = 6


def answer(
    where: Prediction,
    labels: Sequence[str],
    scores: np.ndarray,
    found: np.ndarray,
    velocity: np.ndarray | None,
    openness: float | None,
) -> Prediction:
    """Fill in what the model says.

    Velocity is that of the loudest label reported, as the gates compare it; openness is given where a hi-hat
    is reported, for elsewhere it means nothing.

    Args:
        where: id, session, recording and time of the moment.
        labels: names of the classes.
        scores: (classes,) 0..1.
        found: (classes,) booleans, the classes reported.
        velocity: (classes,) 0..1, or None without that head.
        openness: 0..1, or None without that head.
    """
    where.scores = {
        label: round(score, _SCORE_DIGITS) for label, score in zip(labels, scores.tolist(), strict=True)
    }
    names = [label for label, there in zip(labels, found.tolist(), strict=True) if there]
    where.predicted_labels = names
    if velocity is not None and names:
        where.velocity_pred = round(float(velocity[found].max()), _SCORE_DIGITS)
    if openness is not None and any(map(is_hihat, names)):
        where.openness_pred = round(float(openness), _SCORE_DIGITS)
    return where
