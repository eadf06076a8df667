"""A trained transcriber as weights for inference: normalisation folded into the convolutions before it."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from beatsight.models.song_network import ContextLayer, SongNetwork, StemLayer


def _folded(weight: Tensor, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution without bias followed by ``norm``."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    shaped = scale.view(-1, *([1] * (weight.dim() - 1)))
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return (weight.double() * shaped).detach().numpy(), bias.detach().numpy()


def folded_weights(network: SongNetwork) -> dict[str, np.ndarray]:
    """Tensors by the names of :mod:`beatsight.models.song_model`, float32."""
    out: dict[str, np.ndarray] = {}
    for index, stem in enumerate(network.stem):
        assert isinstance(stem, StemLayer)
        out[f"stem.{index}.weight"], out[f"stem.{index}.bias"] = _folded(stem.conv.weight, stem.norm)
    weight, out["enter.bias"] = _folded(network.enter.weight, network.enter_norm)
    out["enter.weight"] = weight[:, :, 0]
    for index, layer in enumerate(network.context):
        assert isinstance(layer, ContextLayer)
        name = f"context.{index}"
        out[f"{name}.conv.weight"], out[f"{name}.conv.bias"] = _folded(layer.conv.weight, layer.norm)
        out[f"{name}.mix.weight"] = layer.mix.weight.detach().numpy()[:, :, 0]
        assert layer.mix.bias is not None
        out[f"{name}.mix.bias"] = layer.mix.bias.detach().numpy()
    out["leave.weight"] = network.leave.weight.detach().numpy()[:, :, 0]
    assert network.leave.bias is not None
    out["leave.bias"] = network.leave.bias.detach().numpy()
    return {name: np.ascontiguousarray(value, np.float32) for name, value in out.items()}
