"""Small recorded kits and performances, planted: every sample's attack is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np

from beatsight.audio import io
from beatsight.synth.studio.bank import Bank, load_bank
from beatsight.synth.studio.drumset import DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig

RATE = io.SAMPLE_RATE
# Nothing drawn, nothing changed: what comes out is what lies in the files.
NEUTRAL = DrumsetConfig(
    own_kit_share=1.0, machine_share=0.0, machine_piece_share=0.0, pitch_spread=0.0, damp_share=0.0,
    level_scale=0.0, mic_spread_db=0.0, eq_spread_db=0.0,
)  # fmt: skip
NO_BUS = BusConfig(**dict.fromkeys(BusConfig.__dataclass_fields__, 0.0))
# Where the attack lies in every planted file, and how much later the overhead hears it.
ATTACK, DELAY = 120, round(0.005 * RATE)

_TOML = r"""
name = "planted"
files = '^(?P<mic>near|oh)/(?P<piece>[a-z_]+)_(?P<layer>soft|hard)_(?P<take>\d+)$'
[mics]
near = { role = "close" }
oh = { role = "overhead" }
[layers]
default = { soft = 63, hard = 127 }
[pieces]
kick = { label = "kick" }
snare = { label = "snare" }
stick = { label = "cross_stick" }
tom = { label = "tom_low" }
crash = { label = "crash" }
bow = { label = "ride_bow" }
closed = { label = "hihat_closed", openness = 0.05 }
half = { label = "hihat_half", openness = 0.4 }
open = { label = "hihat_open", openness = 0.9 }
pedal = { label = "hihat_pedal", openness = 0.0 }
"""
PIECES = ("kick", "snare", "stick", "tom", "crash", "bow", "closed", "half", "open", "pedal")
_SECONDS = {"crash": 1.2, "open": 1.2, "half": 0.5, "bow": 0.8}


def burst(seed: int, seconds: float, attack: int = ATTACK) -> np.ndarray:
    """Noise that starts at its loudest, at sample ``attack``, and decays by 60 dB."""
    n = round(seconds * RATE)
    noise = np.random.default_rng(seed).uniform(-1.0, 1.0, n) * np.exp(-6.9 * np.arange(n) / n)
    noise[0] = 1.0
    return np.concatenate([np.zeros(attack), 0.5 * noise]).astype(np.float32)


def plant_kit(folder: Path, pieces: Sequence[str] = PIECES) -> Path:
    """A kit of two microphones, two layers and two takes; the overhead hears all ``DELAY`` samples later."""
    folder.mkdir(parents=True)
    (folder / "kit.toml").write_text(_TOML, encoding="utf-8")
    for number, piece in enumerate(pieces):
        for layer in ("soft", "hard"):
            for take in (1, 2):
                audio = burst(10 * number + take, _SECONDS.get(piece, 0.25)) * (
                    0.3 if layer == "soft" else 1.0
                )
                io.save(folder / "near" / f"{piece}_{layer}_{take}.wav", audio)
                late = np.concatenate([np.zeros(DELAY, np.float32), 0.5 * audio])
                io.save(folder / "oh" / f"{piece}_{layer}_{take}.wav", late)
    return folder


def plant_bank(folder: Path, pieces: Sequence[str] = PIECES) -> Bank:
    """The kit, decoded."""
    return load_bank([plant_kit(folder, pieces)])


def plant_groove(path: Path, bars: int = 4, bpm: float = 120.0) -> Path:
    """A drummer's MIDI file: kick and snare in turn, hats in eighths with the pedal going down."""
    path.parent.mkdir(parents=True, exist_ok=True)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm)))
    track.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
    for step in range(8 * bars):
        track.append(mido.Message("control_change", channel=9, control=4, value=90 if step % 4 else 0))
        hat = 42 if step % 4 else 46
        keys = [hat] if step % 2 else [hat, 36 if step % 4 == 0 else 38]
        for key in keys:
            track.append(mido.Message("note_on", channel=9, note=key, velocity=60 + 10 * (step % 4), time=0))
        for index, key in enumerate(keys):
            time = 240 if index == 0 else 0
            track.append(mido.Message("note_off", channel=9, note=key, velocity=0, time=time))
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(track)
    file.save(path)
    return path
