"""What gates read: truths and predictions, row by row, joined by ``sample_id``.

A truth is a line with ``labels``, or an event with ``components``; known labels are read under their
canonical names, unknown ones as they are. Ids are unique in each file. A truth without a prediction is kept
(the gate decides what that means); a prediction without a truth is listed and not scored; files that share no
id at all are an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.events import Component, Name, Prediction, Unit, decode_as, numbered_lines, read_records
from beatsight.events.files import PARQUET
from beatsight.events.records import Seconds
from beatsight.files import read_bytes
from beatsight.taxonomy import is_known, resolve

# Ids named in a sentence; the rest are counted.
_NAMED = 3


class Truth(msgspec.Struct, kw_only=True, gc=False):
    """What is true of one sample; ``labels``, or an event's ``components``."""

    sample_id: Name
    labels: list[Name] | None = None
    components: list[Component] | None = None
    session_id: Name | None = None
    onset_time: Seconds | None = None
    openness: Unit | None = None
    velocity: Unit | None = None
    negative_example: bool | None = None

    @property
    def parts(self) -> list[Component]:
        """The components that are to be heard: none of a negative example's are."""
        return [] if self.negative_example else self.components or []

    @property
    def names(self) -> list[str]:
        """Canonical labels, each once."""
        given = self.labels if self.labels is not None else [part.label for part in self.parts]
        return list(dict.fromkeys(canonical(label) for label in given))


@lru_cache(maxsize=4096)
def canonical(label: str) -> str:
    """A label under its canonical name; one that the taxonomy does not know as it is."""
    return resolve(label) if is_known(label) else label


Row = TypeVar("Row", bound=msgspec.Struct)
_HasId = TypeVar("_HasId", bound=Any)


def read_rows(path: str | os.PathLike[str], kind: type[Row]) -> list[Row]:
    """All rows of a JSON lines file as records of one kind; each has a ``sample_id`` of its own.

    Raises:
        InputError: the file cannot be read, is empty, holds a faulty line (named), or an id twice.
    """
    if Path(path).suffix.lower() == PARQUET:
        raise InputError(f"{path}: is Parquet; this input is read as JSON lines (beatsight manifest convert)")
    numbers: list[int] = []
    rows: list[Row] = []
    for number, line in numbered_lines(path):
        rows.append(decode_as(line, kind, f"{path}:{number}"))
        numbers.append(number)
    return _unique(rows, [f"{path}:{number}" for number in numbers], path)


def read_truths(path: str | os.PathLike[str]) -> list[Truth]:
    """As :func:`read_rows`, of truths; every row must have ``labels`` or ``components``.

    Raises:
        InputError: as :func:`read_rows`.
    """
    rows = read_rows(path, Truth)
    for truth in rows:
        if truth.labels is None and truth.components is None:
            raise InputError(f"{path}: sample {truth.sample_id!r}: labels: is missing")
    return rows


def read_predictions(path: str | os.PathLike[str]) -> list[Prediction]:
    """All predictions of a JSON lines or Parquet file, each ``sample_id`` once.

    Raises:
        InputError: the file cannot be read, is empty, holds a faulty row (named), or an id twice.
    """
    rows = list(read_records(path, Prediction))
    return _unique(rows, [f"{path}: row {index}" for index in range(1, len(rows) + 1)], path)


def _unique(rows: list[_HasId], places: list[str], path: str | os.PathLike[str]) -> list[_HasId]:
    if not rows:
        raise InputError(f"{path}: holds no rows")
    seen: dict[str, str] = {}
    for row, place in zip(rows, places, strict=True):
        first = seen.setdefault(row.sample_id, place)
        if first is not place:
            raise InputError(f"{place}: sample_id: {row.sample_id!r} is also in {first}")
    return rows


@dataclass(frozen=True)
class Joined(Generic[Row]):
    """Truths, in their order, each with its prediction or None.

    Attributes:
        truths: the rows of the truth.
        predictions: the same length.
        missing: ids of truths without a prediction.
        extra: ids of predictions without a truth.
    """

    truths: Sequence[Row]
    predictions: Sequence[Prediction | None]
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Sentences about what could not be joined."""
        notes = []
        if self.missing:
            notes.append(f"{named(self.missing, 'sample')} without a prediction")
        if self.extra:
            notes.append(f"{named(self.extra, 'prediction')} of unknown samples, not scored")
        return notes


def named(ids: Sequence[str], noun: str) -> str:
    """How many, and the first of them by name.

    >>> named(["a"], "sample"), named(["a", "b", "c", "d"], "sample")
    ("1 sample ('a')", "4 samples ('a', 'b', 'c', …)")
    """
    shown = ", ".join(repr(name) for name in ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
    return f"{len(ids)} {noun}{'' if len(ids) == 1 else 's'} ({shown})"


def join(
    truths: Sequence[Row], predictions: Sequence[Prediction], truth_path: str, prediction_path: str
) -> Joined[Row]:
    """Truths and predictions that share a ``sample_id``.

    Raises:
        InputError: not a single id is in both.
    """
    by_id = {row.sample_id: row for row in predictions}
    ids = [truth.sample_id for truth in truths]  # type: ignore[attr-defined]
    joined = [by_id.get(name) for name in ids]
    if all(row is None for row in joined):
        raise InputError(
            f"{prediction_path}: none of its sample_ids is in {truth_path} (the first is "
            f"{predictions[0].sample_id!r}, there {ids[0]!r})"
        )
    wanted = set(ids)
    return Joined(
        truths,
        joined,
        [name for name, row in zip(ids, joined, strict=True) if row is None],
        [row.sample_id for row in predictions if row.sample_id not in wanted],
    )


def read_thresholds(path: Path) -> dict[str, float]:
    """Thresholds by canonical label, from one JSON object.

    Raises:
        InputError: the file cannot be read, is empty, or a threshold is no number above 0 and at most 1.
    """
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: is empty")
    given = decode_as(data, dict[str, Any], str(path))
    if not given:
        raise InputError(f"{path}: holds no thresholds")
    thresholds: dict[str, float] = {}
    for label, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise InputError(f"{path}: {label}: is not a number above 0 and at most 1, but {value!r}")
        name = canonical(label)
        if thresholds.setdefault(name, float(value)) != value:
            raise InputError(f"{path}: {label}: {name} has another threshold under another of its names")
    return thresholds


def canonical_scores(prediction: Prediction | None) -> dict[str, float]:
    """Scores by canonical label; of two aliases of one label the higher score counts."""
    scores: dict[str, float] = {}
    for label, score in (prediction.scores if prediction else {}).items():
        name = canonical(label)
        scores[name] = max(score, scores.get(name, 0.0))
    return scores


def tables(
    labels_of: Iterable[Sequence[str]], predictions: Sequence[Prediction | None]
) -> tuple[list[str], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Truth and scores as arrays.

    Args:
        labels_of: canonical labels of every sample.
        predictions: of the same samples, None where there is none: all its scores are 0.

    Returns:
        (labels, truth, scores): every label that is true of a sample or has a score, sorted; (samples,
        labels) booleans; (samples, labels) scores 0..1.
    """
    true = list(labels_of)
    scores = [canonical_scores(prediction) for prediction in predictions]
    labels = sorted({name for names in true for name in names} | {name for row in scores for name in row})
    column = {name: index for index, name in enumerate(labels)}
    truth_table = np.zeros((len(true), len(labels)), dtype=bool)
    score_table = np.zeros((len(true), len(labels)), dtype=np.float64)
    for index, (names, row) in enumerate(zip(true, scores, strict=True)):
        for name in names:
            truth_table[index, column[name]] = True
        for name, score in row.items():
            score_table[index, column[name]] = score
    return labels, truth_table, score_table
