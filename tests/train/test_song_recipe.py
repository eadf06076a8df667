"""The recipe of a transcriber: a tiny one runs from kits to a model file, and faults are named."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest
import torch

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.errors import InputError
from beatsight.models.song_model import read_song_model
from beatsight.synth.kit import make_kit
from beatsight.train.songs.recipe import cook, read_recipe, train_config

RECIPE = """
title = "tiny"
song_seconds = 4.0
songs_per_shard = 2
validation_songs = 2

[sets.train]
kits = ["kits"]
grooves = "grooves"
recordings = ["sounds"]
drums = 1
backings = 1
seed = 1

[sets.validation]
kits = ["kits"]
grooves = "grooves"
recordings = ["sounds"]
drums = 1
backings = 1
seed = 2

[[stages]]
name = "only"
sets = ["train"]
model = "tiny"
training = { steps = 2, every = 2, warmup = 1 }
mix = { frames = 200, batch = 1 }
network = { stem = [4, 4], width = 8, dilations = [1, 2] }
"""


def data(folder: Path) -> Path:
    """A kit of synthetic one-shots, one performance, one sound without drums."""
    kit = make_kit(1)
    for label in ("kick", "snare", "hihat_closed", "hihat_open", "crash", "tom_low"):
        for take in (1, 2):
            save(folder / "kits" / "tiny" / f"{label}_{take}.wav", 0.5 * kit.render(label, 0.8, None, take))
    track = mido.MidiTrack()
    for _ in range(30):
        for note in (36, 42, 38, 42):
            track.append(mido.Message("note_on", channel=9, note=note, velocity=90, time=0))
            track.append(mido.Message("note_off", channel=9, note=note, time=240))
    file = mido.MidiFile()
    file.tracks.append(track)
    (folder / "grooves").mkdir(parents=True)
    file.save(folder / "grooves" / "beat.mid")
    tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(7 * SAMPLE_RATE) / SAMPLE_RATE)
    save(folder / "sounds" / "tone.wav", tone.astype(np.float32))
    return folder


def recipe_file(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_tiny_recipe_ends_in_a_model_file_and_is_not_done_twice(tmp_path: Path) -> None:
    recipe, root = read_recipe(recipe_file(tmp_path)), data(tmp_path / "data")
    results = cook(recipe, root, tmp_path / "out", workers=1)
    path = tmp_path / "out" / "tiny.safetensors"
    model = read_song_model(path)
    assert model.network.width == 8 and set(results["tiny"]["thresholds"]) == {"KD", "SD", "TT", "HH", "CY"}
    assert model.settings.training["recipe"]["title"] == "tiny"
    first, levels = path.read_bytes(), tmp_path / "out" / "shards" / "train" / "drums" / "00000.levels.npy"
    made = levels.stat().st_mtime_ns
    cook(recipe, root, tmp_path / "out", workers=1)
    assert path.read_bytes() == first and levels.stat().st_mtime_ns == made


def test_the_recipe_of_the_shipped_model_can_be_read() -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "transcriber.toml")
    assert "transcriber" in [stage.model for stage in recipe.stages]
    assert train_config(recipe.stages[0]).network.bands == 80


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "titel"),
        ('sets = ["train"]', 'sets = ["trian"]', "cannot learn from the set 'trian'"),
        ('sets = ["train"]', 'sets = ["validation"]', "cannot learn from the set 'validation'"),
        ("[sets.validation]", "[sets.other]", "needs a set of songs named 'validation'"),
        ('name = "only"', 'name = "only"\nstart = "first"', "starts from 'first'"),
        ('sets = ["train"]', "sets = []", "needs either sets to learn from or mean_of"),
        ("drums = 1", 'drums = "many"', "drums"),
        ("[[stages]]", "[[stages", "recipe.toml"),
    ],
)
def test_a_faulty_recipe_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_recipe(recipe_file(tmp_path, RECIPE.replace(old, new, 1)))


def test_the_mean_of_stages_lies_between_them(tmp_path: Path) -> None:
    text = (
        RECIPE
        + """
[[stages]]
name = "more"
sets = ["train"]
start = "only"
training = { steps = 2, every = 2, warmup = 1, lr = 0.1 }
mix = { frames = 200, batch = 1 }
network = { stem = [4, 4], width = 8, dilations = [1, 2] }

[[stages]]
name = "mean"
mean_of = ["only", "more"]
"""
    )
    cook(read_recipe(recipe_file(tmp_path, text)), data(tmp_path / "data"), tmp_path / "out", workers=1)
    only, more, mean = (
        torch.load(tmp_path / "out" / name / "average.pth", weights_only=True)["weights"]["leave.weight"]
        for name in ("only", "more", "mean")
    )
    assert not torch.equal(only, more)
    assert torch.allclose(mean, (only + more) / 2)


def test_an_unknown_setting_and_a_path_outside_the_data_are_refused(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    odd = read_recipe(recipe_file(tmp_path, RECIPE.replace("frames = 200", "frame = 200")))
    with pytest.raises(InputError, match=r"recipe table \[mix\]"):
        train_config(odd.stages[0])
    outside = read_recipe(recipe_file(tmp_path, RECIPE.replace('["kits"]', '["../kits"]')))
    with pytest.raises(InputError, match="kits"):
        cook(outside, root, tmp_path / "out", workers=1)
