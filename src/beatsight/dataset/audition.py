"""Training clips before and after augmentation, each effect alone and all of them together.

Every effect is drawn from the ranges of the settings, alone with probability 1 (of the clips that are mixed
in, 0 to 2 are drawn, so one may get none), together with its own. The sounds are those that training makes,
up to their level. Changes of pitch, tempo, room and frequency response are made on the mel power, where they
cost little: there is no sound of them, only what the network sees (:mod:`beatsight.dataset.effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.augment import PROBABILITIES, AugmentConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError

BEFORE, TOGETHER = "before", "all"
# Effect -> its probabilities. Jitter has none: every cut is moved.
_SWITCHES: dict[str, tuple[str, ...]] = {
    "jitter": (), "mix": ("mix", "mix_isolated"), "neighbour": ("neighbour", "neighbour_isolated"),
    "background": ("background",), "saturation": ("saturation",), "noise": ("noise",), "codec": ("codec",),
    "stretch": ("stretch",), "pitch": ("pitch",), "room": ("room",), "equaliser": ("equaliser",),
}  # fmt: skip
EFFECTS = tuple(_SWITCHES)
SEEN_ONLY = ("stretch", "pitch", "room", "equaliser")
# Differences of features under this are rounding.
_SAME = 1e-5


@dataclass(frozen=True)
class Version:
    """A clip after one effect, or before all.

    Attributes:
        name: ``before``, one of :data:`EFFECTS`, or ``all``.
        labels: what training is told that sounds.
        sound: float32 (samples,) from which the features are made; None where the effect cannot be heard.
        features: what the network sees, 0..1, float32 (mels, frames).
        changed: whether it differs from ``before`` at all.
    """

    name: str
    labels: tuple[str, ...]
    sound: np.ndarray | None
    features: np.ndarray
    changed: bool


@dataclass(frozen=True)
class Audition:
    """One moment of the training split in all its versions, ``before`` first and ``all`` last."""

    row: int
    session: str
    audio_file: str
    onset_s: float
    versions: tuple[Version, ...]


def choose_rows(dataset: Dataset, count: int, seed: int) -> list[int]:
    """Rows of the training split, ``count`` at most, rare classes as likely as common ones; rising.

    Raises:
        InputError: the split is empty.
    """
    rows = dataset.rows("train")
    if not len(rows):
        raise InputError(f"{dataset.root}: the training split is empty")
    labels = dataset.moments.labels[rows]
    weight = labels @ (1.0 / np.maximum(labels.sum(axis=0), 1)) + 1.0 / len(rows)
    random = np.random.default_rng(seed)
    chosen = random.choice(rows, min(count, len(rows)), replace=False, p=weight / weight.sum())
    return sorted(chosen.tolist())


def alone(config: AugmentConfig, effect: str) -> AugmentConfig:
    """These settings with one effect certain and the others off.

    >>> alone(AugmentConfig(), "noise").noise, alone(AugmentConfig(), "noise").jitter_ms
    (1.0, 0.0)
    """
    off = replace(config, jitter_ms=0.0, **dict.fromkeys(PROBABILITIES, 0.0))  # type: ignore[arg-type]
    if effect == "jitter":
        return replace(off, jitter_ms=config.jitter_ms)
    return replace(off, **dict.fromkeys(_SWITCHES[effect], 1.0))  # type: ignore[arg-type]


def audition(
    dataset: Dataset,
    rows: list[int],
    config: AugmentConfig,
    features: FeatureConfig,
    *,
    seed: int,
    background: np.ndarray | None = None,
) -> list[Audition]:
    """Versions of some moments.

    Args:
        dataset: an opened dataset.
        rows: row numbers of its training split.
        config: the ranges.
        features: settings of the clips.
        seed: of everything drawn.
        background: sound to lay under clips, float32 mono; without it there is no version ``background``.

    Raises:
        InputError: a row is not in the training split.
    """
    known = dataset.rows("train")
    if strange := sorted(set(rows) - set(known.tolist())):
        raise InputError(f"{dataset.root}: row {strange[0]} is not in the training split")
    picks = np.searchsorted(known, rows)
    tried: list[tuple[str, AugmentConfig | None]] = [(BEFORE, None)]
    tried += [
        (name, alone(config, name)) for name in EFFECTS if name != "background" or background is not None
    ]
    tried.append((TOGETHER, config if background is not None else replace(config, background=0.0)))
    versions: list[list[Version]] = [[] for _ in rows]
    for number, (name, settings) in enumerate(tried):
        batches = Batches(
            dataset, "train", features, augment=settings, device=torch.device("cpu"), seed=seed,
            background=background,
        )  # fmt: skip
        batch, sound = batches.with_sound(picks, number)
        for at, mine in enumerate(versions):
            image = batch.features[at].numpy()
            marked = batch.labels[at].numpy() > 0.5
            labels = tuple(label for label, yes in zip(dataset.labels, marked, strict=True) if yes)
            changed = bool(mine) and float(np.abs(image - mine[0].features).max()) > _SAME
            heard = None if name in SEEN_ONLY else sound[at].numpy()
            mine.append(Version(name, labels, heard, image, changed))
    return [_audition(dataset, row, mine) for row, mine in zip(rows, versions, strict=True)]


def _audition(dataset: Dataset, row: int, versions: list[Version]) -> Audition:
    moments = dataset.moments
    return Audition(
        row=row,
        session=dataset.session_names[moments.session[row]],
        audio_file=dataset.metadata.files[moments.audio_file[row]],
        onset_s=float(moments.onset_s[row]),
        versions=tuple(versions),
    )
