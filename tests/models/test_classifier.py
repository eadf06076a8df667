"""The network of the requirements, layer by layer; and the device and precision it runs in."""

from __future__ import annotations

import pytest
import torch

from beatsight.errors import InputError, UsageError
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.precision import autocast, choose_device, gradient_scaler


def test_parameter_count() -> None:
    network = DrumClassifierCNN()
    convolutions = sum(9 * a * b + b for a, b in ((1, 32), (32, 64), (64, 128), (128, 256)))
    norms = 2 * (32 + 64 + 128 + 256)
    assert sum(p.numel() for p in network.parameters()) == convolutions + norms + 257 * 12 == 391_884


def test_shapes_block_by_block() -> None:
    network = DrumClassifierCNN().eval()
    hidden = torch.zeros(2, 1, 128, 128)
    for block, shape in (
        (network.conv1, (2, 32, 64, 64)),
        (network.conv2, (2, 64, 32, 32)),
        (network.conv3, (2, 128, 16, 16)),
        (network.conv4, (2, 256, 1, 1)),
    ):
        hidden = block(hidden)
        assert hidden.shape == shape
    assert network(torch.zeros(2, 1, 128, 128)).shape == (2, 12)


def test_forward_equals_the_layers_written_out() -> None:
    torch.manual_seed(0)
    network = DrumClassifierCNN(ClassifierConfig(channels=(2, 3, 4, 5))).eval()
    clip = torch.rand(3, 1, 32, 32)
    x = clip
    for block in (network.conv1, network.conv2, network.conv3, network.conv4):
        conv, norm = block[0], block[1]
        assert isinstance(conv, torch.nn.Conv2d) and isinstance(norm, torch.nn.BatchNorm2d)
        assert norm.running_mean is not None and norm.running_var is not None
        x = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
        x = (x - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps) ** 0.5
        x = (x * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp_min(0)
        if block is not network.conv4:
            x = torch.nn.functional.max_pool2d(x, 2)
    expected = x.mean(dim=(2, 3)) @ network.fc.weight.T + network.fc.bias
    torch.testing.assert_close(network(clip), expected)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    network = DrumClassifierCNN(ClassifierConfig(channels=(2, 2, 2, 64), dropout=0.5))
    clip = torch.rand(1, 1, 16, 16)
    network.eval()
    assert torch.equal(network(clip), network(clip))
    network.dropout.train()
    assert not torch.equal(network(clip), network(clip))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"classes": 0}, "a classifier needs classes from 1 to 65536, not 0"),
        ({"channels": (1, 2, 3)}, r"needs the channels of 4 blocks, not \(1, 2, 3\)"),
        ({"channels": (1, 2, 3, 0)}, "a classifier needs channels from 1 to 65536, not 0"),
        ({"channels": (1, 2, 3, 4.0)}, "needs channels from 1 to 65536, not 4.0"),
        ({"channels": (1, 2, 3, 10**9)}, "needs channels from 1 to 65536, not 1000000000"),
        ({"dropout": 1.0}, "dropout must lie in"),
    ],
)
def test_shapes_that_make_no_network(settings: dict[str, object], why: str) -> None:
    with pytest.raises(InputError, match=why):
        ClassifierConfig(**settings)  # type: ignore[arg-type]


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(UsageError, match="unknown device 'toaster'; use auto, cpu, cuda or cuda:N"):
        choose_device("toaster")
    with pytest.raises(UsageError, match="unsupported device 'meta'"):
        choose_device("meta")
    with pytest.raises(InputError, match=r"device 'cuda:99' was asked for, but"):
        choose_device("cuda:99")


def test_precision() -> None:
    product = {}
    for name in ("fp32", "bf16"):
        with autocast(torch.device("cpu"), name):
            product[name] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert product == {"fp32": torch.float32, "bf16": torch.bfloat16}
    with pytest.raises(UsageError, match="unknown precision 'fp8'; use auto, fp32, bf16"):
        autocast(torch.device("cpu"), "fp8")
    with pytest.raises(UsageError, match="precision fp16 needs a GPU; on a CPU use bf16, fp32 or auto"):
        autocast(torch.device("cpu"), "fp16")


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_gradients_are_scaled_for_float16_only(precision: str) -> None:
    scaler = gradient_scaler(torch.device("cpu"), precision)
    weight = torch.nn.Parameter(torch.ones(2))
    assert torch.equal(scaler.scale(weight.sum()), weight.sum())
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaler.scale(weight.sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert weight.tolist() == [0.5, 0.5]
