"""The transcriber's network in torch from the weights of a model file: what runs it on a GPU.

The trained network (:mod:`beatsight.models.song_network`) has normalisation layers; here they are folded into
the weights, as the file has them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from beatsight.models.song_model import SongModel


class FoldedNetwork:
    """Levels to activations with the weights of a model file.

    Args:
        model: the transcriber.
        device: where it runs.
    """

    def __init__(self, model: SongModel, device: torch.device) -> None:
        self._settings, self._config, self._shifts = model.settings, model.network, model.network.shifts()
        self._weights = {name: torch.from_numpy(value).to(device) for name, value in model.weights.items()}

    def __call__(self, levels: Tensor) -> Tensor:
        """Activations 0..1, shape (batch, frames, outputs), of levels in dB, shape (batch, frames, bands)."""
        config, settings = self._config, self._settings
        x = ((levels - settings.level_mean_db) / settings.level_spread_db).unsqueeze(1)
        for i in range(len(config.stem)):
            ahead = self._shifts[i]
            padded = functional.pad(x, (1, 1, 2 - ahead, ahead))
            x = torch.relu(functional.conv2d(padded, *self._layer(f"stem.{i}"), stride=(1, 2)))
        x = x.permute(0, 1, 3, 2).flatten(1, 2)
        x = torch.relu(self._mixed(x, "enter"))
        for i, dilation in enumerate(config.dilations):
            ahead = self._shifts[len(config.stem) + i]
            padded = functional.pad(x, (dilation * (config.kernel - 1) - ahead, ahead))
            y = functional.conv1d(padded, *self._layer(f"context.{i}.conv"), dilation=dilation)
            x = x + self._mixed(torch.relu(y), f"context.{i}.mix")
        return torch.sigmoid(self._mixed(torch.relu(x), "leave")).transpose(1, 2)

    def _layer(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]

    def _mixed(self, x: Tensor, name: str) -> Tensor:
        """Every frame by itself: a convolution one frame wide."""
        weight, bias = self._layer(name)
        return functional.conv1d(x, weight[:, :, None], bias)
