"""Where a run starts from: the weights of another model, and parts that are not to be trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from beatsight.errors import InputError, UsageError
from beatsight.models.checkpoint import read_weights
from beatsight.models.classifier import DrumClassifierCNN
from beatsight.models.compact import CompactClassifier

_NAMED = 4


@dataclass(frozen=True)
class Taken:
    """Which weights were taken over from a model file, which of the network's stay as they were made, and
    which of the file's nobody wanted."""

    loaded: list[str]
    kept: list[str]
    unused: list[str]

    @property
    def sentence(self) -> str:
        """The same in words."""
        parts = [f"{len(self.loaded)} weights taken over"]
        for names, text in (
            (self.kept, "start anew"),
            (self.unused, "of the file do not fit and are left out"),
        ):
            if names:
                shown = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
                parts.append(f"{len(names)} {text} ({shown})")
        return "; ".join(parts)


def network_name(path: str) -> str:
    """The network that a model file's weights belong to, ``cnn`` or ``compact``; compact without a file.

    A bare state dict has names of its own: it is of the network that has its shapes, in their order.

    Raises:
        InputError: no usable model file.
    """
    if not path:
        return "compact"
    given = read_weights(path)
    for name, kind in (("cnn", DrumClassifierCNN), ("compact", CompactClassifier)):
        own = kind().state_dict()
        if given.keys() & own.keys() > {"fc.weight", "fc.bias"}:
            return name
        if [value.shape for value in given.values()] == [value.shape for value in own.values()]:
            return name
    return "compact"


def take_weights(network: nn.Module, path: str | os.PathLike[str]) -> Taken:
    """Copy the weights of a model file into a network, where name and shape agree.

    A file that shares no name (a bare state dict) is matched by the order of its tensors if all shapes agree.

    Raises:
        InputError: no usable model file, or none of its weights fits.
    """
    given, own = read_weights(path), network.state_dict()
    if not given.keys() & own.keys() and [v.shape for v in given.values()] == [v.shape for v in own.values()]:
        given = dict(zip(own, given.values(), strict=True))
    fits = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    # A counter fits every network; alone it is no weight.
    if not any(value.dim() for value in fits.values()):
        raise InputError(f"{path}: none of its weights fits a {type(network).__name__}")
    with torch.no_grad():
        for name, value in fits.items():
            own[name].copy_(value)
    return Taken(sorted(fits), sorted(own.keys() - fits.keys()), sorted(given.keys() - fits.keys()))


def freeze(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Keep parts of a network as they are; the modules, which must stay in evaluation mode.

    Raises:
        UsageError: the network has no such part, or nothing is left to train.
    """
    parts = dict(network.named_modules())
    known = [name for name, _ in network.named_children()]
    for name in names:
        if name not in parts or not name:
            raise UsageError(f"--freeze {name}: the network has no such part; it has {', '.join(known)}")
        parts[name].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError("--freeze leaves nothing to train")
    return [parts[name] for name in names]
