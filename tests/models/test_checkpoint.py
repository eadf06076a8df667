"""The model file: nothing is lost in a round trip, and older files load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import BOTH_HEADS, NETWORKS, content, small_model, some_clips

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.models.checkpoint import load_model, read_weights, save_model
from beatsight.models.classifier import DrumClassifierCNN
from tiny_dataset import TINY_FEATURES


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("heads", [(), ("velocity",), ("openness",), BOTH_HEADS])
def test_round_trip_gives_equal_answers_and_settings(
    tmp_path: Path, kind: str, heads: tuple[str, ...]
) -> None:
    before, path = small_model(kind, heads), tmp_path / "m.pth"
    save_model(before, path)
    after = load_model(path)
    clips = some_clips(3)
    expected, found, again = before.hear(clips), after.hear(clips), load_model(path).hear(clips)
    assert expected.scores.std() > 0.1  # else a broken round trip could go unseen
    for name in ("scores", *BOTH_HEADS):
        if name not in ("scores", *heads):
            assert getattr(found, name) is None
            continue
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-6)
        assert torch.equal(getattr(found, name), getattr(again, name))
    assert after.network.config == before.network.config
    assert (after.features, after.labels, after.activation) == (TINY_FEATURES, taxonomy.CLASSIFIER, "sigmoid")
    np.testing.assert_array_equal(after.thresholds, before.thresholds)
    assert (after.calibration, after.training) == (before.calibration, before.training)
    assert not after.network.training


def test_the_file_holds_every_documented_key_and_only_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    save_model(small_model(), path)
    found = content(path)
    assert set(found) == {
        "format", "format_version", "architecture", "config", "features", "vocabulary", "labels",
        "taxonomy_digest", "activation", "thresholds", "calibration", "training", "program_version",
        "weights",
    }  # fmt: skip
    assert found["labels"] == list(taxonomy.CLASSIFIER)
    assert found["taxonomy_digest"] == taxonomy.digest()
    assert found["features"] == TINY_FEATURES.to_dict()


def test_a_model_file_without_heads_in_its_config_loads(tmp_path: Path) -> None:
    """As files were before there were heads."""
    path, model = tmp_path / "old.pth", small_model()
    save_model(model, path)
    found = content(path)
    del found["config"]["heads"]
    torch.save(found, path)
    loaded = load_model(path)
    assert loaded.network.config.heads == ()
    features = torch.rand(2, 16, 16)
    assert torch.equal(loaded.scores_of_features(features), model.scores_of_features(features))
    assert loaded.hear_features(features).velocity is None


@pytest.mark.parametrize("kind", NETWORKS)
def test_equal_models_are_equal_bytes_also_after_loading(tmp_path: Path, kind: str) -> None:
    for name in ("one.pth", "two.pth"):
        save_model(small_model(kind, BOTH_HEADS), tmp_path / name)
    save_model(load_model(tmp_path / "one.pth"), tmp_path / "three.pth")
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_numpy_numbers_in_the_summary_become_plain_ones(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "m.pth"
    model.training = {"a": np.float64(0.25), "b": (np.int64(3), None), "c": {"d": np.float32(0.5)}}
    save_model(model, path)
    assert load_model(path).training == {"a": 0.25, "b": [3, None], "c": {"d": 0.5}}
    model.training = {"a": {"b": np.zeros(2)}}
    with pytest.raises(InputError, match=r"training\.a\.b: holds a ndarray where a model file has plain"):
        save_model(model, tmp_path / "n.pth")
    assert not (tmp_path / "n.pth").exists()


def test_softmax_and_sigmoid_with_temperature() -> None:
    model = small_model()
    features = torch.rand(2, 16, 16)
    logits = model.network(features.unsqueeze(1)).detach() / 1.5
    torch.testing.assert_close(model.scores_of_features(features), 1 / (1 + (-logits).exp()))
    model.activation = "softmax"
    expected = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(model.scores_of_features(features), expected)


@pytest.mark.parametrize("kind", NETWORKS)
def test_temperature_is_for_the_labels_only(kind: str) -> None:
    model = small_model(kind, BOTH_HEADS)
    features = torch.rand(4, 16, 16)
    logits = model.network(features.unsqueeze(1)).detach()
    heard = model.hear_features(features)
    assert heard.velocity is not None and heard.openness is not None
    assert (heard.scores.shape, heard.velocity.shape, heard.openness.shape) == ((4, 12), (4, 12), (4,))
    torch.testing.assert_close(heard.scores, 1 / (1 + (-logits[:, :12] / 1.5).exp()))
    torch.testing.assert_close(heard.velocity, 1 / (1 + (-logits[:, 12:24]).exp()))
    torch.testing.assert_close(heard.openness, 1 / (1 + (-logits[:, 24]).exp()))


def test_loading_draws_nothing_from_the_generator(tmp_path: Path) -> None:
    for kind in NETWORKS:
        save_model(small_model(kind), tmp_path / "m.pth")
        before = torch.get_rng_state()
        load_model(tmp_path / "m.pth")
        assert torch.equal(torch.get_rng_state(), before)


def test_a_bare_state_dict_loads_with_a_warning(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = DrumClassifierCNN().eval()
    path = tmp_path / "bare.pth"
    # Other programs name the layers otherwise; their order and shapes are what is known.
    torch.save({f"net.{i}": value for i, value in enumerate(network.state_dict().values())}, path)
    with pytest.warns(UserWarning, match=r"bare\.pth: is a bare state dict; its labels"):
        model = load_model(path)
    features = torch.rand(2, 128, 128)
    torch.testing.assert_close(
        model.scores_of_features(features), network(features.unsqueeze(1)).detach().softmax(-1)
    )


def test_weights_alone(tmp_path: Path) -> None:
    model, path = small_model("compact"), tmp_path / "m.pth"
    save_model(model, path)
    found = read_weights(path)
    assert found.keys() == model.network.state_dict().keys()
    torch.save(found, path)
    assert all(torch.equal(value, found[name]) for name, value in read_weights(path).items())
    torch.save({**found, "fc.bias": torch.full((12,), torch.inf)}, path)
    with pytest.raises(InputError, match=r"m\.pth: the weights of fc\.bias are not all finite numbers"):
        read_weights(path)
    torch.save({"format": "beatsight-model", "weights": {}}, path)
    with pytest.raises(InputError, match=r"m\.pth: holds no weights by name"):
        read_weights(path)
