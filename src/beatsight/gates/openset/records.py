"""What the open-set gate is asked and what it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from beatsight.errors import UsageError
from beatsight.events import Name, Prediction
from beatsight.events.lines import KNOWN_KEYS
from beatsight.gates.result import GateReport

Score = Literal["max_probability", "energy", "given"]

# The release gates of docs/formats.md.
MIN_AUROC = 0.90
MAX_FPR95 = 0.10
REJECTION_KEY = "rejection_score"


class OpensetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate reads and asks for.

    Attributes:
        ground_truth: rows ``{sample_id, is_known}``.
        predictions: rows ``{sample_id, scores}``, with ``logits`` or the ``score_key`` where used.
        score: how knownness is scored; see the module.
        score_key: with ``given``, the prediction's key to read; higher = more likely unknown.
        min_auroc, max_fpr95: thresholds, 0..1.
    """

    ground_truth: Path
    predictions: Path
    score: Score = "max_probability"
    score_key: str = REJECTION_KEY
    min_auroc: float = MIN_AUROC
    max_fpr95: float = MAX_FPR95

    def __post_init__(self) -> None:
        if self.score not in get_args(Score):
            raise UsageError(f"score: {self.score!r} is none of {', '.join(get_args(Score))}")
        if self.score != "given" and self.score_key != REJECTION_KEY:
            raise UsageError("score_key: is only read where score is 'given'")
        if not self.score_key or self.score_key in KNOWN_KEYS[Prediction]:
            raise UsageError(f"score_key: {self.score_key!r} is no key that can hold a rejection score")
        for name in ("min_auroc", "max_fpr95"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name}: {getattr(self, name)} is not in 0..1")


class RocPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Rates at one threshold; None where it accepts nothing."""

    fpr: float
    tpr: float
    threshold: float | None


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of known and unknown samples between ``edges`` (one more than counts)."""

    edges: list[float]
    known: list[int]
    unknown: list[int]


class ScoredSample(msgspec.Struct, frozen=True, kw_only=True):
    """One sample and its score."""

    sample_id: str
    score: float


class OpensetReport(GateReport, tag="openset", kw_only=True, frozen=True):
    """How well known and unknown sounds are told apart.

    Attributes:
        auroc: area under the ROC curve, ties counted half.
        auprc: average precision, known samples positive.
        auprc_unknown: average precision, unknown samples positive.
        fpr_at_95_tpr: share of unknown samples accepted where at least 95 % of the known ones are.
        score, score_name, score_text: the kind of score, its name on axes, and how it was computed.
        accepts: the rule of the operating point to six digits, e.g. ``max_probability >= 0.62``.
        threshold: its threshold, all digits.
        tpr_at_threshold: the share of known samples that it accepts: .95 or, with ties, more.
        known, unknown: samples of each group.
        extra_predictions: predictions of samples that the truth does not list.
        roc: points of the curve from (0, 0) to (1, 1), straight lines between them.
        roc_text: which points these are.
        histogram: scores of both groups.
        hardest_known, hardest_unknown: the samples furthest on the wrong side, worst first.
    """

    auroc: float
    auprc: float
    auprc_unknown: float
    fpr_at_95_tpr: float
    score: Score
    score_name: str
    score_text: str
    accepts: str
    threshold: float
    tpr_at_threshold: float
    known: int
    unknown: int
    extra_predictions: int
    roc: list[RocPoint]
    roc_text: str
    histogram: Histogram
    hardest_known: list[ScoredSample]
    hardest_unknown: list[ScoredSample]


class OpensetTruth(msgspec.Struct, kw_only=True, gc=False):
    """A line of the truth."""

    sample_id: Name
    is_known: bool
