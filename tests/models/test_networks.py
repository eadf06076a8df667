"""Both networks: sizes, gradients, determinism, memory layout; the heads; and what makes no network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import BOTH_HEADS, NETWORKS, small_network

from beatsight.audio.features import FeatureConfig
from beatsight.errors import InputError
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from beatsight.models.compact import CompactClassifier, CompactConfig
from beatsight.models.heads import check_heads, columns, take_apart
from beatsight.models.networks import ARCHITECTURES, config_of, make_network, network_of
from tiny_dataset import TINY_FEATURES


def parameters(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_parameters_of_the_compact_network_counted_by_hand() -> None:
    stem = 32 * 15 + 2 * 32
    blocks = sum(9 * a + 2 * a + a * b + 2 * b for a, b in ((32, 64), (64, 96), (96, 128), (128, 128)))
    collapse = 128 * 8 + 2 * 128
    last = 12 * (128 * 8) + 12
    assert parameters(CompactClassifier()) == stem + blocks + collapse + last == 55_340
    with_heads = CompactClassifier(CompactConfig(heads=BOTH_HEADS))
    assert parameters(with_heads) - parameters(CompactClassifier()) == 13 * (128 * 8 + 1)
    wide = DrumClassifierCNN(ClassifierConfig(heads=BOTH_HEADS))
    assert parameters(wide) - 391_884 == 13 * 257


def test_shapes_of_the_compact_network_block_by_block() -> None:
    network = CompactClassifier().eval()
    hidden = torch.zeros(2, 1, 128, 128)
    for block, shape in (
        (network.stem, (2, 32, 64, 64)),
        (network.block1, (2, 64, 32, 32)),
        (network.block2, (2, 96, 16, 16)),
        (network.block3, (2, 128, 8, 8)),
        (network.block4, (2, 128, 8, 8)),
        (network.collapse, (2, 128, 1, 8)),
    ):
        hidden = block(hidden)
        assert hidden.shape == shape


@given(st.integers(16, 70), st.integers(16, 70), st.sampled_from([(), ("velocity",), BOTH_HEADS]))
def test_clips_of_odd_sizes(mels: int, frames: int, heads: tuple[str, ...]) -> None:
    clips = torch.zeros(2, 1, mels, frames)
    compact = CompactClassifier(CompactConfig(mels=mels, frames=frames, width=2, heads=heads)).eval()
    large = DrumClassifierCNN(ClassifierConfig(channels=(2, 2, 2, 2), heads=heads)).eval()
    for network in (compact, large):
        assert network(clips).shape == (2, columns(12, heads))


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_gets_a_gradient(kind: str) -> None:
    torch.manual_seed(0)
    network = small_network(kind, BOTH_HEADS)
    torch.manual_seed(1)
    (network(torch.rand(16, 1, 16, 16)) * torch.rand(16, 25)).sum().backward()
    for name, value in network.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all(), name
        # A convolution's bias before batch normalisation has, exactly computed, none.
        if not (kind == "cnn" and name.startswith("conv") and name.endswith("0.bias")):
            assert value.grad.abs().max() > 1e-6, name


@pytest.mark.parametrize("kind", NETWORKS)
def test_evaluation_is_deterministic_and_alone(kind: str) -> None:
    """The same clip gives the same logits, whatever else is in the batch and however memory is laid out."""
    torch.manual_seed(0)
    network = small_network(kind)
    for _ in range(3):
        network(torch.rand(4, 1, 16, 16))
    network.eval()
    clips = torch.rand(6, 1, 16, 16)
    with torch.no_grad():
        whole = network(clips)
        assert torch.equal(network(clips), whole)
        torch.testing.assert_close(torch.cat([network(clip[None]) for clip in clips]), whole)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        torch.testing.assert_close(network(clips.to(memory_format=torch.channels_last)), whole)
        network.train()
        assert not torch.equal(network(clips), network(clips))


def test_the_compact_network_knows_where_in_the_clip_a_sound_is() -> None:
    """The large one averages over time, so that, but for the edges, it cannot."""
    torch.manual_seed(0)
    sound = torch.rand(1, 1, 64, 4)
    early, late = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    early[..., 16:20], late[..., 32:36] = sound, sound
    gaps = {}
    for network in (CompactClassifier(CompactConfig(mels=64, frames=64)), DrumClassifierCNN()):
        network.eval()
        with torch.no_grad():
            scale = (network(early) - network(torch.zeros(1, 1, 64, 64))).abs().max()
            gaps[type(network).__name__] = float((network(early) - network(late)).abs().max() / scale)
    assert gaps["DrumClassifierCNN"] < 0.05 < 0.3 < gaps["CompactClassifier"]


def test_columns_and_their_parts() -> None:
    logits = torch.arange(2 * 25.0).reshape(2, 25)
    parts = take_apart(logits, 12, BOTH_HEADS)
    assert parts.velocity is not None and parts.openness is not None
    torch.testing.assert_close(
        torch.cat([parts.labels, parts.velocity, parts.openness[:, None]], dim=1), logits
    )
    assert take_apart(logits[:, :12], 12, ()).velocity is None
    only = take_apart(logits[:, :13], 12, ("openness",))
    assert only.velocity is None and only.openness is not None
    assert only.openness.tolist() == [12.0, 37.0]
    assert [columns(3, heads) for heads in ((), ("velocity",), ("openness",), BOTH_HEADS)] == [3, 6, 4, 7]


@pytest.mark.parametrize(
    "heads", [("openness", "velocity"), ("loud",), ("velocity", "velocity"), "velocity", 3]
)
def test_heads_that_nobody_knows(heads: object) -> None:
    with pytest.raises(InputError, match="heads are some of velocity, openness, in this order, not"):
        check_heads(heads)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_by_name_and_back_from_plain_values(name: str) -> None:
    network = make_network(name, 12, 0.25, BOTH_HEADS, TINY_FEATURES)
    assert network(torch.zeros(2, 1, 16, 16)).shape == (2, 25)
    config = config_of(type(network).__name__, network.config.to_dict())
    assert config == network.config
    assert type(network_of(config)) is type(network) is ARCHITECTURES[type(network).__name__][1]


def test_networks_that_cannot_be_made() -> None:
    with pytest.raises(InputError, match="unknown network 'big'; known: cnn, compact"):
        make_network("big", 12, 0.3, (), TINY_FEATURES)
    with pytest.raises(InputError, match="unknown architecture 'Big'; known: DrumClassifierCNN, Compact"):
        config_of("Big", {})
    short = FeatureConfig(n_mels=16, frames=7, pre_frames=2)
    with pytest.raises(InputError, match="at least 8 bands and frames, the features give 16 and 7"):
        make_network("cnn", 12, 0.3, (), short)
    with pytest.raises(InputError, match="a compact classifier needs frames from 16 to 65536, not 7"):
        make_network("compact", 12, 0.3, (), short)
