"""SoundFonts: a file that is built here is read back as it was meant, and damaged ones are named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.io import SAMPLE_RATE
from beatsight.errors import InputError
from beatsight.synth.soundfont import read_soundfont
from beatsight.synth.studio.soundfonts import soundfont_instruments, soundfont_pieces
from planted_soundfonts import soundfont


def test_presets_and_zones_are_as_they_were_written(tmp_path: Path) -> None:
    font = read_soundfont(soundfont(tmp_path / "a.sf2"))
    assert [(p.name, p.bank, p.program) for p in font.presets] == [("Organ", 0, 16), ("Kit", 128, 0)]
    loud, soft = font.presets[1].zones
    assert (loud.keys, loud.velocities, loud.sample, loud.root) == ((38, 38), (64, 127), "loud", 38.0)
    assert soft.gain_db == pytest.approx(-4.0)
    assert np.abs(font.audio(loud)).max() == pytest.approx(2 * np.abs(font.audio(soft)).max(), rel=0.01)
    assert font.presets[0].zones[0].loop == (0, 22000)


def test_a_drum_preset_is_a_kit_with_layers(tmp_path: Path) -> None:
    (piece,) = soundfont_pieces(soundfont(tmp_path / "my kit.sf2"))
    assert (piece.kit, piece.role) == ("my kit/Kit", "snare")
    soft, loud = piece.takes
    assert soft.velocity == pytest.approx(32 / 127) and loud.velocity == pytest.approx(95.5 / 127)
    assert loud.scales["mic0"] == pytest.approx(2 * 10 ** (4 / 20) * soft.scales["mic0"], rel=0.02)


def test_a_looped_note_sounds_for_seconds_at_its_pitch(tmp_path: Path) -> None:
    (organ,) = soundfont_instruments(soundfont(tmp_path / "a.sf2"))
    audio = organ.note(69, 2.5)
    spectrum = np.abs(np.fft.rfft(audio[SAMPLE_RATE : 2 * SAMPLE_RATE]))
    assert len(audio) == round(2.5 * SAMPLE_RATE)
    assert int(spectrum.argmax()) == pytest.approx(441, abs=2)


def test_damage_is_named(tmp_path: Path) -> None:
    path = soundfont(tmp_path / "a.sf2")
    whole = path.read_bytes()
    for content, message in (
        (b"", "cannot be read"),
        (b"RIFFxxxxWAVE" + bytes(40), "is not a SoundFont 2"),
        (whole[: len(whole) // 2], "is truncated"),
        (whole.replace(b"shdr", b"shdx"), "has no 'shdr' chunk"),
        (whole.replace(struct.pack("<HH", 41, 1), struct.pack("<HH", 41, 9)), "has no instrument 9"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_soundfont(path)
