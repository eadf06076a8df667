"""Evaluations with planted scores and truths, without a network or a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beatsight import taxonomy
from beatsight.evaluate import Evaluation
from beatsight.evaluate.scores import Origin
from beatsight.metrics import multilabel_confusion, multilabel_report
from beatsight.report.evaluation_data import ModelFacts
from tiny_dataset import TINY_FEATURES

LABELS = taxonomy.CLASSIFIER


def planted_evaluation(
    truth: np.ndarray,
    scores: np.ndarray,
    sessions: Sequence[str] | None = None,
    *,
    split: str = "test",
    sources: Sequence[str] | None = None,
    velocity: tuple[np.ndarray, np.ndarray] | None = None,
    openness: tuple[np.ndarray, np.ndarray] | None = None,
) -> Evaluation:
    """An evaluation of ``truth`` and ``scores`` (moments, up to 12 classes) at thresholds of 0.5.

    ``velocity`` and ``openness`` are (true, found); without them there is no such head. Row numbers are ten
    times the place of the moment, its time a tenth of it.
    """
    count, given = truth.shape
    wide = np.zeros((count, len(LABELS)), bool)
    wide[:, :given] = truth
    said = np.zeros((count, len(LABELS)), np.float32)
    said[:, :given] = scores
    thresholds = np.full(len(LABELS), 0.5)
    names = list(sessions) if sessions is not None else [f"session-{at % 4}" for at in range(count)]
    unknown = np.full((count, len(LABELS)), np.nan, np.float32)
    no_openness = np.full(count, np.nan, np.float32)
    return Evaluation(
        labels=LABELS,
        rows=10 * np.arange(count),
        scores=said,
        truth=wide,
        thresholds=thresholds,
        report=multilabel_report(wide, said >= thresholds),
        confusion=multilabel_confusion(wide, said >= thresholds),
        split=split,
        velocity=velocity[1] if velocity else None,
        true_velocity=velocity[0] if velocity else unknown,
        openness=openness[1] if openness else None,
        true_openness=openness[0] if openness else no_openness,
        origin=Origin(
            session=names,
            audio_file=[f"{name}.wav" for name in names],
            onset_s=np.arange(count) / 10.0,
            source=list(sources) if sources is not None else [""] * count,
            kit=[""] * count,
        ),
        features=TINY_FEATURES,
        model=ModelFacts(architecture="Planted", parameters=3, heads=[]),
        dataset="planted",
    )
