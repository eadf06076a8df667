"""What a training run is asked to do: one dataclass, from TOML and flags, checked when made."""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from beatsight.dataset.augment import AugmentConfig
from beatsight.errors import InputError
from beatsight.files import read_text

# What torch takes.
MAX_SEED = 2**63 - 1
# Setting -> what it may be.
CHOICES = {
    "network": ("auto", "cnn", "compact"),
    "loss": ("bce", "cross_entropy"),
    "class_weights": ("none", "balanced"),
    "schedule": ("cosine", "plateau", "constant"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run.

    Attributes:
        epochs: passes; one epoch draws as many clips as the training split holds.
        batch_size: clips a step, over all processes together.
        lr: peak learning rate of AdamW.
        schedule: after the warm-up, ``cosine`` to zero, ``constant``, or ``plateau``: a fifth whenever the
            validation loss has not fallen for half of ``patience`` (for 5 epochs if that is 0).
        warmup: share of all steps over which the learning rate rises.
        weight_decay: AdamW's.
        gradient_clip: largest norm of the gradient; 0 does not clip.
        network: ``compact``, ``cnn`` (the large one of old), or ``auto``: as ``init_from``, else compact.
        dropout: of the last layer.
        heads: what is estimated beside the labels: ``velocity``, ``openness``.
        loss: ``bce``: every class by itself; ``cross_entropy``: the classes share one certainty.
        class_weights: ``balanced`` lets positives of rare classes count more in the loss.
        label_smoothing: how far targets are drawn from 0 and 1, 0..0.5.
        ema: decay a step of a running mean of the weights that is validated and kept (faster in the first
            steps); 0 is off.
        patience: epochs without a lower validation loss before stopping early; 0 never stops.
        seed: of weights, order, augmentation and dropout.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
        compile: whether torch compiles the network (pays on GPUs and long runs).
        init_from: model file whose weights are taken over where name and shape agree; empty: none.
        freeze: parts of the network that are not trained, such as ``conv1``.
        sampling_weights: file of sampling weights to draw moments by (:mod:`beatsight.dataset.sampling`);
            empty: rare classes are drawn more often than their share.
        background: folder of recordings without drums, laid under training clips; empty: none.
        augment: what is done to training clips, or None for nothing.
    """

    epochs: int = 50
    batch_size: int = 32
    lr: float = 0.001
    schedule: str = "cosine"
    warmup: float = 0.05
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    network: str = "auto"
    dropout: float = 0.3
    heads: tuple[str, ...] = ()
    loss: str = "bce"
    class_weights: str = "none"
    label_smoothing: float = 0.0
    ema: float = 0.0
    patience: int = 10
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    init_from: str = ""
    freeze: tuple[str, ...] = ()
    sampling_weights: str = ""
    background: str = ""
    augment: AugmentConfig | None = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"training setting {name} must be positive, not {getattr(self, name)}")
        for name in ("weight_decay", "gradient_clip", "patience", "seed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"training setting {name} must not be negative")
        if self.seed > MAX_SEED:
            raise InputError(f"training setting seed must be at most {MAX_SEED}, not {self.seed}")
        for name, high in (("warmup", 1.0), ("label_smoothing", 0.5), ("ema", 1.0)):
            if not 0 <= getattr(self, name) < high:
                raise InputError(
                    f"training setting {name} must lie in 0..{high:g}, not {getattr(self, name)}"
                )
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise InputError(
                    f"training setting {name} is one of {', '.join(known)}, not {getattr(self, name)!r}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and reports."""
        plain = {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }
        return {**plain, "augment": self.augment.to_dict() if self.augment else None}


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
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    if augment is False:
        settings["augment"] = None
    elif isinstance(augment, dict):
        _known(augment, AugmentConfig, f"{path}: augment")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in augment.items()}
        try:
            settings["augment"] = AugmentConfig(**values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
    elif augment is not None:
        raise InputError(f"{path}: augment: must be a table of settings, or false")
    return settings


def _known(raw: dict[str, Any], config: type, where: str) -> None:
    known = {item.name: item for item in fields(config)}
    for name, value in raw.items():
        if name not in known:
            raise InputError(f"{where}: unknown setting {name!r}; known: {', '.join(known)}")
        if wrong := _wrong(known[name].default, value):
            raise InputError(f"{where}: {name}: must be {wrong}, not {value!r}")


def _wrong(default: Any, value: Any) -> str:
    """What a value should be instead, judged by the setting's default; empty when it is right."""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "true or false"
    if isinstance(default, (int, float)) and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return "a number"
    if isinstance(default, int) and isinstance(value, float):
        return "a whole number"
    if isinstance(default, tuple):
        listed = value if isinstance(value, list) else [None]
        if default and [type(item) in (int, float) for item in listed] != [True, True]:
            return "a range [low, high]"
        if not default and not all(isinstance(item, str) for item in listed):
            return "a list of names"
    if isinstance(default, str) and not isinstance(value, str):
        return "text"
    return ""
