"""What the calibration gate is asked and what it answers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from beatsight.errors import UsageError
from beatsight.gates.result import GateReport
from beatsight.metrics import DEFAULT_BINS

# A reader who takes scores for probabilities is then wrong by five points on average.
MAX_ECE = 0.05
# From softest to loudest.
BUCKETS = ("ghost", "light", "medium", "accent")
# More bins are emptier than any picture of them is useful.
_MOST_BINS = 1000


class CalibrationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the gate reads and asks for.

    Attributes:
        ground_truth: rows with ``labels``, or events with ``components``.
        predictions: rows ``{sample_id, scores}``.
        bins: equal-width bins of 0..1.
        max_ece: largest expected calibration error over all cells.
        max_asserted_ece: the same over cells with a score of .5 or above; None: not judged.
        max_brier: largest Brier score over all cells; None: not judged.
    """

    ground_truth: Path
    predictions: Path
    bins: int = DEFAULT_BINS
    max_ece: float = MAX_ECE
    max_asserted_ece: float | None = None
    max_brier: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= _MOST_BINS:
            raise UsageError(f"bins: {self.bins} is not in 1..{_MOST_BINS}")
        for name in ("max_ece", "max_asserted_ece", "max_brier"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise UsageError(f"{name}: {value} is not in 0..1")


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """Forecasts with a score in (low, high], in the first bin also low itself; means None where it is empty.

    Attributes:
        low, high: edges.
        count: forecasts.
        positives: of them true.
        mean_score, mean_truth: 0..1.
    """

    low: float
    high: float
    count: int
    positives: int
    mean_score: float | None
    mean_truth: float | None


class ClassCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """One class, over all samples.

    Attributes:
        label: canonical name.
        support: samples that carry it.
        prevalence: their share.
        mean_score: mean of its scores; above the prevalence the model says it too often.
        ece, brier: over its cells.
        reliability: its bins.
    """

    label: str
    support: int
    prevalence: float
    mean_score: float
    ece: float
    brier: float
    reliability: list[Bin]


class DynamicCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """One dynamic bucket.

    Attributes:
        bucket: ghost, light, medium or accent.
        hits: true (sample, label) pairs of that loudness.
        mean_score: mean score of the true label over these hits; 1 would be perfect. None without hits.
        found: share of these hits whose label scores .5 or above.
        samples: samples whose loudest hit is in the bucket.
        ece, brier: over all cells of these samples; None without samples.
        reliability: their bins.
    """

    bucket: str
    hits: int
    mean_score: float | None
    found: float | None
    samples: int
    ece: float | None
    brier: float | None
    reliability: list[Bin]


class CalibrationReport(GateReport, tag="calibration", kw_only=True, frozen=True):
    """How far scores are from what they say.

    Attributes:
        ece: expected calibration error over all cells, equal-width bins.
        ece_equal_mass: the same with bins of about equal counts.
        ece_asserted: the same as ``ece`` over cells with a score of .5 or above; None without such cells.
        brier: mean squared difference of score and truth.
        coverage: share of the truth's samples that have a prediction.
        samples, missing, extra_predictions: judged; without a prediction; of samples the truth does not list.
        cells, asserted_cells, unscored_cells: all; with a score of .5 or above; without a score, taken as 0.
        reliability: bins over all cells.
        per_class: in order of label.
        dynamics: from ghost to accent.
        samples_without_dynamics: judged samples with no hit whose loudness is given.
    """

    ece: float
    ece_equal_mass: float
    ece_asserted: float | None
    brier: float
    coverage: float
    samples: int
    missing: int
    extra_predictions: int
    cells: int
    asserted_cells: int
    unscored_cells: int
    reliability: list[Bin]
    per_class: list[ClassCalibration]
    dynamics: list[DynamicCalibration]
    samples_without_dynamics: int
