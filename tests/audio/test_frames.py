"""Frames of a song: the values of librosa, and the same bits however the audio arrives."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.frames import FLOOR_DB, FrameConfig, LevelStream, song_levels, stream_levels
from beatsight.errors import InputError

RNG = np.random.default_rng(5)


def noise(samples: int) -> np.ndarray:
    return RNG.normal(0.0, 0.1, samples).astype(np.float32)


def test_levels_are_those_of_librosa() -> None:
    config, audio = FrameConfig(), noise(44_100)
    power = librosa.feature.melspectrogram(
        y=np.pad(audio, config.n_fft // 2), sr=config.sample_rate, n_fft=config.n_fft,
        hop_length=config.hop_length, n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max,
        center=False,
    )  # fmt: skip
    expected = 10.0 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10))).T
    found = song_levels(audio, config)
    assert found.shape == (config.frames_of(len(audio)), config.n_mels)
    assert np.abs(found[: len(expected)] - expected).max() < 1e-3


def test_a_click_is_loudest_in_the_frame_that_is_centred_on_it() -> None:
    config, audio = FrameConfig(), np.zeros(44_100, np.float32)
    audio[30 * config.hop_length] = 1.0
    assert int(song_levels(audio, config).mean(axis=1).argmax()) == 30


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 30_000), st.lists(st.integers(1, 9_000), min_size=1, max_size=6))
def test_pieces_of_any_size_give_the_same_bits(samples: int, sizes: list[int]) -> None:
    config, audio = FrameConfig(), noise(samples)
    pieces, start = [], 0
    while start < samples:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(audio[start : start + size])
        start += size
    stream = LevelStream(config)
    found = np.concatenate(list(stream_levels(pieces, stream)))
    assert np.array_equal(found, song_levels(audio, config))
    assert stream.samples == samples


def test_silence_lies_on_the_floor() -> None:
    assert np.allclose(song_levels(np.zeros(5_000, np.float32), FrameConfig()), FLOOR_DB)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"hop_length": 0}, "hop_length must be a positive"), ({"f_max": 30_000.0}, "f_max <= sample_rate / 2")],
)
def test_settings_without_sense_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrameConfig(**settings)  # type: ignore[arg-type]
