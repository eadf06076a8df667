"""The network that hears a song: frames of mel levels in, per frame the onsets of every drum out.

A stem of small convolutions folds the bands into channels; a stack of dilated convolutions over time (TCN: S.
Bai, J. Z. Kolter, V. Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
Sequence Modeling", 2018) gives every frame some seconds of context. Deviations: not causal by default, batch
normalisation instead of weight normalisation (it folds into the weights for inference).

With ``lookahead`` set the network is causal but for that many frames: what the streaming form needs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from beatsight.models.song_config import SongNetworkConfig


class StemLayer(nn.Module):
    def __init__(self, inside: int, outside: int, ahead: int) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 1, 2 - ahead, ahead))
        self.conv = nn.Conv2d(inside, outside, 3, stride=(1, 2), bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(self.pad(x))))


class ContextLayer(nn.Module):
    """Dilated convolution, normalisation, ReLU, a mixing 1x1 convolution, and the way around."""

    def __init__(self, width: int, kernel: int, dilation: int, ahead: int, dropout: float) -> None:
        super().__init__()
        reach = dilation * (kernel - 1)
        self.pad = nn.ConstantPad1d((reach - ahead, ahead), 0.0)
        self.conv = nn.Conv1d(width, width, kernel, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(dropout)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mix(self.drop(torch.relu(self.norm(self.conv(self.pad(x))))))


class SongNetwork(nn.Module):
    """Frames to activations; see the module's text."""

    def __init__(self, config: SongNetworkConfig) -> None:
        super().__init__()
        self.config = config
        shifts = config.shifts()
        channels, bands, stem = 1, config.bands, []
        for outside, ahead in zip(config.stem, shifts[: len(config.stem)], strict=True):
            stem.append(StemLayer(channels, outside, ahead))
            channels, bands = outside, (bands - 1) // 2 + 1
        self.stem = nn.Sequential(*stem)
        self.enter = nn.Conv1d(channels * bands, config.width, 1, bias=False)
        self.enter_norm = nn.BatchNorm1d(config.width)
        self.context = nn.Sequential(
            *(
                ContextLayer(config.width, config.kernel, dilation, ahead, config.dropout)
                for dilation, ahead in zip(config.dilations, shifts[len(config.stem) :], strict=True)
            )
        )
        self.leave = nn.Conv1d(config.width, config.outputs, 1)
        assert self.leave.bias is not None
        nn.init.constant_(self.leave.bias[: config.onsets], -3.0)  # onsets are rare

    def forward(self, levels: Tensor) -> Tensor:
        """Logits.

        Args:
            levels: normalised mel levels, shape (batch, frames, bands).

        Returns:
            shape (batch, frames, outputs): logits of onsets, velocities and openness.
        """
        x = self.stem(levels.unsqueeze(1))
        x = x.permute(0, 1, 3, 2).flatten(1, 2)
        x = torch.relu(self.enter_norm(self.enter(x)))
        return self.leave(torch.relu(self.context(x))).transpose(1, 2)
