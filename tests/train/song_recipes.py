"""A tiny recipe of a transcriber, and the data that it needs, made in seconds."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.synth.kit import make_kit

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
