"""What the report of an evaluation is made from, and what ``evaluation.json`` holds: one record for both.

Conventions: scores, rates, velocity and openness 0..1, times in seconds; what was not measured is None. An
interval is (low, high) of the bootstrap that :class:`Resampling` describes, None where there is none.
"""

from __future__ import annotations

import msgspec

from beatsight.gates.calibration import Bin

Interval = tuple[float, float]


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """One class.

    Attributes:
        precision, recall, f1: at ``threshold``; 0 where undefined.
        support: moments that truly carry the class.
        found: moments for which it is predicted.
        ece, brier: of its scores.
        true_scores, other_scores: moments by score in 20 equal bins, where it is true and where it is not.
    """

    precision: float
    recall: float
    f1: float
    support: int
    threshold: float
    f1_interval: Interval | None = None
    found: int = 0
    ece: float | None = None
    brier: float | None = None
    true_scores: list[int] = []
    other_scores: list[int] = []


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by true class (and "no drum") and by what it was heard as (and "missed")."""

    rows: list[str]
    columns: list[str]
    counts: list[list[float]]


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Whether scores are probabilities, over all cells (moment, class).

    Attributes:
        ece_asserted: of the scores of 0.5 or above alone; None without one.
        true_scores, other_scores: cells by score in 20 equal bins, where the class is true and where not.
    """

    ece: float
    ece_interval: Interval | None
    ece_asserted: float | None
    brier: float
    cells: int
    reliability: list[Bin]
    true_scores: list[int]
    other_scores: list[int]


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of one group of hits; ``bias`` above 0: what was heard is too high."""

    name: str
    hits: int
    mae: float | None
    bias: float | None
    mean_true: float | None
    mean_found: float | None


class Estimates(msgspec.Struct, frozen=True, kw_only=True):
    """How well a head of the network estimates velocity or openness, over the hits that have a true one."""

    hits: int
    mae: float | None
    interval: Interval | None
    bias: float | None
    by_level: list[Spread]
    by_class: list[Spread]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a part of the split: a session, a source, a kit; ``macro_f1`` over its own classes."""

    name: str
    moments: int
    hits: int
    classes: int
    precision: float
    recall: float
    micro_f1: float
    macro_f1: float


class Resampling(msgspec.Struct, frozen=True, kw_only=True):
    """How intervals were found: whole sessions are drawn with replacement."""

    clusters: int
    iterations: int
    confidence: float
    seed: int
    unit: str = "session"


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong answer: ``true`` was heard as ``heard``; None stands for no drum, and for none heard.

    Attributes:
        loss: cross entropy of its one or two scores, added up, in nats; larger is worse.
        true_score, heard_score: the model's scores of the two labels.
        given, found: all labels of the moment, and all that the model predicts.
    """

    row: int
    sample_id: str
    true: str | None
    heard: str | None
    true_score: float | None
    heard_score: float | None
    loss: float
    session_id: str
    audio_path: str
    onset_time: float
    given: list[str]
    found: list[str]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """How often one class was heard as another; of the worst ones ``hardest`` says more."""

    true: str | None
    heard: str | None
    count: int
    hardest: list[Mistake]


class LabelIssue(msgspec.Struct, frozen=True, kw_only=True):
    """A moment whose labels look wrong: a line of ``label_issues.jsonl``.

    Attributes:
        suggested: the given labels with the doubtful ones turned.
        score: the labels' quality, 0 is worst.
        flagged: whether it is among those that are counted as wrong; the others are the next in rank.
    """

    row: int
    sample_id: str
    session_id: str
    audio_path: str
    onset_time: float
    given: list[str]
    suggested: list[str]
    score: float
    flagged: bool


class LabelIssues(msgspec.Struct, frozen=True, kw_only=True):
    """What the search for wrong labels found.

    Attributes:
        found: moments counted as wrong.
        listed: moments in ``label_issues.jsonl``.
        searched: moments in all.
        classes: those with enough moments to be searched.
        worst: the first of the list.
    """

    found: int
    listed: int
    searched: int
    classes: list[str]
    worst: list[LabelIssue]


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Which network was judged."""

    architecture: str
    parameters: int
    heads: list[str]


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """A model's results on one split; ``evaluation.json``.

    Attributes:
        macro_f1: mean over all classes, those that never occur counting as 0 (scikit-learn's).
        macro_f1_present: mean over the classes that occur; what training calls macro F1.
        notes: what to know to trust the numbers.
    """

    program_version: str
    dataset: str
    split: str
    moments: int
    sessions: int
    model: ModelFacts
    per_class: dict[str, ClassResult]
    macro_precision: float
    macro_recall: float
    macro_f1: float
    macro_f1_present: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    example_f1: float
    classes_without_support: list[str]
    resampling: Resampling
    intervals: dict[str, Interval | None]
    confusion: Confusion
    calibration: Calibration
    velocity_mae: float | None
    openness_mae: float | None
    velocity: Estimates | None
    openness: Estimates | None
    by_session: list[Part]
    by_source: list[Part]
    by_kit: list[Part]
    mistakes: int
    mistake_pairs: list[Pair]
    label_issues: LabelIssues | None = None
    notes: list[str] = []
