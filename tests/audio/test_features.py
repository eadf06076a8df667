"""The log-mel clip equals librosa's; clips are padded, never shifted; one clip or many give the same bits."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.features import FeatureConfig, clip_span, cut_clips, log_mel, mel_filters, mel_power
from beatsight.errors import InputError

CONFIGS = [
    FeatureConfig(),
    FeatureConfig(n_fft=1024, hop_length=441, n_mels=40, frames=20, pre_frames=5, f_min=0.0, f_max=22_050.0),
    FeatureConfig(sample_rate=22_050, n_fft=512, hop_length=100, n_mels=64, frames=33, f_max=8e3, top_db=60),
]  # fmt: skip


def clips(config: FeatureConfig, n: int = 3) -> np.ndarray:
    """Noise bursts of different level and decay over a tone."""
    rng = np.random.default_rng(1)
    t = np.arange(config.clip_samples) / config.sample_rate
    return np.stack(
        [
            10.0**-i * rng.standard_normal(len(t)) * np.exp(-t / 0.02) + 0.01 * np.sin(2 * np.pi * 440 * t)
            for i in range(n)
        ]
    )


def by_librosa(audio: np.ndarray, config: FeatureConfig) -> np.ndarray:
    power = librosa.feature.melspectrogram(
        y=audio, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length,
        n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max, center=False, dtype=np.float64,
    )  # fmt: skip
    return librosa.power_to_db(power, ref=np.max, top_db=config.top_db) / config.top_db + 1.0


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-4), (np.float64, 1e-6)])
def test_equals_librosa(config: FeatureConfig, dtype: type, tolerance: float) -> None:
    audio: np.ndarray = clips(config).astype(dtype)
    ours = log_mel(torch.from_numpy(audio), config).numpy()
    assert (ours.shape, ours.dtype) == ((3, config.n_mels, config.frames), dtype)
    for mine, clip in zip(ours, audio, strict=True):
        np.testing.assert_allclose(mine, by_librosa(clip.astype(np.float64), config), atol=tolerance)


@pytest.mark.parametrize("config", CONFIGS)
def test_filters_equal_librosa(config: FeatureConfig) -> None:
    expected = librosa.filters.mel(
        sr=config.sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.f_min, fmax=config.f_max,
        dtype=np.float64,
    )  # fmt: skip
    ours = mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_batched_is_single_bit_for_bit() -> None:
    config = FeatureConfig()
    audio = torch.from_numpy(clips(config, 5).astype(np.float32))
    together = log_mel(audio, config)
    for i in range(5):
        assert torch.equal(log_mel(audio[i], config), together[i])
        assert torch.equal(log_mel(audio[i : i + 2], config), together[i : i + 2])


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-20.0, 20.0))
def test_level_does_not_change_features(gain_db: float) -> None:
    config = CONFIGS[1]
    audio = torch.from_numpy(clips(config, 1).astype(np.float32))
    louder = log_mel(audio * 10.0 ** (gain_db / 20.0), config)
    torch.testing.assert_close(louder, log_mel(audio, config), atol=1e-4, rtol=0)


def test_silence_is_finite_and_within_range() -> None:
    features = log_mel(torch.zeros(1, FeatureConfig().clip_samples), FeatureConfig())
    assert torch.isfinite(features).all()
    assert features.min() >= 0 and features.max() <= 1


@pytest.mark.parametrize("onset", [0, 1, 5_119, 20_000, 39_998, 39_999])
def test_a_click_at_the_onset_is_at_its_place_in_the_clip(onset: int) -> None:
    config = FeatureConfig()
    audio = np.zeros(40_000, np.float32)
    audio[onset] = 0.5
    clip = cut_clips(audio, np.array([onset]), config)
    assert clip.shape == (1, config.clip_samples)
    assert np.flatnonzero(clip[0]).tolist() == [config.pre_samples]
    # The frame whose window is centred on the click holds most of its energy.
    energy = mel_power(torch.from_numpy(clip), config)[0].sum(0)
    assert int(energy.argmax()) == config.pre_frames


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 3_000), data=st.data())
def test_clips_hold_the_audio_of_their_span_and_zeros_elsewhere(length: int, data: st.DataObject) -> None:
    config = FeatureConfig(n_fft=64, hop_length=16, n_mels=4, frames=8, pre_frames=2, f_min=0.0)
    onset = data.draw(st.integers(0, length - 1))
    audio = np.arange(1, length + 1, dtype=np.float32)
    start, end = clip_span(onset, config)
    expected = [audio[i] if 0 <= i < length else 0.0 for i in range(start, end)]
    assert cut_clips(audio, np.array([onset]), config)[0].tolist() == expected


@pytest.mark.parametrize(
    ("settings_", "why"),
    [
        ({"n_fft": 0}, "n_fft must be positive, not 0"),
        ({"hop_length": -1}, "hop_length must be positive"),
        ({"top_db": float("nan")}, "top_db must be positive, not nan"),
        ({"n_fft": 2048.0}, "n_fft must be a whole number, not 2048.0"),
        ({"pre_frames": 128}, r"pre_frames must lie in 0\.\.127"),
        ({"f_min": 500.0, "f_max": 400.0}, "need 0 <= f_min < f_max <= sample_rate / 2"),
        ({"f_max": 22_051.0}, "need 0 <= f_min < f_max <= sample_rate / 2"),
    ],
)
def test_settings_that_make_no_sense(settings_: dict[str, float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        FeatureConfig(**settings_)  # type: ignore[arg-type]
