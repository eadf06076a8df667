"""What a training run is asked to do: one dataclass, from TOML and flags, checked when made."""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from beatsight.dataset.augment import AugmentConfig
from beatsight.errors import InputError
from beatsight.files import read_text


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Attributes:
        epochs: passes; one epoch draws as many clips as the training split holds.
        batch_size: clips a step.
        lr: peak learning rate of AdamW; warmed up over the first epoch's first steps, then cosine to zero.
        weight_decay: AdamW's.
        dropout: of the last layer.
        patience: epochs without a lower validation loss before stopping early; 0 never stops.
        seed: of weights, order and augmentation.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        sampling_weights: file of sampling weights to draw moments by (:mod:`beatsight.dataset.sampling`);
            empty: rare classes are drawn more often than their share.
        augment: what is done to training clips, or None for nothing.
    """

    epochs: int = 50
    batch_size: int = 32
    lr: float = 0.001
    weight_decay: float = 0.01
    dropout: float = 0.3
    patience: int = 10
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    sampling_weights: str = ""
    augment: AugmentConfig | None = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise InputError(f"training setting {name} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "patience", "seed"):
            if not getattr(self, name) >= 0:
                raise InputError(f"training setting {name} must not be negative")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and reports."""
        return {**asdict(self), "augment": self.augment.to_dict() if self.augment else None}


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Settings of a TOML run file, as keyword arguments of :class:`TrainConfig`.

    An ``[augment]`` table holds the augmentation settings; ``augment = false`` turns it off.

    Raises:
        InputError: not TOML, or an unknown setting.
    """
    try:
        raw = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from error
    _known(raw, TrainConfig, f"{path}")
    augment = raw.pop("augment", None)
    if augment is False:
        raw["augment"] = None
    elif isinstance(augment, dict):
        _known(augment, AugmentConfig, f"{path}: augment")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in augment.items()}
        try:
            raw["augment"] = AugmentConfig(**values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    elif augment is not None:
        raise InputError(f"{path}: augment: must be a table of settings, or false")
    return raw


def _known(raw: dict[str, Any], config: type, where: str) -> None:
    known = {item.name: item for item in fields(config)}
    for name, value in raw.items():
        if name not in known:
            raise InputError(f"{where}: unknown setting {name!r}; known: {', '.join(known)}")
        default = known[name].default
        if isinstance(default, (int, float)) and (
            isinstance(value, bool) or not isinstance(value, (int, float))
        ):
            raise InputError(f"{where}: {name}: must be a number, not {value!r}")
        if isinstance(default, int) and isinstance(value, float):
            raise InputError(f"{where}: {name}: must be a whole number, not {value!r}")
        if isinstance(default, tuple) and not (
            isinstance(value, list) and [type(item) in (int, float) for item in value] == [True, True]
        ):
            raise InputError(f"{where}: {name}: must be a range [low, high], not {value!r}")
        if isinstance(default, str) and not isinstance(value, str):
            raise InputError(f"{where}: {name}: must be text, not {value!r}")
