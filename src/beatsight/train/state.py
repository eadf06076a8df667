"""A run that can be stopped at any moment: everything that its next step depends on, in one file.

``run_state.pth`` in the output folder is written at the start, at the end of each epoch and, on the way,
every half minute; batches, effects and dropout depend on the seed and the step alone
(:mod:`beatsight.dataset.batches`), so no generator needs to be kept. A resumed run ends with the very bits of
an undisturbed one, on one machine, CPU and number of threads.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from beatsight.errors import InputError, UsageError
from beatsight.files import atomic_path
from beatsight.models.networks import Network

STATE_NAME = "run_state.pth"
_FORMAT = "beatsight-run/1"
# The shadow of the weights forgets its start faster than its decay says (as in TensorFlow's moving averages).
_EMA_START = 10.0


class EpochResult(msgspec.Struct, kw_only=True):
    """One line of history.jsonl; validation fields are None when nothing is held out."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_macro_f1: float | None
    val_micro_f1: float | None
    val_velocity_mae: float | None = None
    val_openness_mae: float | None = None
    lr: float
    seconds: float
    clips_per_s: float


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: batches done.
        loss_sum: of this epoch's batches so far.
        seconds: spent on this epoch so far, over all its processes' starts.
        history: one row an epoch.
        best_score: of the best epoch; its negative validation loss.
        best_epoch: 1 for the first; 0 while there is none.
        plateau_scale: what the ``plateau`` schedule has made of the learning rate.
        plateau_wait: epochs since the loss last fell or the rate was lowered.
    """

    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[EpochResult] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int = 0
    plateau_scale: float = 1.0
    plateau_wait: int = 0


class Ema:
    """A running mean of a network's weights, in a network of its own; other values are copied.

    Its first steps follow the network faster: after step ``t`` (from 0) the decay is at most
    ``(1 + t) / (10 + t)``, so that the random start is not still in the mean of a short run.
    """

    def __init__(self, network: Network, shadow: Network, decay: float) -> None:
        self.network, self.shadow, self.decay = network, shadow, decay
        shadow.load_state_dict(network.state_dict())
        shadow.requires_grad_(False)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take one step towards the network."""
        decay = min(self.decay, (1.0 + step) / (_EMA_START + step))
        pairs = zip(self.shadow.state_dict().values(), self.network.state_dict().values(), strict=True)
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1.0 - decay)
            else:
                mean.copy_(value)


@dataclass(frozen=True)
class Identity:
    """What must be the same for a run to be resumed.

    Attributes:
        settings: plain values by name, tables flat (``augment.mix``).
        files: SHA-256 of the content of what a setting names, and of the dataset; empty where none is given.
    """

    settings: Mapping[str, Any]
    files: Mapping[str, str]


@dataclass(frozen=True)
class Trained:
    """The parts of a run that have a state: network, optimizer, running mean (or None), gradient scaler."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    ema: Ema | None
    scaler: torch.amp.GradScaler


def save_state(
    path: str | os.PathLike[str], identity: Identity, progress: Progress, trained: Trained
) -> None:
    """Write the state of a run, aside and renamed."""
    content = {
        "format": _FORMAT,
        "settings": dict(identity.settings),
        "files": dict(identity.files),
        "progress": msgspec.to_builtins(progress),
        "network": trained.network.state_dict(),
        "optimizer": trained.optimizer.state_dict(),
        "ema": trained.ema.shadow.state_dict() if trained.ema else None,
        "scaler": trained.scaler.state_dict(),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(content, stream)


def load_state(path: str | os.PathLike[str], identity: Identity, trained: Trained) -> Progress:
    """Put a run back to where it was saved.

    Raises:
        InputError: the file is damaged or no state of a run.
        UsageError: it belongs to a run with other settings or another dataset, which are named.
    """
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError,
        AttributeError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path}: is damaged or not the state of a run; start anew without --resume"
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path}: is not the state of a run that this program can resume")
    try:
        _same_run(path, content, identity)
        trained.network.load_state_dict(content["network"])
        trained.optimizer.load_state_dict(content["optimizer"])
        _check_moments(trained.optimizer)
        if trained.ema is not None:
            trained.ema.shadow.load_state_dict(content["ema"])
        trained.scaler.load_state_dict(content["scaler"])
        return msgspec.convert(content["progress"], Progress)
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: does not fit this run; start anew without --resume") from error


def _check_moments(optimizer: torch.optim.Optimizer) -> None:
    """Optimizers take a state of any shape and fail at their next step."""
    for parameter, values in optimizer.state.items():
        for value in values.values():
            if value.dim() and value.shape != parameter.shape:
                raise ValueError("a moment of the optimizer has another shape than its weights")


def _same_run(path: str | os.PathLike[str], content: Mapping[str, Any], now: Identity) -> None:
    settings, files = content["settings"], content["files"]
    different = [
        f"{name} = {settings.get(name)!r}, not {now.settings.get(name)!r}"
        for name in sorted(settings.keys() | now.settings.keys())
        if settings.get(name) != now.settings.get(name)
    ]
    different += [
        f"another {name.replace('_', ' ')}"
        for name in sorted(files.keys() | now.files.keys())
        if files.get(name) != now.files.get(name)
    ]
    if different:
        raise UsageError(
            f"{path}: the run was started with {' and '.join(different[:2])}"
            f"{' and more' if len(different) > 2 else ''}; resume it with what it was started with, or start "
            "anew without --resume"
        )


def remove_leftovers(folder: Path, names: tuple[str, ...]) -> None:
    """Remove what :func:`beatsight.files.atomic_path` could not when the process was killed while writing."""
    patterns = [re.escape(f".{Path(n).stem}.") + r"[a-z0-9_]{8}" + re.escape(Path(n).suffix) for n in names]
    for path in folder.glob(".*") if folder.is_dir() else ():
        if any(re.fullmatch(pattern, path.name) for pattern in patterns):
            path.unlink(missing_ok=True)
