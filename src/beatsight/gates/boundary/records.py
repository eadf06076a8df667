"""What gate ``boundary`` reads, is asked and answers.

Conventions: precision, recall, F1, scores and thresholds are 0..1; labels are canonical names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from beatsight.errors import UsageError
from beatsight.events import Name
from beatsight.gates.result import GateReport
from beatsight.metrics import DEFAULT_THRESHOLD

# The release gate on streaming boundaries (docs/formats.md).
MIN_MACRO_RECALL = 0.95

Edge = Literal["leading", "trailing"]
EDGES: tuple[Edge, ...] = get_args(Edge)


class BoundarySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate reads and asks for.

    Attributes:
        ground_truth: the boundary pack, JSON lines.
        predictions: scores by ``sample_id``, JSON lines or Parquet.
        threshold: a label is predicted at or above this score, above 0 and at most 1.
        thresholds_file: JSON, label → threshold; labels not in it use ``threshold``.
        min_macro_recall: the least macro recall that passes, 0..1.

    Raises:
        UsageError: a threshold is outside its range.
    """

    ground_truth: Path
    predictions: Path
    threshold: float = DEFAULT_THRESHOLD
    thresholds_file: Path | None = None
    min_macro_recall: float = MIN_MACRO_RECALL

    def __post_init__(self) -> None:
        # At 0 every label would be predicted everywhere, rows without a prediction included.
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold must be above 0 and at most 1, got {self.threshold:g}")
        if not 0 <= self.min_macro_recall <= 1:
            raise UsageError(f"min_macro_recall must be in 0..1, got {self.min_macro_recall:g}")


class BoundaryTruth(msgspec.Struct, kw_only=True, gc=False):
    """A row of a boundary pack: a hit at one edge of one window."""

    sample_id: Name
    labels: list[Name]
    edge: Edge


class Averages(msgspec.Struct, frozen=True, kw_only=True):
    """Precision, recall and F1 of one average, 0..1."""

    precision: float
    recall: float
    f1: float


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of some rows; the keys of every dictionary are the classes true or predicted in these rows.

    Attributes:
        rows: truth rows.
        missing: those without a prediction.
        per_class_precision, per_class_recall, per_class_f1: 0..1; 0 where undefined.
        support: rows in which the class is true.
        predicted: rows in which it is predicted.
        macro: mean over the classes.
        micro: of the counts summed over the classes.
        true_class_recall: mean recall of the classes that are true somewhere; None when there is none.
    """

    rows: int
    missing: int
    per_class_precision: dict[str, float]
    per_class_recall: dict[str, float]
    per_class_f1: dict[str, float]
    support: dict[str, int]
    predicted: dict[str, int]
    macro: Averages
    micro: Averages
    true_class_recall: float | None


class BoundaryReport(GateReport, tag="boundary", kw_only=True, frozen=True):
    """What the gate found; the fields of :class:`Scores` over all rows, and more.

    Attributes:
        by_edge: the same scores of the rows of each edge that the truth has.
        edge_hits: rows of each edge that carry a label.
        extra: predictions of samples that the truth lacks, not scored.
        threshold: for labels without a threshold of their own.
        thresholds: the operating threshold of every class.
    """

    rows: int
    missing: int
    per_class_precision: dict[str, float]
    per_class_recall: dict[str, float]
    per_class_f1: dict[str, float]
    support: dict[str, int]
    predicted: dict[str, int]
    macro: Averages
    micro: Averages
    true_class_recall: float | None
    by_edge: dict[Edge, Scores]
    edge_hits: dict[Edge, int]
    extra: int
    threshold: float
    thresholds: dict[str, float]
