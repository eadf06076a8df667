"""Averaged weights of training runs on disk: read, put into a larger network, and the mean of some.

``average.pth`` is a dictionary: ``weights`` (name -> tensor) and ``network`` (the network's settings). It is
read with ``weights_only``, so nothing in it is run.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beatsight.errors import InputError
from beatsight.files import atomic_path

# What reading a file of torch can raise.
DAMAGED = (RuntimeError, KeyError, TypeError, ValueError, EOFError, OSError, pickle.UnpicklingError)


def grown(weights: dict[str, Tensor], larger: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with the context layers that a larger network has besides, letting everything through."""
    known = {name.rsplit(".", 2)[0] for name in weights}
    new = {name.rsplit(".", 2)[0] for name in larger if name.startswith("context.")} - known
    added = {
        name: torch.zeros_like(value) if ".mix." in name else value
        for name, value in larger.items()
        if ".".join(name.split(".")[:2]) in new
    }
    return {**weights, **added}


def read_weights(path: Path, network: nn.Module) -> None:
    """Load averaged weights into a network, which may have more context layers.

    Raises:
        InputError: they are missing, damaged or of a network of another shape.
    """
    try:
        weights = torch.load(path, weights_only=True)["weights"]
        network.load_state_dict(grown(weights, network.state_dict()))
    except DAMAGED as error:
        raise InputError(f"{path}: holds no weights for this network: {error}") from None


def average_weights(paths: Sequence[Path], target: Path) -> None:
    """Write the mean of some runs' averaged weights.

    Runs may have fewer context layers than the largest: those let everything through.

    Raises:
        InputError: a run's weights are missing, damaged or of a network of another shape.
    """
    runs: list[dict[str, Any]] = []
    for path in paths:
        try:
            run = torch.load(path, weights_only=True)
            runs.append({"weights": dict(run["weights"]), "network": dict(run["network"])})
        except DAMAGED as error:
            raise InputError(f"{path}: holds no averaged weights: {error}") from None
    largest = max(runs, key=lambda run: len(run["weights"]))
    everything = [grown(run["weights"], largest["weights"]) for run in runs]
    try:
        mean = {
            name: torch.stack([weights[name].double() for weights in everything]).mean(dim=0).to(value.dtype)
            for name, value in largest["weights"].items()
        }
    except (RuntimeError, KeyError) as error:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"{names}: are weights of networks of different shapes: {error}") from None
    with atomic_path(target) as path:
        torch.save({"weights": mean, "network": largest["network"]}, path)
