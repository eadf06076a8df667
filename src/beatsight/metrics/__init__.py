"""Scores: arrays in, numbers out.

onsets        hits matched in time, precision, recall and F of what was found
multilabel    moments with several labels: per class, averaged, confusion, thresholds
ranking       one score that tells two groups apart: ROC, average precision
calibration   scores taken at their word: ECE, Brier, reliability
bootstrap     confidence intervals of sums over clusters
"""

from beatsight.metrics.bootstrap import Bootstrap, cluster_bootstrap, cluster_sums
from beatsight.metrics.calibration import (
    DEFAULT_BINS,
    Reliability,
    bin_edges,
    bin_of,
    brier_score,
    expected_calibration_error,
    reliability,
)
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
from beatsight.metrics.ranking import (
    TPR_TARGET,
    OperatingPoint,
    PrecisionRecall,
    RocCurve,
    area_under,
    auroc,
    average_precision,
    corners,
    fpr_at_tpr,
    operating_point,
    precision_recall,
    roc_curve,
)

__all__ = [
    "DEFAULT_BINS",
    "DEFAULT_THRESHOLD",
    "ONSET_TOLERANCE_S",
    "TPR_TARGET",
    "Bootstrap",
    "Counts",
    "MultilabelReport",
    "OnsetScores",
    "OperatingPoint",
    "PrecisionRecall",
    "Rates",
    "Reliability",
    "RocCurve",
    "area_under",
    "auroc",
    "average_precision",
    "best_thresholds",
    "bin_edges",
    "bin_of",
    "brier_score",
    "cluster_bootstrap",
    "cluster_sums",
    "corners",
    "expected_calibration_error",
    "fpr_at_tpr",
    "match_onsets",
    "multilabel_confusion",
    "multilabel_report",
    "operating_point",
    "precision_recall",
    "reliability",
    "roc_curve",
    "transcription_scores",
]
