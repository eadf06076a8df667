"""The transcriber's model file: written and read whole; damaged or hostile ones refused in one sentence."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from beatsight.errors import InputError
from beatsight.models.song_model import SongModel, expected_shapes, read_song_model, write_song_model
from beatsight.models.song_ostinato import OstinatoConfig
from beatsight.models.song_presence import PresenceConfig
from beatsight.models.song_repetition import RepetitionConfig
from beatsight.transcription.engine import Engine
from song_models import SMALL, random_levels, random_model

MODEL = random_model()


def written(path: Path, model: SongModel = MODEL) -> Path:
    write_song_model(model, path)
    return path


def with_settings(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """The model with its description changed as nobody checks it."""
    said = json.loads(msgspec.json.encode(MODEL.settings))
    change(said)
    weights = {name: value.astype(np.float16) for name, value in MODEL.weights.items()}
    path.write_bytes(save(weights, metadata={"beatsight": json.dumps(said)}))
    return path


def with_weights(path: Path, **changed: np.ndarray | None) -> Path:
    weights = {**MODEL.weights, **{name.replace("__", "."): value for name, value in changed.items()}}
    kept = {name: value.astype(np.float16) for name, value in weights.items() if value is not None}
    path.write_bytes(save(kept, metadata={"beatsight": msgspec.json.encode(MODEL.settings).decode()}))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        MODEL.settings, offsets_ms={"KD": -8.0}, velocity_curves={"SD": [(0.0, 0.1), (1.0, 0.9)]},
        openness_curve=[(0.2, 0.0), (0.8, 1.0)], second_thresholds={"crash": 0.5}, training={"hours": 9},
        song_velocities={"KD": [0.1, 0.5, 1.0, 0.0, 0.01, 0.0, -0.01]}, listening_thresholds={"KD": 0.4},
        repetition=RepetitionConfig(up=0.7, down=0.1, fills=("TT", "CY"), fills_down=0.0),
        ostinato=OstinatoConfig(groups=("KD",), up=0.3),
        presence=PresenceConfig(unsure=0.2, sure=0.4, down=1.0),
    )  # fmt: skip
    model = replace(MODEL, settings=settings)
    read = read_song_model(written(tmp_path / "m.safetensors", model))
    assert msgspec.json.encode(read.settings) == msgspec.json.encode(settings)
    assert (read.network, read.frames) == (SMALL, MODEL.frames)
    assert set(read.weights) == set(expected_shapes(SMALL))
    levels = random_levels(40)
    np.testing.assert_allclose(Engine(read).activations(levels), Engine(MODEL).activations(levels), atol=0.01)
    assert (
        written(tmp_path / "n.safetensors", model).read_bytes() == (tmp_path / "m.safetensors").read_bytes()
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda said: said.update(format="beatsight-model"), "is a 'beatsight-model', not a transcriber"),
        (lambda said: said.update(format_version=2, program_version="9.0"), "by a newer beatsight (9.0)"),
        (lambda said: said["groups"].pop(), "its labels do not fit the network's outputs"),
        (lambda said: said["articulations"].append("kick"), "its labels do not fit the network's outputs"),
        (lambda said: said.update(groups=[]), "it has no groups"),
        (
            lambda said: said.update(articulations=[a for a in said["articulations"] if a[:4] != "tom_"]),
            "TT has no articulation",
        ),
        (lambda said: said["articulations"].__setitem__(0, "rimshot"), "'rimshot' is no output of a"),
        (lambda said: said["articulations"].__setitem__(0, "gong"), "'gong' is no output of a transcriber"),
        (lambda said: said["groups"].__setitem__(0, "BD"), "'BD' is no output of a transcriber"),
        (lambda said: said["thresholds"].pop("KD"), "needs one threshold for each of KD, SD, TT, HH, CY"),
        (lambda said: said["thresholds"].update(KD=float("nan")), "a number is out of range"),
        (lambda said: said.update(level_spread_db=0.0), "a number is out of range"),
        (lambda said: said.update(song_velocities={"KD": [1.0] * 6}), "of KD needs 7 numbers, not 6"),
        (
            lambda said: said.update(song_velocities={"KD": [float("inf")] * 7}),
            "a number is out of range",
        ),
        (lambda said: said.update(song_velocities={"XX": [1.0] * 7}), "names 'XX', which is no group of"),
        (lambda said: said.update(repetition={"up": -5.0}), "repetition needs shares from 0 to 1"),
        (lambda said: said.update(repetition={"fills": ["XX"]}), "repetition names 'XX', which is no group"),
        (lambda said: said.update(presence={"sure": 0.5}), "presence needs 0 <= unsure < sure <= 1"),
        (lambda said: said.update(presence={"down": -1.0}), "presence needs 0 <= unsure < sure <= 1"),
        (lambda said: said.update(ostinato={"up": 1.5}), "ostinato needs a share from 0 to 1"),
        (lambda said: said.update(ostinato={"groups": ["ride"]}), "ostinato names 'ride', which is no group"),
        (lambda said: said.update(listening_thresholds={"KD": float("inf")}), "a number is out of range"),
        (
            lambda said: said.update(level_mean_db="loud"),
            "description of the transcriber is damaged: Expected",
        ),
        (lambda said: said["network"].update(bands=17), "tensor 'enter.weight' has shape"),
        (
            lambda said: said["network"].update(bands="many"),
            "settings are not those of a transcriber: Expected",
        ),
        (lambda said: said["network"].update(kernel=2), "network setting kernel must be odd, not 2"),
        (lambda said: said["network"].update(heads=3), "unknown setting 'heads'"),
        (lambda said: said["network"].update(width=0), "the network's sizes are out of range"),
        (lambda said: said["network"].update(dilations=[1, 2, 10**12]), "sizes are out of range"),
        (
            lambda said: said["network"].update(lookahead="x"),
            "settings are not those of a transcriber: Expected",
        ),
        (lambda said: said["frames"].update(n_mels=20), "20 bands do not fit a network for 16"),
        (lambda said: said["frames"].update(hop_length=0), "frame setting hop_length must be a positive"),
        (lambda said: said["frames"].update(n_fft=1 << 30), "the frames are out of range"),
    ],
)
def test_a_description_that_does_not_fit(tmp_path: Path, change: Callable[[Any], Any], why: str) -> None:
    path = with_settings(tmp_path / "m.safetensors", change)
    with pytest.raises(InputError) as caught:
        read_song_model(path)
    assert str(caught.value).startswith(f"{path}: ") and why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            {"leave__bias": np.full(SMALL.outputs, np.nan)},
            "tensor 'leave.bias' holds a value that is no number",
        ),
        ({"leave__bias": np.zeros(3)}, r"tensor 'leave.bias' has shape (3,), not (32,)"),
        ({"leave__bias": None}, "tensor 'leave.bias' is missing or does not belong to the network"),
        ({"more": np.zeros(3)}, "tensor 'more' is missing or does not belong to the network"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    path = with_weights(tmp_path / "m.safetensors", **changed)
    with pytest.raises(InputError) as caught:
        read_song_model(path)
    assert str(caught.value) == f"{path}: {why}"


@given(data=st.data())
@settings(max_examples=40)
def test_a_file_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = written(tmp_path_factory.mktemp("cut") / "m.safetensors")
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(InputError, match=r"is damaged or not a safetensors file$"):
        read_song_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a model",
        b"PK\x03\x04" + bytes(100),
        pickle.dumps({"weights": [1]}),
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"{]",
        struct.pack("<Q", 99_000_000) + b" " * 1000,
    ],
)
def test_what_is_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.safetensors: is damaged or not a safetensors file$"):
        read_song_model(path)


def test_files_that_are_no_transcribers(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"m\.safetensors: no such model file$"):
        read_song_model(path)
    path.write_bytes(save({"a": np.zeros(2, np.float32)}))
    with pytest.raises(InputError, match=r"holds tensors, but no description of a transcriber$"):
        read_song_model(path)
    for text in ("[", "[]", "null", "{" * 100_000):
        path.write_bytes(save({"a": np.zeros(2, np.float32)}, metadata={"beatsight": text}))
        with pytest.raises(InputError, match="its description of the transcriber is damaged"):
            read_song_model(path)
    with path.open("wb") as stream:  # a hole: nothing is written to the disk
        stream.truncate((1 << 28) + 1)
    with pytest.raises(InputError, match=r"is too large for a transcriber \(268435457 bytes\)$"):
        read_song_model(path)
