"""Strokes into a drum track: every stroke at its sample, hats choked, then the room and the drum bus.

Nothing here moves an attack by more than a fraction of a millisecond: the direct sound of a room is its first
sample, filters are of low order and minimum phase, the compressor does not look ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.frames import FrameConfig
from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.room import compress, convolve, make_room, shelf
from beatsight.synth.studio.codec import through_codec
from beatsight.synth.studio.drumset import Drumset
from beatsight.synth.studio.filters import high_pass, low_pass
from beatsight.synth.studio.performances import Stroke
from beatsight.synth.tones import decay, samples
from beatsight.taxonomy import is_hihat

_CHOKE_S = (0.006, 0.03)
_WET_DB, _WET_TOP_HZ = (-10.0, 9.0), (5000.0, 18000.0)
# What goes into a gated reverb.
_SHELLS = ("kick", "snare", "tom_high", "tom_mid", "tom_low")
_GATED = ("snare", "cross_stick", "tom_high", "tom_mid", "tom_low")


@dataclass(frozen=True)
class BusConfig:
    """How drum tracks are treated; each share is the probability of an effect in a song.

    Attributes:
        room_share, gate_share, compress_share, saturate_share, eq_share, low_pass_share, high_pass_share,
        noise_share, codec_share: of the reverberation, the gated reverberation, the compressor, the
            saturation, the shelving filters, the band limits, the hiss and the lossy coding.
        hall_share: of a hall, or a gated one, around the whole kit.
        wet_share: of bright reverberation on kick, snare and toms, up to louder than they are: their clouds
            of noise are no cymbals.
        bleed_share, tape_share, mp3_share: of what :mod:`beatsight.synth.studio.damage` does, which has a
            generator of its own: drums heard on other drums' microphones, an old tape, an MP3.
    """

    room_share: float = 0.75
    gate_share: float = 0.1
    compress_share: float = 0.6
    saturate_share: float = 0.35
    eq_share: float = 0.7
    low_pass_share: float = 0.18
    high_pass_share: float = 0.15
    noise_share: float = 0.5
    codec_share: float = 0.05
    hall_share: float = 0.0
    wet_share: float = 0.0
    bleed_share: float = 0.0
    tape_share: float = 0.0
    mp3_share: float = 0.0


class Placed(NamedTuple):
    """Dry drums.

    Attributes:
        track: all of them, float32, shape (n,).
        send: the part that a gated reverberation would get, likewise.
        strokes: as they sound: label and openness are those of the recording that was played, times those of
            the sample on which the attack lies. Strokes that no piece can play are left out.
        attacks_db: mel levels of each stroke alone, float32, shape (strokes, bands).
        shells: kicks, snares and toms of the track, float32, shape (n,).
    """

    track: np.ndarray
    send: np.ndarray
    strokes: list[Stroke]
    attacks_db: np.ndarray
    shells: np.ndarray


def place_strokes(rng: np.random.Generator, drums: Drumset, strokes: Sequence[Stroke], n: int) -> Placed:
    """Play strokes dry.

    Args:
        rng: source of choke times.
        drums: the set.
        strokes: in order of time; those after the end of the song are left out.
        n: length in samples.
    """
    track, send, shells = (np.zeros(n, np.float32) for _ in range(3))
    played: list[Stroke] = []
    attacks: list[np.ndarray] = []
    hats = [round(s.time_s * SAMPLE_RATE) for s in strokes if is_hihat(s.label)]
    hat = 0
    for stroke in strokes:
        at = round(stroke.time_s * SAMPLE_RATE)
        if at >= n:
            break
        if is_hihat(stroke.label):
            hat += 1
        sound = drums.sound(stroke.label, stroke.velocity, stroke.openness)
        if sound is None:
            continue
        audio, first = sound.audio, at - sound.onset
        if first < 0:
            audio, first = audio[-first:], 0
        amplitude = drums.amplitude(sound.label, stroke.velocity)
        audio = audio[: n - first] * np.float32(amplitude)
        attacks.append(sound.attack_db + np.float32(20.0 * np.log10(max(amplitude, 1e-6))))
        if is_hihat(sound.label) and hat < len(hats):
            audio = _choked(rng, audio, hats[hat] - first)
        track[first : first + len(audio)] += audio
        if sound.label in _GATED:
            send[first : first + len(audio)] += audio
        if sound.label in _SHELLS:
            shells[first : first + len(audio)] += audio
        time_s = at / SAMPLE_RATE
        played.append(Stroke(time_s, sound.label, stroke.velocity, sound.openness, sound.source))
    levels = np.array(attacks, np.float32).reshape(len(played), FrameConfig().n_mels)
    return Placed(track, send, played, levels, shells)


def _choked(rng: np.random.Generator, audio: np.ndarray, gap: int) -> np.ndarray:
    if gap >= len(audio):
        return audio
    fade = min(samples(rng.uniform(*_CHOKE_S)), len(audio) - gap)
    out = audio[: gap + fade]
    out[gap:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return out


def _gated_reverb(rng: np.random.Generator, send: np.ndarray) -> np.ndarray:
    """The big snare of the eighties: dense noise that stops after a fraction of a second."""
    n = samples(rng.uniform(0.12, 0.4))
    tail = rng.standard_normal(n).astype(np.float32) * decay(n, rng.uniform(0.6, 2.0))
    tail = sosfilt(low_pass(rng.uniform(3000.0, 9000.0)), tail).astype(np.float32)
    tail[: samples(0.008)] = 0.0
    tail /= np.sqrt(np.sum(tail**2))
    return convolve(send, tail) * np.float32(10 ** (rng.uniform(-14.0, -2.0) / 20))


def _hall(
    rng: np.random.Generator,
    audio: np.ndarray,
    level_db: tuple[float, float] = (-14.0, -3.0),
    top_hz: tuple[float, float] = (2500.0, 12000.0),
) -> np.ndarray:
    """A large room around the whole kit, whole or gated: every stroke drags a cloud of noise behind it."""
    gated = rng.random() < 0.5
    seconds = rng.uniform(0.15, 0.5) if gated else rng.uniform(0.6, 2.5)
    n = samples(seconds)
    tail = rng.standard_normal(n).astype(np.float32) * decay(n, seconds * (3.0 if gated else 1.0))
    tail = sosfilt(low_pass(rng.uniform(*top_hz), 1), tail).astype(np.float32)
    tail[: samples(rng.uniform(0.005, 0.03))] = 0.0
    tail /= np.sqrt(np.sum(tail**2))
    return convolve(audio, tail) * np.float32(10 ** (rng.uniform(*level_db) / 20))


def _saturated(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    peak = float(np.percentile(np.abs(audio), 99.9)) or 1.0
    drive = np.float32(10 ** (rng.uniform(-3.0, 12.0) / 20) / peak)
    return np.tanh(audio * drive) / drive


def treat_bus(
    rng: np.random.Generator,
    track: np.ndarray,
    send: np.ndarray,
    config: BusConfig | None = None,
    shells: np.ndarray | None = None,
) -> np.ndarray:
    """The drum bus: rooms, compression, saturation, tone, hiss, coding; float32 of the same shape.

    Args:
        rng: source of every choice.
        track: dry drums, :func:`place_strokes`.
        send: the part of them for the gated reverberation.
        config: how likely each effect is.
        shells: the part for the bright reverberation; that of the gated one by default.
    """
    shells = send if shells is None else shells
    config = config or BusConfig()
    scale = float(np.percentile(np.abs(track), 99.9))
    if scale <= 0.0:
        return track
    audio: np.ndarray = track / np.float32(scale)
    if rng.random() < config.room_share:
        audio = convolve(audio, make_room(rng))
    if rng.random() < config.gate_share:
        audio = audio + _gated_reverb(rng, send / np.float32(scale))
    if config.hall_share and rng.random() < config.hall_share:
        audio = audio + _hall(rng, audio)
    if config.wet_share and rng.random() < config.wet_share:
        audio = audio + _hall(rng, shells / np.float32(scale), _WET_DB, _WET_TOP_HZ)
    if rng.random() < config.compress_share:
        audio = compress(audio, rng.uniform(0.04, 0.3), rng.uniform(1.5, 8.0), rng.uniform(0.04, 0.3))
    if rng.random() < config.saturate_share:
        audio = _saturated(rng, audio)
    filters = []
    if rng.random() < config.eq_share:
        filters.append(shelf(rng.uniform(80.0, 250.0), rng.normal(0.0, 3.0), high=False))
        filters.append(shelf(rng.uniform(2500.0, 8000.0), rng.normal(0.0, 4.0), high=True))
    if rng.random() < config.low_pass_share:
        filters.append(low_pass(float(np.exp(rng.uniform(np.log(4000.0), np.log(15000.0))))))
    if rng.random() < config.high_pass_share:
        filters.append(high_pass(rng.uniform(40.0, 160.0)))
    if filters:
        audio = sosfilt(np.vstack(filters), audio).astype(np.float32)
    if rng.random() < config.noise_share:
        level = 10 ** (rng.uniform(-75.0, -42.0) / 20)
        audio = audio + rng.standard_normal(len(audio), dtype=np.float32) * np.float32(level)
    if rng.random() < config.codec_share:
        audio = through_codec(audio, float(rng.uniform(0.0, 0.35)))
    return audio.astype(np.float32, copy=False)
