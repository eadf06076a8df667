"""Instruments of the backing: pitches by file name, notes at the right frequency, faults by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.errors import InputError
from beatsight.synth.studio.instruments import pitch_of, play_instruments, read_instruments


def tone(path: Path, freq_hz: float, seconds: float = 1.0) -> None:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    save(path, (0.3 * np.sin(2 * np.pi * freq_hz * time)).astype(np.float32))


def loudest_hz(audio: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 18))
    return float(spectrum.argmax() * SAMPLE_RATE / (1 << 18))


@pytest.mark.parametrize(
    ("name", "pitch"),
    [("C4", 60), ("A4", 69), ("As4", 70), ("A#4", 70), ("Bb4", 70), ("c-1", 0), ("H4", None)],
)
def test_a_name_is_a_pitch(name: str, pitch: int | None) -> None:
    assert pitch_of(name) == pitch


def test_notes_that_are_not_there_are_played_from_the_nearest(tmp_path: Path) -> None:
    tone(tmp_path / "flute" / "A4.wav", 440.0)
    tone(tmp_path / "flute" / "readme.wav", 440.0)
    instruments, skipped, _ = read_instruments([tmp_path])
    assert [i.name for i in instruments] == ["flute"] and skipped[0][0].name == "readme.wav"
    for pitch in (69, 71, 64):
        expected = 440.0 * 2 ** ((pitch - 69) / 12)
        assert loudest_hz(instruments[0].note(pitch, 0.5)) == pytest.approx(expected, rel=0.003)


def test_a_band_of_two_plays_the_whole_song_and_the_same_again(tmp_path: Path) -> None:
    tone(tmp_path / "bass" / "E1.wav", 41.2)
    tone(tmp_path / "organ" / "C4.wav", 261.6)
    instruments, _, _ = read_instruments([tmp_path])
    one, two = (play_instruments(np.random.default_rng(3), instruments, 4 * SAMPLE_RATE) for _ in range(2))
    assert np.array_equal(one, two) and np.isfinite(one).all()
    assert np.abs(one[: 2 * SAMPLE_RATE]).max() > 0 and np.abs(one[2 * SAMPLE_RATE :]).max() > 0


def test_a_folder_without_notes_is_refused(tmp_path: Path) -> None:
    tone(tmp_path / "loop.wav", 100.0)
    with pytest.raises(InputError, match="holds no instrument"):
        read_instruments([tmp_path])
    with pytest.raises(InputError, match="no such folder"):
        read_instruments([tmp_path / "none"])
