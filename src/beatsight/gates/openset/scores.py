"""One score of knownness for every sample: the highest probability, joint energy, or what the file gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.events import Prediction
from beatsight.gates.inputs import canonical, canonical_scores, named
from beatsight.gates.openset.records import OpensetSettings

FloatArray = npt.NDArray[np.float64]

LOGITS_KEY = "logits"
# The largest float32 below 1: a network's sigmoid rounds to 1 beyond it, whose energy would be infinite.
_MOST_PROBABLE = 1.0 - 2.0**-24
# No score is so large; below it sums cannot overflow.
_LARGEST = 1e100


def joint_energy(scores: npt.ArrayLike) -> float:
    """Joint energy of independent probabilities 0..1: the sum of -log(1 - p), p at most 1 - 2^-24.

    >>> round(joint_energy([0.5, 0.5]), 6), round(joint_energy([1.0]), 3), joint_energy([])
    (1.386294, 16.636, 0.0)
    """
    # An exact sum: equal scores under other labels are a tie, not apart by a rounding. abs() for minus zero.
    return math.fsum(np.abs(np.log1p(-np.minimum(np.asarray(scores, dtype=np.float64), _MOST_PROBABLE))))


def joint_energy_of_logits(logits: npt.ArrayLike) -> float:
    """Joint energy of logits: the sum of log(1 + exp(x)).

    >>> round(joint_energy_of_logits([0.0, 0.0]), 6), joint_energy_of_logits([1000.0])
    (1.386294, 1000.0)
    """
    return math.fsum(np.logaddexp(0.0, np.asarray(logits, dtype=np.float64)))


def knownness(
    predictions: Sequence[Prediction], settings: OpensetSettings, path: str
) -> tuple[FloatArray, str]:
    """(samples,) scores, higher = more known, and a sentence that says how they were computed.

    Raises:
        InputError: a prediction lacks what the score is computed from, or it is no number.
    """
    if settings.score == "given":
        values = [_rejection(row, settings.score_key, path) for row in predictions]
        return -np.array(values), f"{settings.score_key}, as given; higher means more likely unknown"
    with_logits = [row for row in predictions if LOGITS_KEY in row.extra]
    if settings.score == "energy" and with_logits:
        _all_have([row for row in predictions if LOGITS_KEY not in row.extra], LOGITS_KEY, path)
        energies = [joint_energy_of_logits(list(_logits(row, path).values())) for row in predictions]
        return np.array(energies), "joint energy, the sum over labels of log(1 + exp(logit))"
    _all_have([row for row in predictions if not row.scores], "scores", path)
    tables = [list(canonical_scores(row).values()) for row in predictions]
    if settings.score == "energy":
        text = "joint energy, the sum over labels of -log(1 - p), p at most 1 - 2^-24"
        return np.array([joint_energy(row) for row in tables]), text
    return np.array([max(row) for row in tables]), "the highest score of any label"


def _all_have(lacking: Sequence[Prediction], key: str, path: str) -> None:
    if lacking:
        ids = named([row.sample_id for row in lacking], "prediction")
        raise InputError(f"{path}: {ids} without {key}; a sample that was not scored cannot be judged")


def _rejection(row: Prediction, key: str, path: str) -> float:
    if row.extra.get(key) is None:
        raise InputError(f"{path}: sample {row.sample_id!r}: {key}: is missing")
    return _finite(row.extra[key], f"{path}: sample {row.sample_id!r}: {key}")


def _logits(row: Prediction, path: str) -> dict[str, float]:
    where, given = f"{path}: sample {row.sample_id!r}: {LOGITS_KEY}", row.extra[LOGITS_KEY]
    if not isinstance(given, dict) or not given:
        raise InputError(f"{where}: is not an object of labels and numbers")
    logits: dict[str, float] = {}
    for label, value in given.items():
        name = canonical(label)
        logits[name] = max(_finite(value, f"{where}.{label}"), logits.get(name, -math.inf))
    return logits


def _finite(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where}: is {value!r}, not a number")
    if not abs(value) <= _LARGEST:
        raise InputError(f"{where}: is not a number within ±{_LARGEST:g}")
    return float(value)
