"""The learning rate, step by step: warm-up, then a half cosine, steps down on a plateau, or level."""

from __future__ import annotations

import math

from beatsight.train.config import TrainConfig
from beatsight.train.state import Progress

_PLATEAU_FACTOR = 0.2
# Epochs without a lower loss before the rate falls, for runs that never stop early.
_PLATEAU_EPOCHS = 5


def rate(config: TrainConfig, step: int, steps: int, plateau_scale: float = 1.0) -> float:
    """The learning rate of a step.

    Args:
        config: the run's settings.
        step: from 0.
        steps: of the whole run.
        plateau_scale: what :func:`lower_on_plateau` has made of the rate.

    >>> [round(rate(TrainConfig(lr=1.0, warmup=0.5), step, 4), 3) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warmup = round(config.warmup * steps)
    if step < warmup:
        return config.lr * plateau_scale * (step + 1) / warmup
    if config.schedule != "cosine":
        return config.lr * plateau_scale
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def lower_on_plateau(progress: Progress, config: TrainConfig, better: bool) -> None:
    """After an epoch: count those that were no better, and lower the rate after half of ``patience``."""
    progress.plateau_wait = 0 if better else progress.plateau_wait + 1
    wait = max(1, config.patience // 2) if config.patience else _PLATEAU_EPOCHS
    if config.schedule == "plateau" and progress.plateau_wait >= wait:
        progress.plateau_scale *= _PLATEAU_FACTOR
        progress.plateau_wait = 0
