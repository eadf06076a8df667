"""A run that can be stopped at any moment: everything that its next step depends on, in one file.

``run_state.pth`` in the output folder is written at the end of each epoch and, on the way, every half minute;
batches, effects and dropout depend on the seed and the step alone (:mod:`beatsight.dataset.batches`), so no
generator needs to be kept. A resumed run ends with the very bits of an undisturbed one, on one machine and
CPU.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from beatsight.errors import InputError, UsageError
from beatsight.files import atomic_path
from beatsight.models.networks import Network

STATE_NAME = "run_state.pth"
_FORMAT = "beatsight-run/1"


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: batches done.
        loss_sum: of this epoch's batches so far.
        seconds: spent on this epoch so far, over all its processes' starts.
        history: one row an epoch, plain values.
        best_score: of the best epoch; its negative validation loss.
        best_epoch: 1 for the first; 0 while there is none.
        plateau_scale: what the ``plateau`` schedule has made of the learning rate.
        plateau_wait: epochs since the loss last fell or the rate was lowered.
    """

    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_score: float = float("-inf")
    best_epoch: int = 0
    plateau_scale: float = 1.0
    plateau_wait: int = 0


class Ema:
    """A running mean of a network's weights, in a network of its own; other values are copied."""

    def __init__(self, network: Network, shadow: Network, decay: float) -> None:
        self.network, self.shadow, self.decay = network, shadow, decay
        shadow.load_state_dict(network.state_dict())
        shadow.requires_grad_(False)

    @torch.no_grad()
    def update(self) -> None:
        """Take one step towards the network."""
        pairs = zip(self.shadow.state_dict().values(), self.network.state_dict().values(), strict=True)
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1.0 - self.decay)
            else:
                mean.copy_(value)


def save_state(
    path: str | os.PathLike[str],
    identity: dict[str, Any],
    progress: Progress,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema | None,
    scaler: Any,
) -> None:
    """Write the state of a run, aside and renamed."""
    content = {
        "format": _FORMAT,
        "identity": identity,
        "progress": vars(progress),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.shadow.state_dict() if ema else None,
        "scaler": scaler.state_dict(),
    }
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(content, stream)


def load_state(
    path: str | os.PathLike[str],
    identity: dict[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema | None,
    scaler: Any,
) -> Progress:
    """Put a run back to where it was saved.

    Raises:
        InputError: the file is damaged or no state of a run.
        UsageError: it belongs to a run with other settings or another dataset, which are named.
    """
    try:
        content = torch.load(Path(path), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        raise InputError(
            f"{path}: is damaged or not the state of a run; start anew without --resume"
        ) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path}: is not the state of a run that this program can resume")
    _same_run(path, content["identity"], identity)
    try:
        network.load_state_dict(content["network"])
        optimizer.load_state_dict(content["optimizer"])
        if ema is not None:
            ema.shadow.load_state_dict(content["ema"])
        scaler.load_state_dict(content["scaler"])
        return Progress(**content["progress"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: does not fit this run; start anew without --resume") from error


def _same_run(path: str | os.PathLike[str], saved: dict[str, Any], now: dict[str, Any]) -> None:
    different = sorted(name for name in saved.keys() | now.keys() if saved.get(name) != now.get(name))
    if different:
        first = different[0]
        more = f" (and {', '.join(different[1:])})" if len(different) > 1 else ""
        raise UsageError(
            f"{path}: the run was started with {first} = {saved.get(first)!r}, not {now.get(first)!r}{more}; "
            "resume it with its own settings, or start anew without --resume"
        )
