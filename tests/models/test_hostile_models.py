"""Model files that are damaged or meant to harm: refused in one sentence, no code run, no memory taken."""

from __future__ import annotations

import io
import os
import pickle
import random
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import BOTH_HEADS, content, small_model

from beatsight.errors import InputError
from beatsight.models.checkpoint import load_model, read_weights, save_model
from beatsight.models.content import content_of

Change = Callable[[dict[str, Any]], Any]


class Payload:
    """Unpickling this makes a folder: proof that code was run."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_model(small_model("compact", BOTH_HEADS), tmp_path / "model.pth")
    return tmp_path / "model.pth"


@pytest.mark.parametrize("kind", ["torch", "weights", "pickle"])
def test_code_in_a_file_is_not_run(tmp_path: Path, kind: str) -> None:
    target, path = tmp_path / "pwned", tmp_path / "evil.pth"
    if kind == "torch":
        torch.save({"format": "beatsight-model", "weights": Payload(target)}, path)
    elif kind == "weights":
        torch.save({"conv1.weight": Payload(target)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(target), protocol=2))
    for read in (load_model, read_weights):
        with pytest.raises(InputError, match=r"evil\.pth: is not a model file, or holds code that will not"):
            read(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(Payload(target)))
    assert target.exists()  # the payload works, where it is let


def in_config(**values: Any) -> Change:
    return lambda found: {**found, "config": {**found["config"], **values}}


def in_features(**values: Any) -> Change:
    return lambda found: {**found, "features": {**found["features"], **values}}


def in_weights(**values: Any) -> Change:
    plain = {name.replace("__", "."): value for name, value in values.items()}
    return lambda found: {**found, "weights": {**found["weights"], **plain}}


def without(name: str) -> Change:
    return lambda found: {key: value for key, value in found.items() if key != name}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: {**c, "format_version": 9}, "model format 9, this program reads 1"),
        (lambda c: {**c, "format_version": torch.ones(2)}, "model format Tensor, this program reads 1"),
        (lambda c: {**c, "taxonomy_digest": "0" * 64}, "was trained with another label taxonomy"),
        (lambda c: {**c, "taxonomy_digest": torch.ones(2)}, "was trained with another label taxonomy"),
        (lambda c: {**c, "architecture": "ResNet"}, "unknown architecture 'ResNet'; known: Drum"),
        (lambda c: {**c, "architecture": ["x"]}, "unknown architecture list"),
        (without("features"), "the model file lacks features"),
        (without("weights"), "the model file lacks weights"),
        (lambda c: {**c, "thresholds": {}}, r"lacks thresholds\.kick"),
        (lambda c: {**c, "config": None}, "config of the model file is not a dictionary by name"),
        (lambda c: {**c, "config": {3: 4}}, "config of the model file is not a dictionary by name"),
        (in_config(dropout=3), "dropout must lie in 0..1, not 3"),
        (in_config(dropout=float("nan")), "dropout must lie in 0..1, not nan"),
        (in_config(depth=3), "config has a setting that is not known: depth"),
        (in_config(heads=["loudness"]), r"heads are some of velocity, openness, in this order, not \['loud"),
        (in_config(heads=["openness", "velocity"]), "in this order, not"),
        (in_config(heads="velocity"), r"config\.heads: expected `array`, got `str`"),
        (in_config(heads=["velocity"]), r"the weights do not fit the network they are stored with \(fc\."),
        (in_config(width=4), r"the weights do not fit the network .*\(block1\."),
        (in_config(width=3.0), r"config\.width: expected `int`, got `float`"),
        (in_config(width=True), r"config\.width: expected `int`, got `bool`"),
        (in_config(width=10**9), "needs width from 1 to 65536, not 1000000000"),
        (in_config(width=10**30), "needs width from 1 to 65536|expected `int`"),
        (in_config(width=60_000), "the weights do not fit"),
        (in_config(frames=10**9), "needs frames from 16 to 65536"),
        (in_config(frames=60_000, mels=60_000), "the network takes clips of 60000 bands and 60000 frames"),
        (in_features(frames=32), "takes clips of 16 bands and 16 frames, the features give 16 and 32"),
        (in_features(n_fft=0.5), r"features\.n_fft: expected `int`, got `float`"),
        (in_features(n_fft=10**9), r"ask for clips too large to make \(samples 1000003840\)"),
        (in_features(sample_rate=10**9), r"ask for clips too large to make \(sample_rate"),
        (in_features(top_db=float("inf")), r"features\.top_db must be a finite number, not inf"),
        (in_features(fade_after_db=float("inf")), r"features\.fade_after_db must be a finite number"),
        (in_features(f_min="low"), r"features\.f_min: expected `float`, got `str`"),
        (lambda c: {**c, "labels": ["kick"] * 12}, "do not fit its network of 12 classes"),
        (lambda c: {**c, "labels": c["labels"][:3]}, "do not fit its network of 12 classes"),
        (lambda c: {**c, "labels": ["gong", *c["labels"][1:]]}, "a label that the classifier does not know"),
        (lambda c: {**c, "labels": 3}, "labels of the model file is not a list of names"),
        (lambda c: {**c, "activation": "relu"}, "activation must be one of sigmoid, softmax, not 'relu'"),
        (lambda c: {**c, "activation": torch.ones(2)}, "activation of the model file must be text, not Tens"),
        (lambda c: {**c, "thresholds": dict.fromkeys(c["labels"], float("nan"))}, "not a usable number"),
        (lambda c: {**c, "thresholds": dict.fromkeys(c["labels"], "0.5")}, r"kick of .* must be a number"),
        (lambda c: {**c, "thresholds": dict.fromkeys(c["labels"], 10**400)}, "too large a number"),
        (lambda c: {**c, "calibration": {"temperature": 0.0}}, "not a usable number"),
        (lambda c: {**c, "calibration": {"temperature": 1e-300}}, "not a usable number"),
        (lambda c: {**c, "training": 3}, "training of the model file is not a dictionary"),
        (lambda c: {**c, "training": {"a": torch.ones(1)}}, r"training\.a: holds a Tensor where"),
        (lambda c: {**c, "weights": [1]}, "weights of the model file is not a dictionary by name"),
        (in_weights(fc__bias="x"), r"the weights of fc\.bias are not a plain tensor"),
        (in_weights(fc__bias=torch.zeros(25).to_sparse()), r"the weights of fc\.bias are not a plain tensor"),
        (in_weights(fc__bias=torch.zeros(25, device="meta")), r"fc\.bias are not a plain tensor"),
        (in_weights(fc__bias=torch.zeros(25, dtype=torch.complex64)), r"fc\.bias are not a plain tensor"),
        (in_weights(fc__bias=torch.zeros(25, dtype=torch.int64)), r"fc\.bias are not of a number type that"),
        (in_weights(fc__bias=torch.zeros(24)), r"do not fit the network .* \(fc\.bias\)"),
        (in_weights(more=torch.zeros(1)), r"do not fit the network .* \(more\)"),
        (in_weights(fc__bias=torch.full((25,), torch.nan)), r"weights of fc\.bias are not all finite"),
        (in_weights(fc__bias=torch.full((25,), 1e300, dtype=torch.float64)), r"too large for single precisi"),
        (in_weights(block1__1__running_var=torch.full((3,), -1.0)), r"running_var hold a negative variance"),
        (lambda c: {"format": "other", "x": 1}, "is not a beatsight model file"),
        (lambda c: {"format": torch.ones(2), "x": 1}, "is not a beatsight model file"),
        (lambda c: [1, 2], "holds no dictionary"),
        (lambda c: {}, "holds no dictionary"),
        (lambda c: {"a": torch.zeros(2)}, "bare state dict that does not fit"),
    ],
)  # fmt: skip
def test_contents_that_cannot_be_used_are_named(saved: Path, change: Change, why: str) -> None:
    torch.save(change(content(saved)), saved)
    with pytest.raises(InputError, match=why) as caught:
        load_model(saved)
    assert str(caught.value).startswith(f"{saved}: ")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("size", [10**9, 60_000])
def test_a_network_of_absurd_size_takes_no_memory(tmp_path: Path, size: int) -> None:
    """Channels ask for gigabytes, with weights of their shape: one value, called a tensor of any shape."""
    path = tmp_path / "m.pth"
    save_model(small_model("cnn"), path)
    found = content(path)
    found["config"]["channels"] = [2, 3, size, size]
    wide = torch.zeros(1).expand(min(size, 60_000), min(size, 60_000), 3, 3)
    found["weights"]["conv4.0.weight"] = wide
    torch.save(found, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (load_model, read_weights):
        with pytest.raises(InputError, match=r"m\.pth: its weights claim to be larger than the file"):
            read(path)
    del found["weights"]["conv4.0.weight"]
    torch.save(found, path)
    with pytest.raises(InputError, match=r"needs channels from 1 to 65536|the weights do not fit"):
        load_model(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_an_archive_that_unpacks_to_more_than_itself_is_refused(tmp_path: Path) -> None:
    whole, path = io.BytesIO(), tmp_path / "bomb.pth"
    torch.save({"a": torch.zeros(3_000_000)}, whole)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in archive.infolist():
            packed.writestr(member.filename, archive.read(member))
    assert path.stat().st_size < 100_000
    assert torch.load(path, weights_only=True)["a"].numel() == 3_000_000  # torch alone would unpack it
    with pytest.raises(InputError, match=r"bomb\.pth: is a compressed archive, which no model file is"):
        load_model(path)


@pytest.mark.parametrize("data", [b"", b"hello world, no model", bytes(100), b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_models(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"m\.pth: is (not a model|damaged or not a model)"):
        load_model(path)
    for missing in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(InputError, match="no such model file"):
            load_model(missing)


def test_every_truncation_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 150)):
        saved.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"model\.pth: is (damaged or )?not a model file"):
            load_model(saved)


def test_damaged_bytes_never_give_another_error(saved: Path) -> None:
    whole = saved.read_bytes()
    draw = random.Random(0)
    for number in range(250):
        data = bytearray(whole)
        first = (0, draw.randrange(len(data)), max(0, len(data) - 4_000))[number % 3]
        for _ in range(4):
            data[draw.randrange(first, min(len(data), first + 4_000))] = draw.randrange(256)
        saved.write_bytes(bytes(data))
        try:
            load_model(saved)
        except InputError as error:
            assert str(error).startswith(f"{saved}: ")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["kick", "sigmoid", "CompactClassifier", torch.ones(2), torch.tensor(1)])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@lru_cache(maxsize=1)
def good_file() -> bytes:
    stream = io.BytesIO()
    torch.save(content_of(small_model("compact", BOTH_HEADS)), stream)
    return stream.getvalue()


@settings(max_examples=150)
@given(data=st.data())
def test_wrong_types_anywhere_are_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "drawn.pth"
    found = torch.load(io.BytesIO(good_file()), weights_only=True)
    keys = [(name, None) for name in found]
    keys += [(name, key) for name in ("config", "features", "thresholds", "weights") for key in found[name]]
    for name, key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True)):
        value = data.draw(VALUES)
        if key is None:
            found[name] = value
        elif isinstance(found[name], dict):
            found[name][key] = value
    torch.save(found, path)
    try:
        model = load_model(path)
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    else:
        scores = model.scores_of_features(torch.rand(2, 16, 16))
        assert scores.shape == (2, 12) and torch.isfinite(scores).all()


def test_the_program_ends_with_one_sentence(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:1000])
    command = [sys.executable, "-m", "beatsight", "transcribe", str(saved), "--ml-model", str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
