"""Scores: arrays in, numbers out.

onsets        hits matched in time, precision, recall and F of what was found
multilabel    moments with several labels: per class, averaged, confusion, thresholds
"""

from beatsight.metrics.multilabel import (
    DEFAULT_THRESHOLD,
    MultilabelReport,
    Rates,
    best_thresholds,
    multilabel_confusion,
    multilabel_report,
)
from beatsight.metrics.onsets import (
    ONSET_TOLERANCE_S,
    Counts,
    OnsetScores,
    match_onsets,
    transcription_scores,
)

__all__ = [
    "DEFAULT_THRESHOLD",
    "ONSET_TOLERANCE_S",
    "Counts",
    "MultilabelReport",
    "OnsetScores",
    "Rates",
    "best_thresholds",
    "match_onsets",
    "multilabel_confusion",
    "multilabel_report",
    "transcription_scores",
]
