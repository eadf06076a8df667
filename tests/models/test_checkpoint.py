"""The model file: nothing is lost in a round trip, nothing in a hostile file is run or half believed."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from tiny_dataset import TINY_FEATURES

SMALL = ClassifierConfig(channels=(2, 3, 4, 5))


def small_model(seed: int = 0) -> Model:
    torch.manual_seed(seed)
    return Model(
        DrumClassifierCNN(SMALL).eval(),
        features=TINY_FEATURES,
        thresholds=np.linspace(0.2, 0.8, 12),
        calibration={"temperature": 1.5},
        training={"best_epoch": 3, "sessions": {"train": 2}},
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(small_model(), tmp_path / "model.pth")
    return tmp_path / "model.pth"


def content(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_round_trip_gives_equal_scores_and_settings(saved: Path) -> None:
    before, after = small_model(), load_model(saved)
    clips = torch.from_numpy(
        np.random.default_rng(0).standard_normal((3, TINY_FEATURES.clip_samples)).astype(np.float32)
    )
    scores = after.scores(clips)
    torch.testing.assert_close(scores, before.scores(clips), rtol=0, atol=1e-6)
    assert torch.equal(scores, load_model(saved).scores(clips))
    assert (after.features, after.labels, after.activation) == (TINY_FEATURES, taxonomy.CLASSIFIER, "sigmoid")
    np.testing.assert_array_equal(after.thresholds, before.thresholds)
    assert (after.calibration, after.training) == (before.calibration, before.training)
    assert not after.network.training


def test_the_file_holds_every_documented_key_and_only_plain_values(saved: Path) -> None:
    found = content(saved)
    assert set(found) == {
        "format", "format_version", "architecture", "config", "features", "vocabulary", "labels",
        "taxonomy_digest", "activation", "thresholds", "calibration", "training", "program_version",
        "weights",
    }  # fmt: skip
    assert found["labels"] == list(taxonomy.CLASSIFIER)
    assert found["taxonomy_digest"] == taxonomy.digest()
    assert found["features"] == TINY_FEATURES.to_dict()


def test_equal_models_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one.pth", "two.pth"):
        save_model(small_model(), tmp_path / name)
    assert (tmp_path / "one.pth").read_bytes() == (tmp_path / "two.pth").read_bytes()


def test_softmax_and_sigmoid_with_temperature() -> None:
    model = small_model()
    features = torch.rand(2, 16, 16)
    logits = model.network(features.unsqueeze(1)).detach() / 1.5
    torch.testing.assert_close(model.scores_of_features(features), 1 / (1 + (-logits).exp()))
    model.activation = "softmax"
    expected = logits.exp() / logits.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(model.scores_of_features(features), expected)


class Payload:
    """Unpickling this makes a folder: proof that code was run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path: Path, kind: str) -> None:
    target, path = tmp_path / "pwned", tmp_path / "evil.pth"
    if kind == "torch":
        torch.save({"format": "beatsight-model", "weights": Payload(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(target), protocol=2))
    with pytest.raises(
        InputError, match=r"evil\.pth: is not a model file, or holds code that will not be run"
    ):
        load_model(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Payload(target)))
    assert target.exists()  # the payload works, where it is let


def _with_weight(found: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**found, "weights": {**found["weights"], name: value}}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: {**c, "format_version": 9}, "model format 9, this program reads 1"),
        (lambda c: {**c, "taxonomy_digest": "0" * 64}, "was trained with another label taxonomy"),
        (lambda c: {**c, "architecture": "ResNet"}, "unknown architecture 'ResNet'"),
        (lambda c: {k: v for k, v in c.items() if k != "features"}, "lacks or misstates 'features'"),
        (lambda c: {k: v for k, v in c.items() if k != "weights"}, "lacks or misstates 'weights'"),
        (lambda c: {**c, "thresholds": {}}, "lacks or misstates 'kick'"),
        (lambda c: {**c, "config": None}, "lacks or misstates"),
        (lambda c: {**c, "config": {**c["config"], "dropout": 3}}, "dropout must lie in"),
        (lambda c: {**c, "config": {**c["config"], "channels": [3, 3, 4, 5]}}, "the weights do not fit"),
        (lambda c: {**c, "config": {**c["config"], "channels": [10**6] * 4}}, "the weights do not fit"),
        (lambda c: {**c, "config": {**c["config"], "channels": [2.0, 3, 4, 5]}}, "the weights do not fit"),
        (lambda c: {**c, "features": {**c["features"], "n_fft": 0.5}}, "n_fft must be a whole number"),
        (lambda c: {**c, "labels": ["kick"] * 12}, "do not fit together"),
        (lambda c: {**c, "labels": c["labels"][:3]}, "do not fit together"),
        (lambda c: {**c, "activation": "relu"}, "do not fit together"),
        (lambda c: {**c, "thresholds": dict.fromkeys(c["labels"], float("nan"))}, "not a usable number"),
        (lambda c: {**c, "calibration": {"temperature": 0.0}}, "not a usable number"),
        (lambda c: {**c, "training": 3}, "training summary of the model file is not a dictionary"),
        (lambda c: {**c, "weights": [1]}, "the weights do not fit"),
        (lambda c: _with_weight(c, "fc.bias", "x"), "the weights do not fit"),
        (lambda c: _with_weight(c, "fc.bias", torch.zeros(11)), "the weights do not fit"),
        (lambda c: _with_weight(c, "more", torch.zeros(1)), "the weights do not fit"),
        (lambda c: _with_weight(c, "fc.bias", torch.full((12,), torch.nan)), "fc.bias are not all finite"),
        (lambda c: {"format": "other", "x": 1}, "is not a beatsight model file"),
        (lambda c: [1, 2], "holds no dictionary"),
        (lambda c: {}, "holds no dictionary"),
        (lambda c: {"a": torch.zeros(2)}, "bare state dict that does not fit"),
    ],
)
def test_contents_that_cannot_be_used_are_named(saved: Path, change: Any, why: str) -> None:
    torch.save(change(content(saved)), saved)
    with pytest.raises(InputError, match=why) as caught:
        load_model(saved)
    assert str(caught.value).startswith(f"{saved}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"hello world, no model", bytes(100), b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_models(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"m\.pth: is (not a model|damaged or not a model)"):
        load_model(path)
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(InputError, match="no such model file"):
            load_model(missing)


def test_damaged_bytes_never_give_another_error(saved: Path) -> None:
    whole = saved.read_bytes()
    draw = random.Random(0)
    for number in range(120):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[draw.randrange(len(data)) :]
        else:
            first = 0 if number % 3 == 1 else max(0, len(data) - 4_000)
            for _ in range(4):
                data[draw.randrange(first, min(len(data), first + 4_000))] = draw.randrange(256)
        saved.write_bytes(bytes(data))
        try:
            load_model(saved)
        except InputError as error:
            assert str(error).startswith(f"{saved}: ")
        if number % 3 == 0:
            with pytest.raises(InputError):
                load_model(saved)


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
