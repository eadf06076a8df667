"""Sampling weights from a file: how often training draws from each session or each audio file.

The file is what ``beatsight manifest weights`` writes (docs/formats.md): a weight per group, where a group is
a session or an audio file. A weight is that of every single moment of its group: with weights 0.5 and 0.05, a
moment of the first group is drawn ten times as often as one of the second. The file replaces the balancing of
classes that training does without one, since it was made to be the sampler. Groups that the file lacks (those
under its smallest count were dropped) are never drawn.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.files import read_bytes

SESSION, AUDIO = "session_id", "audio_path"
_NAMES_SHOWN = 3

Count = Annotated[int, Meta(ge=0)]


class Parameters(msgspec.Struct):
    """What is read of the settings that the weights were made with."""

    group_field: str


class GroupWeight(msgspec.Struct):
    """One group: its events, the weight of each of them, and their techniques."""

    count: Count
    weight: Annotated[float, Meta(ge=0.0)]
    technique_counts: dict[str, Count] = {}


class SamplingWeights(msgspec.Struct):
    """A file of sampling weights; keys that are not listed are ignored."""

    parameters: Parameters
    weights: dict[str, GroupWeight]
    technique_totals: dict[str, Count] = {}


def read_weights(path: str | os.PathLike[str]) -> SamplingWeights:
    """Read a file of sampling weights.

    Raises:
        InputError: not such a file, a negative or infinite weight, or groups that a dataset does not know.
    """
    try:
        weights = msgspec.json.decode(read_bytes(path), type=SamplingWeights)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a file of sampling weights: {error}") from error
    field = weights.parameters.group_field
    if field not in (SESSION, AUDIO):
        raise InputError(f"{path}: groups by {field!r}, but a dataset knows only {SESSION} and {AUDIO}")
    if not any(group.weight > 0 for group in weights.weights.values()):
        raise InputError(f"{path}: no group has a weight above 0")
    return weights


def row_weights(dataset: Dataset, rows: np.ndarray, weights: SamplingWeights) -> tuple[np.ndarray, list[str]]:
    """Probability of each row to be drawn, proportional to the weight of its group.

    Args:
        dataset: an opened dataset.
        rows: row numbers, such as those of the training split, shape (n,).
        weights: from :func:`read_weights`.

    Returns:
        float64, shape (n,), sum 1; and notes: groups of these rows without a weight, which are never drawn.

    Raises:
        InputError: none of the rows has a weight.
    """
    moments = dataset.moments
    if weights.parameters.group_field == SESSION:
        names, group = dataset.session_names, moments.session[rows]
        known = {name: item.weight for name, item in weights.weights.items()}
    else:
        names, group = dataset.metadata.files, moments.audio_file[rows]
        known = {Path(name).as_posix(): item.weight for name, item in weights.weights.items()}
    by_group = np.array([known.get(name, 0.0) for name in names])
    raw = by_group[group]
    if not raw.any():
        what = f"{dataset.root}: no {weights.parameters.group_field} of the training split"
        raise InputError(f"{what} has a sampling weight above 0 (such as {min(names[i] for i in group)!r})")
    # Against the largest, so that the sum of huge weights stays finite.
    raw = raw / raw.max()
    lacking = [names[number] for number in np.unique(group) if names[number] not in known]
    notes = []
    if lacking:
        shown = ", ".join(lacking[:_NAMES_SHOWN]) + (", …" if len(lacking) > _NAMES_SHOWN else "")
        lost = int(np.isin(group, [i for i, name in enumerate(names) if name not in known]).sum())
        share = f"{len(lacking)} of {len(np.unique(group))} groups ({lost} of {len(rows)} moments)"
        notes.append(f"{share} have no sampling weight and are never drawn: {shown}")
    return raw / raw.sum(), notes
