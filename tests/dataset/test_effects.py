"""Effects against what they should do to sounds whose pitch, length and decay are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from beatsight.audio.features import FeatureConfig, mel_centres, mel_power
from beatsight.dataset.effects import (
    add_noise,
    add_room,
    on_some,
    saturate,
    shift_pitch,
    stretch_time,
    through_codec,
)

CONFIG = FeatureConfig()
RATE = CONFIG.sample_rate
AT = (np.arange(CONFIG.clip_samples) - CONFIG.pre_samples) / RATE


def power_of(*sounds: np.ndarray) -> torch.Tensor:
    return mel_power(torch.from_numpy(np.stack(sounds)).float(), CONFIG)


def tone(hz: float, decay_s: float = np.inf) -> np.ndarray:
    return np.sin(2 * np.pi * hz * AT) * (AT >= 0) * np.exp(-np.maximum(AT, 0) / decay_s)


def peak_hz(power: torch.Tensor) -> float:
    """The centre of gravity around the loudest band."""
    profile = power.mean(dim=-1).numpy()
    top = int(profile.argmax())
    near = slice(max(0, top - 2), top + 3)
    return float((mel_centres(CONFIG)[near] * profile[near]).sum() / profile[near].sum())


@pytest.mark.parametrize("semitones", [-2.0, -0.3, 0.7, 2.0])
@pytest.mark.parametrize("hz", [400.0, 2500.0])
def test_pitch_moves_a_tone_by_that_many_semitones(hz: float, semitones: float) -> None:
    factor = 2.0 ** (semitones / 12.0)
    shifted = shift_pitch(power_of(tone(hz)), torch.tensor([factor]), CONFIG)[0]
    expected = peak_hz(power_of(tone(hz * factor))[0])
    assert peak_hz(shifted) == pytest.approx(expected, rel=0.02)
    # The time axis is left alone: silence before the onset stays.
    assert shifted[:, : CONFIG.pre_frames - 10].max() < 1e-3 * shifted.max()


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_stretching_lengthens_the_decay_and_keeps_onset_and_pitch(factor: float) -> None:
    decay_s = 0.05

    def slope(power: torch.Tensor) -> float:
        level = 10 * np.log10(power.sum(dim=0).numpy()[CONFIG.pre_frames + 12 : -10])
        return float(np.polyfit(np.arange(len(level)), level, 1)[0])

    before = power_of(tone(800, decay_s))
    after = stretch_time(before, torch.tensor([factor]), CONFIG)
    assert slope(after[0]) == pytest.approx(slope(before[0]) / factor, rel=0.02)
    assert peak_hz(after[0]) == pytest.approx(peak_hz(before[0]), rel=0.005)
    onset = CONFIG.pre_frames
    torch.testing.assert_close(after[:, :, onset], before[:, :, onset])


def test_a_room_decays_by_sixty_decibels_in_its_time_and_has_its_level() -> None:
    power = torch.zeros(1, 4, CONFIG.frames)
    power[:, 2, 10] = 1.0
    frame_s = CONFIG.hop_length / RATE
    wet = add_room(power, torch.tensor([0.1]), torch.tensor([0.5]), CONFIG)[0, 2]
    assert wet[10] == 1.0 and (wet[:10] == 0).all()
    fall_db = 10 * float(torch.log10(wet[20] / wet[40]))
    assert fall_db == pytest.approx(60 * 20 * frame_s / 0.1, rel=1e-3)
    assert float(wet[11:].sum()) == pytest.approx(0.5, rel=1e-3)


def test_saturation_keeps_peaks_and_lifts_what_is_soft() -> None:
    audio = torch.tensor([[0.0, 0.1, -0.1, 1.0, -1.0]]).repeat(2, 1)
    out = saturate(audio.clone(), torch.tensor([0.0, 9.0]))
    torch.testing.assert_close(out[0], audio[0])
    torch.testing.assert_close(out[1], torch.tensor([0.0, 1 / 1.9, -1 / 1.9, 1.0, -1.0]))


def test_noise_has_its_level_and_silent_settings_add_none() -> None:
    audio = torch.zeros(3, 20_000)
    out = add_noise(audio, torch.tensor([0.0, 0.005, 0.1]), torch.tensor([5, 5, 900]))
    assert (out[0] == 0).all()
    np.testing.assert_allclose(out.std(dim=1).numpy(), [0, 0.005, 0.1], rtol=0.03)
    assert abs(np.corrcoef(out[1], out[2])[0, 1]) < 0.05


def test_a_codec_changes_little_and_moves_nothing() -> None:
    sounds = torch.from_numpy(np.stack([0.5 * tone(300, 0.03), 0.9 * tone(1500, 0.05)])).float()
    coded = through_codec(sounds, RATE)
    assert coded.shape == sounds.shape
    assert 1e-5 < float((coded - sounds).abs().max()) < 0.3
    for before, after in zip(sounds.numpy(), coded.numpy(), strict=True):
        lags = np.correlate(after[5000:9000], before[5000 - 50 : 9000 + 50], "valid")
        assert lags.argmax() == 50


def test_an_effect_on_some_leaves_the_others() -> None:
    batch = torch.ones(4, 2, 3)
    out = on_some(batch, np.array([1, 3]), lambda x, k: x * k[:, None, None], np.array([9.0, 2.0, 9.0, 5.0]))
    assert out[:, 0, 0].tolist() == [1.0, 2.0, 1.0, 5.0]
