"""The synthetic kit: strokes start at their attack, sound as asked, and never change for a seed."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError, UsageError
from beatsight.synth.kit import Kit, make_kit
from beatsight.synth.tones import SAMPLE_RATE
from beatsight.taxonomy import CANONICAL, PRODUCTION, is_hihat

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module")
def kits() -> dict[int, Kit]:
    return {seed: make_kit(seed) for seed in SEEDS}


def centroid_hz(audio: np.ndarray) -> float:
    """Amplitude-weighted mean frequency of the first 100 ms (librosa, one frame)."""
    n = 4096
    head = np.pad(audio[:n], (0, max(0, n - len(audio))))
    return float(
        librosa.feature.spectral_centroid(y=head, sr=SAMPLE_RATE, n_fft=n, hop_length=n, center=False)[0, 0]
    )


def rms_db(audio: np.ndarray) -> float:
    return 10.0 * math.log10(float(np.mean(np.square(audio[:2205], dtype=np.float64))) + 1e-20)


def ring_s(audio: np.ndarray) -> float:
    """Time by which 99 % of the energy has passed."""
    energy = np.cumsum(np.square(audio, dtype=np.float64))
    return int(np.searchsorted(energy, 0.99 * energy[-1])) / SAMPLE_RATE


def pitch_hz(audio: np.ndarray) -> float:
    """The strongest frequency after the attack, by a zero-padded FFT."""
    tail = audio[2205:22050]
    spectrum = np.abs(np.fft.rfft(tail * np.hanning(len(tail)), 1 << 17))
    return float(np.argmax(spectrum) * SAMPLE_RATE / (1 << 17))


def test_every_label_sounds(kits: dict[int, Kit]) -> None:
    assert set(PRODUCTION) <= set(CANONICAL)
    for label in CANONICAL:
        stroke = kits[1].render(label, 0.8)
        assert stroke.dtype == np.float32 and stroke.ndim == 1
        assert np.isfinite(stroke).all()
        assert 0.005 < np.abs(stroke).max() < 2.0, label


@pytest.mark.parametrize("label", CANONICAL)
def test_stroke_starts_at_its_attack(kits: dict[int, Kit], label: str) -> None:
    for kit in kits.values():
        stroke = kit.render(label, 0.9)
        assert stroke[0] != 0.0
        envelope = np.abs(stroke)
        # Within the first millisecond the level comes within 20 dB of what the first 100 ms reach.
        assert envelope[:44].max() > 0.1 * envelope[:4410].max(), label
        assert envelope[-1] < 1e-3 * envelope.max()


@pytest.mark.parametrize("label", CANONICAL)
def test_harder_is_louder_and_brighter(kits: dict[int, Kit], label: str) -> None:
    velocities = (0.1, 0.5, 0.95)
    levels, colours = np.zeros(3), np.zeros(3)
    for kit in kits.values():
        for take in range(3):
            for i, velocity in enumerate(velocities):
                stroke = kit.render(label, velocity, take=take)
                levels[i] += rms_db(stroke) / 9
                colours[i] += centroid_hz(stroke) / 9
    assert levels[1] > levels[0] + 6 and levels[2] > levels[1] + 4
    assert colours[2] > colours[1] > colours[0]
    assert colours[2] > 1.03 * colours[0]


def test_ghost_is_quiet_but_there(kits: dict[int, Kit]) -> None:
    for kit in kits.values():
        quieter = rms_db(kit.render("snare", 0.95)) - rms_db(kit.render("snare", 0.12))
        assert 18 < quieter < 40


@pytest.mark.parametrize("label", ["hihat_closed", "hihat_open", "hihat_foot_splash"])
def test_openness_lets_hats_ring(kits: dict[int, Kit], label: str) -> None:
    for kit in kits.values():
        rings = [ring_s(kit.render(label, 0.8, openness)) for openness in (0.0, 0.25, 0.5, 0.75, 1.0)]
        assert rings == sorted(rings)
        assert rings[-1] > 2.5 * rings[0]


def test_toms_are_ordered_by_pitch() -> None:
    for seed in range(12):
        kit = make_kit(seed)
        high, mid, low = (pitch_hz(kit.render(f"tom_{name}", 0.7)) for name in ("high", "mid", "low"))
        # At least a minor third apart (2^(3/12) = 1.19).
        assert high > 1.19 * mid > 1.19**2 * low
        assert 50 < low < 130 and 140 < high < 230


def test_kick_sinks_to_its_note(kits: dict[int, Kit]) -> None:
    for kit in kits.values():
        kick = kit.render("kick", 0.9)
        assert 42 < pitch_hz(kick) < 75
        # The mean frequency of what lies under 300 Hz falls from the first 30 ms to the rest.
        freqs = np.fft.rfftfreq(1 << 15, 1.0 / SAMPLE_RATE)
        head, tail = (np.abs(np.fft.rfft(part, 1 << 15)) for part in (kick[:1323], kick[3528:13230]))
        low = freqs < 300.0
        means = [np.sum(part[low] * freqs[low]) / np.sum(part[low]) for part in (head, tail)]
        assert means[0] > 1.2 * means[1]


def test_second_crash_is_lower(kits: dict[int, Kit]) -> None:
    lower = 0
    for seed in range(8):
        kit = make_kit(seed)
        one, two = (
            np.mean([centroid_hz(kit.render(c, 0.8, take=t)) for t in range(3)]) for c in ("crash", "crash2")
        )
        lower += one > two
    assert lower >= 7


def test_bell_is_more_tonal_than_bow(kits: dict[int, Kit]) -> None:
    def flatness(audio: np.ndarray) -> float:
        part = audio[:16384]
        return float(
            librosa.feature.spectral_flatness(y=part, n_fft=16384, hop_length=16384, center=False)[0, 0]
        )

    for kit in kits.values():
        assert flatness(kit.render("ride_bell", 0.8)) < flatness(kit.render("ride_bow", 0.8))


@pytest.mark.parametrize("label", CANONICAL)
def test_takes_differ_but_belong_together(kits: dict[int, Kit], label: str) -> None:
    kit = kits[2]
    takes = [kit.render(label, 0.8, take=take) for take in range(4)]
    for first in range(4):
        for second in range(first):
            n = min(len(takes[first]), len(takes[second]))
            difference = rms_db(takes[first][:n] - takes[second][:n]) - rms_db(takes[first][:n])
            assert difference > -40, "the same sound twice"
    levels = [rms_db(take) for take in takes]
    assert max(levels) - min(levels) < 5


def test_same_seed_same_stroke_whatever_was_played_before(kits: dict[int, Kit]) -> None:
    fresh = make_kit(1)
    for label in reversed(CANONICAL):
        assert np.array_equal(fresh.render(label, 0.7, take=1), kits[1].render(label, 0.7, take=1)), label


def test_kits_differ(kits: dict[int, Kit]) -> None:
    for label in CANONICAL:
        one, two = kits[1].render(label, 0.8), kits[2].render(label, 0.8)
        n = min(len(one), len(two))
        assert rms_db(one[:n] - two[:n]) - rms_db(one[:n]) > -15, label


@given(
    label=st.sampled_from(CANONICAL),
    velocity=st.floats(0.0, 1.0),
    openness=st.floats(0.0, 1.0),
    take=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_any_stroke_is_finite_and_bounded(label: str, velocity: float, openness: float, take: int) -> None:
    stroke = _KIT.render(label, velocity, openness if is_hihat(label) else None, take)
    assert np.isfinite(stroke).all() and np.abs(stroke).max() < 2.5


_KIT = make_kit(17)


def test_refusals_name_the_drum(kits: dict[int, Kit]) -> None:
    kit = kits[1]
    with pytest.raises(InputError, match=r"velocity of kick: 1\.2 is not between 0 and 1"):
        kit.render("kick", 1.2)
    with pytest.raises(InputError, match="velocity of kick: nan is not between 0 and 1"):
        kit.render("kick", math.nan)
    with pytest.raises(InputError, match=r"openness of hihat_open: -0\.1 is not between 0 and 1"):
        kit.render("hihat_open", 0.5, -0.1)
    with pytest.raises(UsageError, match="openness was given for snare, which is not a hi-hat"):
        kit.render("snare", 0.5, 0.5)
    with pytest.raises(UsageError, match="take of snare: -1 is negative"):
        kit.render("snare", 0.5, take=-1)
    with pytest.raises(InputError, match="unknown drum label 'gong'"):
        kit.render("gong", 0.5)
    with pytest.raises(UsageError, match="seed of a kit must not be negative, but is -1"):
        make_kit(-1)
