"""A model against a dataset's split: what it says of every moment, beside what is true of it.

Scores are of clips (one per labelled moment): was each drum that starts there named, and no other. How well
whole songs are transcribed is scored on charts instead (:func:`beatsight.metrics.transcription_scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.metrics import MultilabelReport, multilabel_confusion, multilabel_report
from beatsight.models.checkpoint import Model
from beatsight.report.evaluation_data import EvaluationReport, ModelFacts

_BATCH = 64


@dataclass(frozen=True)
class Origin:
    """Where n moments come from.

    Attributes:
        session, audio_file: names, n each.
        onset_s: seconds within the audio file, float64 (n,).
        source, kit: names, n each, empty where it is not known.
    """

    session: list[str]
    audio_file: list[str]
    onset_s: np.ndarray
    source: list[str]
    kit: list[str]


@dataclass(frozen=True)
class Evaluation:
    """Results on one split of n moments.

    Attributes:
        labels: class names, in column order.
        rows: dataset rows, shape (n,).
        scores: 0..1, shape (n, classes).
        truth: bool, shape (n, classes).
        thresholds: the model's operating thresholds, shape (classes,).
        report: precision, recall and F1 per class and averaged.
        confusion: as :func:`beatsight.metrics.multilabel_confusion`, shape (classes + 1, classes + 1).
        split: which split.
        velocity, true_velocity: 0..1, shape (n, classes); the first None without that head, the second NaN
            where unknown.
        openness, true_openness: the same of the hi-hat, shape (n,).
        origin: session, file and time of every moment.
        features: how the clips were made.
        model: which network it is.
        dataset: the folder that was scored.
    """

    labels: tuple[str, ...]
    rows: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    thresholds: np.ndarray
    report: MultilabelReport
    confusion: np.ndarray
    split: str
    velocity: np.ndarray | None
    true_velocity: np.ndarray
    openness: np.ndarray | None
    true_openness: np.ndarray
    origin: Origin
    features: FeatureConfig
    model: ModelFacts
    dataset: str

    @property
    def predicted(self) -> np.ndarray:
        """Which classes the model reports, bool, shape (n, classes)."""
        return self.scores >= self.thresholds

    @cached_property
    def summary(self) -> EvaluationReport:
        """Every figure of ``evaluation.json`` (which also says what a search for label errors found)."""
        from beatsight.evaluate.summary import summarise

        return summarise(self)

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.summary))
        return plain

    def names(self, row: np.ndarray) -> list[str]:
        """The labels that a row of booleans (classes,) marks."""
        return [label for label, marked in zip(self.labels, row.tolist(), strict=True) if marked]


def evaluate_model(
    model: Model, dataset: Dataset, split: str = "test", progress: Callable[[int, int], None] | None = None
) -> Evaluation:
    """Score a model on every clip of a split, unaugmented.

    Args:
        model: the classifier.
        dataset: with the same labels.
        split: ``train``, ``val`` or ``test``.
        progress: called with (moments done, moments in all).

    Raises:
        InputError: the split is empty, or model and dataset disagree on the labels.
    """
    if tuple(dataset.labels) != tuple(model.labels):
        raise InputError(f"{dataset.root}: its labels are not those the model was trained on")
    batches = Batches(dataset, split, model.features, augment=None, device=model.device, seed=0)
    if not len(batches):
        raise InputError(f"{dataset.root}: the {split} split is empty")
    parts: dict[str, list[np.ndarray]] = {}
    done = 0
    for batch in batches.in_order(_BATCH):
        heard = model.hear_features(batch.features)
        for name, value in (*vars(heard).items(), ("truth", batch.labels)):
            if value is not None:
                parts.setdefault(name, []).append(value.cpu().numpy())
        done += len(batch.rows)
        if progress:
            progress(done, len(batches))
    columns = {name: np.concatenate(some) for name, some in parts.items()}
    truth = columns["truth"] > 0.5
    return _evaluation(model, dataset, split, batches.rows, truth, columns)


def _evaluation(
    model: Model,
    dataset: Dataset,
    split: str,
    rows: np.ndarray,
    truth: np.ndarray,
    columns: Mapping[str, np.ndarray],
) -> Evaluation:
    moments, predicted = dataset.moments, columns["scores"] >= model.thresholds
    network = model.network
    return Evaluation(
        labels=dataset.labels,
        rows=rows,
        scores=columns["scores"],
        truth=truth,
        thresholds=model.thresholds,
        report=multilabel_report(truth, predicted),
        confusion=multilabel_confusion(truth, predicted),
        split=split,
        velocity=columns.get("velocity"),
        true_velocity=moments.velocity[rows],
        openness=columns.get("openness"),
        true_openness=moments.openness[rows],
        origin=_origin(dataset, rows),
        features=model.features,
        model=ModelFacts(
            architecture=type(network).__name__,
            parameters=sum(value.numel() for value in network.parameters()),
            heads=list(network.config.heads),
        ),
        dataset=str(dataset.root),
    )


def _origin(dataset: Dataset, rows: np.ndarray) -> Origin:
    moments, metadata = dataset.moments, dataset.metadata
    sessions = dataset.session_names
    of_file = moments.audio_file[rows].tolist()
    session = [sessions[number] for number in moments.session[rows].tolist()]
    sources = metadata.file_sources
    return Origin(
        session=session,
        audio_file=[metadata.files[number] for number in of_file],
        onset_s=moments.onset_s[rows],
        source=[sources[number] if sources else "" for number in of_file],
        kit=[metadata.session_kits.get(name, "") for name in session],
    )
