"""What the report of a demo run is made from: plain, frozen records of numbers, text and arrays.

Conventions: times in seconds, scores 0..1, audio mono in -1..1. A score that could not be computed is None or
NaN. Label names are those of :mod:`beatsight.taxonomy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beatsight.errors import UsageError
from beatsight.report.song_data import HeardSong
from beatsight.report.timeline import Hit

# The project's own promise: what the demo reaches on songs it makes itself. Not a claim about recordings.
TARGET_F = 0.85


@dataclass(frozen=True)
class DatasetSummary:
    """Clips per label and split (``counts[label][split]``), and hours of audio per split."""

    counts: Mapping[str, Mapping[str, int]]
    hours: Mapping[str, float]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training data; a value that was not measured is None."""

    epoch: int
    train_loss: float | None
    val_loss: float | None
    val_macro_f1: float | None
    lr: float | None


@dataclass(frozen=True)
class ClassScore:
    """How well single clips of one label were recognised; ``support`` clips, decided at ``threshold``."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    threshold: float | None


@dataclass(frozen=True)
class HitScore:
    """Hits of one label over all test songs: matched, false and missed, and what follows from them."""

    label: str
    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class SongScore:
    """One test song; tempi in beats per minute, meters like ``"4/4"``, None where nothing was found."""

    name: str
    style: str
    f1: float | None
    tp: int
    fp: int
    fn: int
    tempo_true: float | None
    tempo_found: float | None
    meter_true: str | None
    meter_found: str | None


@dataclass(frozen=True)
class ExampleSong:
    """A test song to look at and listen to.

    ``audio`` has shape ``(samples,)``; ``true_hits`` and ``found_hits`` carry their ``matched`` flag (a
    true hit without a match was missed, a found one is false); ``lanes`` gives the chart lane of each
    label.
    """

    name: str
    sample_rate: int
    audio: np.ndarray
    true_hits: Sequence[Hit]
    found_hits: Sequence[Hit]
    beats_s: Sequence[float] | np.ndarray
    tempo_bpm: float | None
    lanes: Mapping[str, int]


@dataclass(frozen=True)
class PackageSongs:
    """What the package's own transcriber found: a song to hear, and the score over ``count`` songs."""

    heard: HeardSong
    total: HitScore
    count: int


@dataclass(frozen=True)
class DemoReport:
    """Everything a demo run has to tell.

    ``generated`` is an ISO 8601 time; ``confusion`` has shape ``(labels, labels)``, rows true, columns
    predicted; ``unseen_kits`` is the total over songs on kits that training never heard; ``outputs`` are
    (path, what it is) and ``next_commands`` (command line, what it does).

    Raises:
        UsageError: the confusion matrix does not fit its labels.
    """

    title: str
    generated: str
    version: str
    machine: str
    seconds_by_step: Mapping[str, float]
    dataset: DatasetSummary
    history: Sequence[Epoch]
    classes: Sequence[ClassScore]
    confusion_labels: Sequence[str]
    confusion: np.ndarray
    hits: Sequence[HitScore]
    total: HitScore
    tolerance_ms: float
    songs: Sequence[SongScore]
    example: ExampleSong
    unseen_kits: HitScore | None = None
    package: PackageSongs | None = None
    outputs: Sequence[tuple[str, str]] = ()
    next_commands: Sequence[tuple[str, str]] = ()
    target_f: float = TARGET_F

    def __post_init__(self) -> None:
        side = len(self.confusion_labels)
        if self.confusion.shape != (side, side):
            raise UsageError(f"the confusion matrix has shape {self.confusion.shape} for {side} labels")
