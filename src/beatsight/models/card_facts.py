"""What a model card is made of: facts that a file states, read strictly; what no file states is None.

From the model file: the summary of its training. From files that are given: an ``evaluation.json`` of
``beatsight evaluate``, a report of ``beatsight gate bootstrap``, and provenance files of
``beatsight sources ingest``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from beatsight.errors import InputError
from beatsight.events import decode_as
from beatsight.files import read_bytes
from beatsight.models.model import Model
from beatsight.sources.catalogue import all_sources

# An evaluation's thresholds are the model's own, through JSON and back.
_SAME_THRESHOLD = 1e-6
# What generic readers say of licences: it is the user who knows.
_OF_THE_FILES = "of the files"


class Summary(msgspec.Struct):
    """The training summary of a model file; older files lack keys, and bare weights have none."""

    config: dict[str, Any] | None = None
    epochs_done: int | None = None
    best_epoch: int | None = None
    last: dict[str, float | None] | None = None
    moments: dict[str, int] | None = None
    label_counts: dict[str, int] | None = None
    sessions: dict[str, int] | None = None
    sources: dict[str, float] | None = None
    untrained_labels: list[str] | None = None
    sampling: dict[str, Any] | None = None


class ClassFigures(msgspec.Struct):
    """One row of an evaluation."""

    precision: float
    recall: float
    f1: float
    support: int
    threshold: float


class EvaluationFile(msgspec.Struct):
    """What is used of evaluation.json."""

    split: str
    moments: int
    per_class: dict[str, ClassFigures]
    macro_precision: float
    macro_recall: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    micro_f1: float
    classes_without_support: list[str]


class Interval(msgspec.Struct):
    """One metric of a bootstrap report."""

    point_estimate: float
    ci_lower: float | None
    ci_upper: float | None


class BootstrapFile(msgspec.Struct):
    """What is used of a bootstrap report; a metric that was not measured is None."""

    macro_f1: Interval | None
    micro_f1: Interval | None
    per_class_f1: dict[str, Interval]
    clusters: int
    cluster: str
    iterations: int
    confidence: float
    method: str
    example_f1: Interval | None = None
    onset_f1_20ms: Interval | None = None
    onset_f1_50ms: Interval | None = None
    openness_mae: Interval | None = None
    velocity_mae: Interval | None = None
    ece: Interval | None = None
    notes: list[str] = []

    def metrics(self) -> dict[str, Interval]:
        """Those that were measured, by name."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in found.items() if isinstance(value, Interval)}


class SourceFacts(msgspec.Struct):
    """Where training data comes from; empty or None: not stated."""

    title: str
    version: str = ""
    licence: str = ""
    commercial: bool | None = None
    citation: str = ""
    url: str = ""


class _Provenance(msgspec.Struct):
    source: SourceFacts


@dataclass(frozen=True)
class Facts:
    """Everything that is known beside the model itself.

    Attributes:
        summary: of its training.
        sources: with the seconds of audio from each, or None where that is not stated.
        evaluation: on a split of a dataset, or None.
        bootstrap: metrics with intervals, or None.
    """

    summary: Summary
    sources: list[tuple[SourceFacts, float | None]]
    evaluation: EvaluationFile | None = None
    bootstrap: BootstrapFile | None = None


def facts_of(
    model: Model,
    evaluation: str | os.PathLike[str] | None = None,
    bootstrap: str | os.PathLike[str] | None = None,
    provenance: Sequence[str | os.PathLike[str]] = (),
) -> Facts:
    """Collect the facts of a model card.

    Args:
        model: whose card it is.
        evaluation: ``evaluation.json`` of this model.
        bootstrap: a report of the bootstrap gate.
        provenance: files that ``beatsight sources ingest`` wrote beside the events of the training data.

    Raises:
        InputError: a file cannot be read or is of another kind, or the evaluation is of another model.
    """
    try:
        summary = msgspec.convert(model.training, Summary)
    except msgspec.ValidationError as error:
        raise InputError(f"the training summary of the model file cannot be used: {error}") from error
    evaluated = _read(evaluation, EvaluationFile)
    if evaluated is not None:
        _check_same(model, evaluated, str(evaluation))
    given = [_read(path, _Provenance).source for path in provenance]
    return Facts(summary, _sources(summary.sources or {}, given), evaluated, _read(bootstrap, BootstrapFile))


def _read(path: str | os.PathLike[str] | None, kind: type[Any]) -> Any:
    return None if path is None else decode_as(read_bytes(path), kind, str(path))


def _check_same(model: Model, evaluation: EvaluationFile, path: str) -> None:
    """An evaluation names no model, but it holds the model's labels and thresholds."""
    if set(evaluation.per_class) != set(model.labels):
        raise InputError(f"{path}: is an evaluation of other classes than the model's")
    for label, own in zip(model.labels, model.thresholds, strict=True):
        if abs(evaluation.per_class[label].threshold - own) > _SAME_THRESHOLD:
            raise InputError(
                f"{path}: is an evaluation of another model: its threshold for {label} is "
                f"{evaluation.per_class[label].threshold:.6g}, this model's is {own:.6g}"
            )


def _sources(
    seconds: Mapping[str, float], given: Sequence[SourceFacts]
) -> list[tuple[SourceFacts, float | None]]:
    """Those that the training data names, with what provenance files or the catalogue say of them."""
    cards = {
        source.card.title: SourceFacts(
            source.card.title, source.card.version, source.card.licence, source.card.commercial,
            source.card.citation, source.card.url,
        )
        for source in all_sources().values()
    }  # fmt: skip
    stated = {source.title: source for source in given}
    found: list[tuple[SourceFacts, float | None]] = []
    for title, length in sorted(seconds.items(), key=lambda item: (-item[1], item[0])):
        found.append((stated.get(title) or cards.get(title) or SourceFacts(title), length))
    found += [(source, None) for title, source in sorted(stated.items()) if title not in seconds]
    for source, _ in found:
        source.licence = "" if source.licence == _OF_THE_FILES else source.licence
    return found
