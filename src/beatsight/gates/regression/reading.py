"""Health reports and evaluations as gate ``regression`` needs them: a few keys, all others passed over.

A health report has ``labels`` and ``gating_results``, an evaluation ``per_class`` and ``macro_f1``
(docs/formats.md). Labels are read under their canonical names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from beatsight.errors import InputError
from beatsight.events import Name, Unit, decode_as
from beatsight.files import read_bytes
from beatsight.gates.inputs import canonical

# No manifest holds more, and every sum and share of such numbers can be computed.
_MOST = 2**53
Natural = Annotated[int, Meta(ge=0, le=_MOST)]


class Hits(msgspec.Struct, kw_only=True):
    """Hits of one label."""

    real: Natural
    synthetic: Natural


class Score(msgspec.Struct, kw_only=True):
    """F1 of one label, and the true hits behind it."""

    f1: Unit
    support: Natural


class Judged(msgspec.Struct, kw_only=True):
    """A gate of a health report; older programs wrote no rule, and values of other types."""

    gate: Name
    passed: bool
    value: Any = None
    threshold: Any = None
    detail: Any = ""


class _HealthKeys(msgspec.Struct, kw_only=True):
    labels: dict[str, Any]
    gating_results: list[Judged]
    unknown_labels: dict[str, Any] | None = None


class _EvaluationKeys(msgspec.Struct, kw_only=True):
    per_class: dict[str, Any]
    macro_f1: Unit
    split: str | None = None
    moments: Natural | None = None


@dataclass(frozen=True)
class Health:
    """A health report: hits by label, gates by name, unknown labels where it lists them."""

    labels: dict[str, Hits]
    gates: dict[str, Judged]
    unknown: dict[str, int] | None


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: scores by label, their mean, and what was scored."""

    labels: dict[str, Score]
    macro_f1: float
    split: str | None
    moments: int | None


def read_compared(path: Path) -> Health | Evaluation:
    """A health report or an evaluation, told apart by its keys.

    Raises:
        InputError: the file cannot be read, is empty, is of neither kind, or a key of it is faulty (named).
    """
    data = read_bytes(path)
    if not data.strip():
        raise InputError(f"{path}: is empty")
    raw = decode_as(data, dict[str, Any], str(path))
    kind = raw.get("report")
    if kind not in (None, "health"):
        raise InputError(
            f"{path}: is a report of {kind!r}; only health reports and evaluations can be compared"
        )
    if kind == "health" or {"labels", "gating_results"} <= raw.keys():
        return _health(decode_as(data, _HealthKeys, str(path)), path)
    if {"per_class", "macro_f1"} <= raw.keys():
        return _evaluation(decode_as(data, _EvaluationKeys, str(path)), path)
    raise InputError(
        f"{path}: is neither a health report (labels, gating_results) nor an evaluation (per_class, macro_f1)"
    )


_Kind = TypeVar("_Kind")


def _item(value: Any, kind: type[_Kind], where: str) -> _Kind:
    """A value of a dictionary, so that an error names its label."""
    found: _Kind = decode_as(msgspec.json.encode(value), kind, where)
    return found


def _health(keys: _HealthKeys, path: Path) -> Health:
    labels: dict[str, Hits] = {}
    for label, value in keys.labels.items():
        hits = _item(value, Hits, f"{path}: labels.{label}")
        sum_ = labels.setdefault(canonical(label), Hits(real=0, synthetic=0))
        sum_.real += hits.real
        sum_.synthetic += hits.synthetic
    gates: dict[str, Judged] = {}
    for result in keys.gating_results:
        # Of two results under one name the failure counts.
        if result.gate not in gates or not result.passed:
            gates[result.gate] = result
    return Health(labels, gates, _unknown(keys.unknown_labels, path))


def _unknown(given: dict[str, Any] | None, path: Path) -> dict[str, int] | None:
    for label, count in (given or {}).items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST:
            raise InputError(f"{path}: unknown_labels.{label}: is not a number of hits, but {count!r}")
    return given


def _evaluation(keys: _EvaluationKeys, path: Path) -> Evaluation:
    labels: dict[str, Score] = {}
    for label, value in keys.per_class.items():
        score = _item(value, Score, f"{path}: per_class.{label}")
        if labels.setdefault(canonical(label), score) is not score:
            raise InputError(
                f"{path}: per_class.{label}: {canonical(label)} has a score under another name, too"
            )
    return Evaluation(labels, keys.macro_f1, keys.split, keys.moments)


def number_of(value: Any) -> float | None:
    """A gate's value or threshold where it is a number.

    >>> number_of(3), number_of("many"), number_of(True)
    (3.0, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
