"""The network without torch: the sums of the trained one, however the frames arrive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import MissingDependencyError, UsageError
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_model import SongModel
from beatsight.transcription.engine import AS_THEY_COME, BLOCK, Engine, regrouped
from beatsight.transcription.runners import ENGINES, runner_of
from song_models import ONSETS, SMALL, SMALL_FRAMES, random_levels, random_model, settings_of

SHAPES = [
    SMALL,
    replace(SMALL, lookahead=0),
    replace(SMALL, lookahead=2),
    replace(SMALL, lookahead=5, kernel=5, dilations=(3, 1)),
    replace(SMALL, stem=(3,), kernel=1, dilations=(1,)),
    SongNetworkConfig(bands=15, stem=(2, 3, 4), width=6, dilations=(1, 2), onsets=ONSETS, lookahead=4),
]


@pytest.mark.parametrize("network", SHAPES)
def test_it_is_the_trained_network(network: SongNetworkConfig) -> None:
    torch = pytest.importorskip("torch")
    from beatsight.models.song_folding import folded_weights
    from beatsight.models.song_network import SongNetwork

    torch.manual_seed(1)
    trained = SongNetwork(network).eval()
    for name, value in [*trained.named_parameters(), *trained.named_buffers()]:
        if "norm" in name and value.is_floating_point():  # statistics and scales as after some training
            value.data = torch.rand_like(value) + (0.5 if "var" in name else -0.5)
    model = SongModel(settings_of(network), network, SMALL_FRAMES, folded_weights(trained))
    levels = random_levels(61, network.bands)
    normalised = (levels - model.settings.level_mean_db) / model.settings.level_spread_db
    with torch.no_grad():
        expected = torch.sigmoid(trained(torch.from_numpy(normalised)[None]))[0].numpy()
    found = Engine(model).activations(levels)
    assert found.shape == (61, network.outputs) and found.std() > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(cuts=st.lists(st.integers(0, 90), max_size=8), block=st.integers(1, 40))
@settings(max_examples=25)
def test_the_same_bits_however_the_frames_arrive(cuts: list[int], block: int) -> None:
    engine, levels = Engine(random_model()), random_levels(90)
    whole = np.concatenate(list(engine.stream([levels], block)))
    pieces = np.concatenate(list(engine.stream(np.split(levels, sorted(cuts)), block)))
    assert np.array_equal(whole, pieces)
    np.testing.assert_allclose(whole, engine.activations(levels), atol=1e-5)


@pytest.mark.parametrize("network", SHAPES)
def test_a_frame_is_answered_as_soon_as_its_context_is_there(network: SongNetworkConfig) -> None:
    engine, levels = Engine(random_model(network)), random_levels(50, network.bands)
    given_rows, answered = 0, []

    def one_by_one() -> object:
        nonlocal given_rows
        for row in levels:
            given_rows += 1
            yield row[None]

    parts = []
    for part in engine.stream(one_by_one(), AS_THEY_COME):  # type: ignore[arg-type]
        parts.append(part)
        answered.append((given_rows, sum(map(len, parts))))
    after = network.context()[1]
    live = answered if len(parts[-1]) == 1 and after == 0 else answered[:-1]
    assert live == [(n, n - after) for n in range(after + 1, 51)]
    np.testing.assert_allclose(np.concatenate(parts), engine.activations(levels), atol=1e-5)


@pytest.mark.parametrize("network", SHAPES)
def test_an_output_depends_on_its_context_and_nothing_else(network: SongNetworkConfig) -> None:
    engine, levels = Engine(random_model(network)), random_levels(80, network.bands)
    before, after = network.context()
    changed = levels.copy()
    changed[40] += 30.0
    touched = np.flatnonzero((engine.activations(levels) != engine.activations(changed)).any(axis=1))
    assert (touched.min(), touched.max()) == (40 - after, 40 + before)


def test_no_frames_give_no_activations() -> None:
    engine = Engine(random_model())
    assert engine.activations(np.zeros((0, 16), np.float32)).shape == (0, SMALL.outputs)
    assert list(engine.stream([])) == []


def test_blocks_are_cut_anew() -> None:
    pieces = np.split(np.arange(23.0)[:, None], [2, 2, 19])
    assert [len(piece) for piece in regrouped(pieces, 6)] == [6, 6, 6, 5]
    assert [len(piece) for piece in regrouped(pieces, AS_THEY_COME)] == [2, 17, 4]
    assert np.array_equal(np.concatenate(list(regrouped(pieces, 6))), np.arange(23.0)[:, None])


@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "numpy"])
@pytest.mark.parametrize("lookahead", [-1, 3])
def test_other_engines_agree(engine: str, lookahead: int) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "torch": "torch"}[engine])
    model = random_model(replace(SMALL, lookahead=lookahead))
    levels = random_levels(2 * BLOCK + 300)
    runner = runner_of(model, engine, "cpu")
    found = np.concatenate(list(runner.stream(np.split(levels, [7, 1500]))))
    assert runner.device == "cpu"
    np.testing.assert_allclose(found, Engine(model).activations(levels), atol=1e-4)


def test_engines_that_make_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model()
    with pytest.raises(UsageError, match="unknown engine 'abacus'; known: numpy, onnx, torch"):
        runner_of(model, "abacus")
    with pytest.raises(UsageError, match="unknown device 'gpu'; use auto, cpu, cuda or cuda:N"):
        runner_of(model, device="gpu")
    with pytest.raises(
        UsageError, match="--engine onnx runs on the processor; for --device cuda:0 use torch"
    ):
        runner_of(model, "onnx", "cuda:0")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'beatsight\[onnx\]'"):
        runner_of(model, "onnx")
