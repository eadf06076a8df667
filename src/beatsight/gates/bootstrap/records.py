"""What the gate is asked and what it answers.

Conventions: F1, ECE and the mean absolute errors of openness and velocity are 0..1; None means that there is
no such number, and ``why`` says the reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import msgspec

from beatsight.errors import UsageError
from beatsight.gates.result import GateReport
from beatsight.metrics import DEFAULT_THRESHOLD
from beatsight.metrics.bootstrap import METHODS, Method

Cluster = Literal["auto", "session", "sample"]
CLUSTERS: tuple[Cluster, ...] = get_args(Cluster)

DEFAULT_ITERATIONS = 1000  # the seed's
DEFAULT_CONFIDENCE = 0.95
# The blocking rule of docs/formats.md: a release is held when it is worse by more than this.
MAX_MACRO_F1_DROP = 0.03
MAX_OPENNESS_MAE_RISE = 0.02
# With so many the ends of a 95 % interval of something normal still wander by 0.2 % of its width; more only
# costs memory.
_MOST_ITERATIONS = 100_000

# In the order of every table and drawing.
METRICS = (
    "macro_f1", "micro_f1", "example_f1", "onset_f1_20ms", "onset_f1_50ms", "openness_mae", "velocity_mae",
    "ece",
)  # fmt: skip
# Of these less is better.
ERRORS = ("openness_mae", "velocity_mae", "ece")


class BootstrapSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to measure.

    Attributes:
        ground_truth: JSON lines of truths, or a manifest of events.
        predictions: of the same samples.
        iterations: resamples.
        seed: the same seed gives the same report.
        confidence: of the intervals, e.g. 0.95.
        method: ``percentile`` or ``bca``.
        cluster: what is drawn: ``session``, ``sample``, or ``auto``: sessions where the truth names them.
        threshold: score from which a label counts as predicted.
        thresholds_file: JSON object, label to threshold; other labels keep ``threshold``.
        min_macro_f1: least macro F1; not judged by default.
        baseline: an earlier report of this gate.
        baseline_predictions: predictions of an earlier model, compared on the same resamples.
        max_macro_f1_drop: how far macro F1 may fall below the baseline's.
        max_openness_mae_rise: how far the openness error may rise above the baseline's.

    Raises:
        UsageError: a value makes no sense.
    """

    ground_truth: Path
    predictions: Path
    iterations: int = DEFAULT_ITERATIONS
    seed: int = 0
    confidence: float = DEFAULT_CONFIDENCE
    method: Method = "percentile"
    cluster: Cluster = "auto"
    threshold: float = DEFAULT_THRESHOLD
    thresholds_file: Path | None = None
    min_macro_f1: float | None = None
    baseline: Path | None = None
    baseline_predictions: Path | None = None
    max_macro_f1_drop: float = MAX_MACRO_F1_DROP
    max_openness_mae_rise: float = MAX_OPENNESS_MAE_RISE

    def __post_init__(self) -> None:
        for wrong, sentence in (
            (
                not 2 <= self.iterations <= _MOST_ITERATIONS,
                f"iterations is {self.iterations}; it must lie in 2..{_MOST_ITERATIONS}",
            ),
            (self.seed < 0, f"seed is {self.seed}; it must not be negative"),
            (
                not 0.0 < self.confidence < 1.0,
                f"confidence is {self.confidence:g}; it must lie between 0 and 1, such as 0.95",
            ),
            (self.method not in METHODS, f"method is {self.method!r}; it must be {' or '.join(METHODS)}"),
            (
                self.cluster not in CLUSTERS,
                f"cluster is {self.cluster!r}; it must be one of {', '.join(CLUSTERS)}",
            ),
            (
                not 0.0 < self.threshold <= 1.0,
                f"threshold is {self.threshold:g}; it must be above 0 and at most 1",
            ),
            (
                self.min_macro_f1 is not None and not 0.0 <= self.min_macro_f1 <= 1.0,
                f"min_macro_f1 is {self.min_macro_f1}; it must lie in 0..1",
            ),
            (
                not 0.0 <= self.max_macro_f1_drop <= 1.0,
                f"max_macro_f1_drop is {self.max_macro_f1_drop:g}; it must lie in 0..1",
            ),
            (
                not 0.0 <= self.max_openness_mae_rise <= 1.0,
                f"max_openness_mae_rise is {self.max_openness_mae_rise:g}; it must lie in 0..1",
            ),
            (
                self.baseline is not None and self.baseline_predictions is not None,
                "baseline and baseline_predictions are two baselines; give one of them",
            ),
        ):
            if wrong:
                raise UsageError(sentence)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """One number and how sure it is.

    Attributes:
        point_estimate: on all samples.
        mean: of the resamples.
        ci_lower, ci_upper: ends of the interval; None where there is none, see ``why``.
        standard_error: standard deviation of the resamples.
        method: how the interval was made.
        n: samples that count in it.
        clusters: clusters that hold them.
        undefined_resamples: resamples without any such sample, left out.
        why: the reason where there is no interval, or one without width.
    """

    point_estimate: float
    mean: float | None
    ci_lower: float | None
    ci_upper: float | None
    standard_error: float | None
    method: Method
    n: int
    clusters: int
    undefined_resamples: int = 0
    why: str = ""


class Difference(Estimate, frozen=True, kw_only=True):
    """Candidate minus baseline; ``worse_share`` is the share of resamples in which the candidate is worse.

    Against a report there are no resamples to share: only ``point_estimate`` is given.
    """

    worse_share: float | None = None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What the candidate is compared with.

    Attributes:
        kind: an earlier ``report``, or the earlier model's ``predictions``.
        same_truth: whether it was measured on the same samples and labels.
        metrics, per_class_f1: its own estimates.
        differences: candidate minus baseline, of every metric that both have.
    """

    kind: Literal["report", "predictions"]
    same_truth: bool
    metrics: dict[str, Estimate]
    per_class_f1: dict[str, Estimate]
    differences: dict[str, Difference]


class BootstrapReport(GateReport, frozen=True, kw_only=True, tag="bootstrap"):
    """Metrics with intervals; a metric is None where nothing could be measured.

    Attributes:
        macro_f1, micro_f1, example_f1: at the thresholds, over the labels that are true or predicted.
        onset_f1_20ms, onset_f1_50ms: hits matched in time and label within their session.
        openness_mae, velocity_mae: mean absolute error where truth and prediction both give a value.
        ece: expected calibration error of all scores.
        per_class_f1: by label.
        samples, predicted: rows of the truth, and those of them that have a prediction.
        clusters, cluster: how many were drawn from, and what they are.
        iterations, seed, confidence, method: of the resampling.
        threshold, thresholds: in general, and of the labels that have one of their own.
        truth_digest: of the ids and labels, to know the same truth again.
        max_macro_f1_drop, max_openness_mae_rise, min_macro_f1: the limits that were asked for.
        baseline: None where none was given.
    """

    macro_f1: Estimate | None
    micro_f1: Estimate | None
    example_f1: Estimate | None
    onset_f1_20ms: Estimate | None
    onset_f1_50ms: Estimate | None
    openness_mae: Estimate | None
    velocity_mae: Estimate | None
    ece: Estimate | None
    per_class_f1: dict[str, Estimate]
    samples: int
    predicted: int
    clusters: int
    cluster: Literal["session", "sample"]
    iterations: int
    seed: int
    confidence: float
    method: Method
    threshold: float
    thresholds: dict[str, float]
    truth_digest: str
    max_macro_f1_drop: float
    max_openness_mae_rise: float
    min_macro_f1: float | None = None
    baseline: Baseline | None = None

    @property
    def metrics(self) -> dict[str, Estimate]:
        """The metrics that could be measured, by name."""
        found = {name: getattr(self, name) for name in METRICS}
        return {name: estimate for name, estimate in found.items() if estimate is not None}
