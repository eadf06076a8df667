"""ONNX says what the model says, or is not written; safetensors gives the model back bit for bit."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import BOTH_HEADS, NETWORKS, small_model, some_clips

from beatsight import taxonomy
from beatsight.audio.features import FeatureConfig, clip_features
from beatsight.errors import InputError, MissingDependencyError, UsageError
from beatsight.models import export
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.compact import CompactClassifier, CompactConfig
from beatsight.models.export import TOLERANCE, Takes, export_onnx
from beatsight.models.tensor_file import write_safetensors
from tiny_dataset import TINY_FEATURES


@pytest.fixture(scope="module")
def runtime() -> Any:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime")


def answers(runtime: Any, path: Path, given: torch.Tensor) -> dict[str, np.ndarray]:
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"clips": given.numpy()}), strict=True))


@pytest.mark.parametrize(
    ("kind", "takes", "heads", "activation"),
    [
        ("cnn", "audio", BOTH_HEADS, "sigmoid"),
        ("cnn", "features", (), "softmax"),
        ("compact", "audio", (), "softmax"),
        ("compact", "features", BOTH_HEADS, "sigmoid"),
    ],
)
def test_onnxruntime_says_what_torch_says(
    tmp_path: Path, runtime: Any, kind: str, takes: Takes, heads: tuple[str, ...], activation: str
) -> None:
    model, path = small_model(kind, heads), tmp_path / "m.onnx"
    model.activation = activation
    assert export_onnx(model, path, takes) <= TOLERANCE
    for count in (1, 2, 9):
        clips = some_clips(count, seed=count)
        heard = model.hear(clips)
        given = clips if takes == "audio" else clip_features(clips, model.features).unsqueeze(1)
        found = answers(runtime, path, given)
        assert list(found) == ["scores", *heads]
        for name, values in found.items():
            np.testing.assert_allclose(values, getattr(heard, name).numpy(), rtol=0, atol=TOLERANCE)
    assert heard.scores.std() > 0.05  # answers that all clips share would prove little


def test_the_default_features_of_a_full_network(tmp_path: Path, runtime: Any) -> None:
    torch.manual_seed(0)
    model = Model(CompactClassifier(CompactConfig(heads=("velocity",))).eval())
    export_onnx(model, tmp_path / "m.onnx")
    song = np.random.default_rng(0).standard_normal((3, FeatureConfig().clip_samples)).astype(np.float32)
    clips = torch.from_numpy(song * np.geomspace(1.0, 1e-4, song.shape[1], dtype=np.float32))
    found = answers(runtime, tmp_path / "m.onnx", clips)["scores"]
    np.testing.assert_allclose(found, model.scores(clips).numpy(), rtol=0, atol=TOLERANCE)


def test_the_metadata_holds_what_a_program_needs(tmp_path: Path, runtime: Any) -> None:
    model, path = small_model("compact", BOTH_HEADS), tmp_path / "m.onnx"
    export_onnx(model, path, "audio", "# Model card\n")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    assert (given.name, given.shape[1]) == ("clips", TINY_FEATURES.clip_samples)
    assert isinstance(given.shape[0], str)  # a free batch
    held = session.get_modelmeta().custom_metadata_map
    assert set(held) == {"beatsight", "model_card"} and held["model_card"] == "# Model card\n"
    found = json.loads(held["beatsight"])
    assert found["labels"] == list(taxonomy.CLASSIFIER)
    assert found["thresholds"] == pytest.approx(dict(zip(model.labels, model.thresholds, strict=True)))
    assert FeatureConfig(**found["features"]) == TINY_FEATURES
    assert found["taxonomy_digest"] == taxonomy.digest()
    assert found["input"] == {"takes": "audio", "shape": ["n", TINY_FEATURES.clip_samples]}
    assert found["outputs"] == ["scores", "velocity", "openness"]
    assert "weights" not in found


def test_equal_models_are_equal_files_without_a_trace_of_the_machine(tmp_path: Path, runtime: Any) -> None:
    for name in ("one.onnx", "two.onnx"):
        export_onnx(small_model("cnn"), tmp_path / name)
    data = (tmp_path / "one.onnx").read_bytes()
    assert data == (tmp_path / "two.onnx").read_bytes()
    assert b".py" not in data and str(Path.cwd()).encode() not in data


def test_exporting_leaves_the_model_and_the_features_as_they_were(tmp_path: Path, runtime: Any) -> None:
    model, clips = small_model("compact"), some_clips(2)
    model.features = replace(model.features, top_db=77.0)  # constants that nothing has made yet
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    export_onnx(model, tmp_path / "m.onnx")
    after = model.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not model.network.training
    assert type(clip_features(clips, model.features)) is torch.Tensor
    assert torch.isfinite(model.scores(clips)).all()


def test_a_graph_that_disagrees_is_not_written(
    tmp_path: Path, runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph with other filters than the features have stands for any fault of an exporter."""
    true_filters = export.mel_filters
    monkeypatch.setattr(export, "mel_filters", lambda *settings: true_filters(*settings) * [[1.0]] * [
        [10.0] * 100 + [1.0] * (TINY_FEATURES.n_fft // 2 - 99)
    ])  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(b"the old file")
    with pytest.raises(
        InputError, match=r"m\.onnx: not written, since onnxruntime's answers differ .* by up"
    ):
        export_onnx(small_model("cnn"), path)
    assert path.read_bytes() == b"the old file" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="an ONNX file takes audio or features, not 'video'"):
        export_onnx(small_model(), tmp_path / "m.onnx", "video")  # type: ignore[arg-type]
    for package, extra, write in (
        ("onnxscript", "onnx", export_onnx),
        ("safetensors", "safetensors", write_safetensors),
    ):
        monkeypatch.delitem(sys.modules, package, raising=False)
        monkeypatch.setattr(sys, "meta_path", [_Without(package), *sys.meta_path])
        message = rf"{package} is not installed; run: pip install 'beatsight\[{extra}\]'"
        with pytest.raises(MissingDependencyError, match=message):
            write(small_model(), tmp_path / "m.out")
    assert list(tmp_path.iterdir()) == []


class _Without:
    """An import finder by which a package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize("kind", NETWORKS)
def test_safetensors_and_back_is_the_same_file(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("safetensors")
    model = small_model(kind, BOTH_HEADS)
    model.training = {"last": {"val_loss": 0.1 + 0.2, "none": None, "nan": float("inf")}, "é": ["a", 1]}
    save_model(model, tmp_path / "m.pth")
    write_safetensors(model, tmp_path / "m.safetensors")
    write_safetensors(load_model(tmp_path / "m.pth"), tmp_path / "again.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    loaded = load_model(tmp_path / "m.safetensors")
    save_model(loaded, tmp_path / "back.pth")
    assert (tmp_path / "back.pth").read_bytes() == (tmp_path / "m.pth").read_bytes()
    clips = some_clips(2)
    assert torch.equal(loaded.scores(clips), load_model(tmp_path / "m.pth").scores(clips))


def test_safetensors_is_read_by_its_own_library(tmp_path: Path) -> None:
    numpy_reader = pytest.importorskip("safetensors.numpy")
    model = small_model("compact")
    write_safetensors(model, tmp_path / "m.safetensors")
    found = numpy_reader.load_file(tmp_path / "m.safetensors")
    for name, value in model.network.state_dict().items():
        np.testing.assert_array_equal(found[name], value.numpy())


def test_safetensors_that_cannot_be_used(tmp_path: Path) -> None:
    torch_writer = pytest.importorskip("safetensors.torch")
    path = tmp_path / "m.safetensors"
    write_safetensors(small_model("cnn"), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"m\.safetensors: is damaged or not a safetensors file"):
            load_model(path)
    weights = {"a": torch.zeros(2)}
    for metadata, why in (
        (None, "holds tensors, but no description of a beatsight model"),
        ({"beatsight": "{"}, "its description of the model is not JSON"),
        ({"beatsight": "[" * 50_000}, "its description of the model is not JSON"),
        ({"beatsight": "[]"}, "its description of the model is not a JSON object"),
        ({"beatsight": '{"format": "other"}'}, "is not a beatsight model file"),
        ({"beatsight": '{"format": "beatsight-model"}'}, "model format NoneType, this program reads 1"),
    ):
        path.write_bytes(torch_writer.save(weights, metadata))
        with pytest.raises(InputError, match=rf"m\.safetensors: {why}"):
            load_model(path)
    model = small_model("cnn")
    with torch.no_grad():
        model.network.fc.bias[0] = torch.nan
    write_safetensors(model, path)
    with pytest.raises(InputError, match=r"m\.safetensors: the weights of fc\.bias are not all finite"):
        load_model(path)
