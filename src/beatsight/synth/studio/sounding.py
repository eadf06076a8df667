"""One recorded stroke as a song uses it: microphones balanced, pitch, tone and decay changed, onset found.

Conventions: mono float32 at 44.1 kHz. A rendered stroke comes with its onset: the first sample of at least
10 % of its peak (:func:`beatsight.synth.sample_kit.attack_s`), after all that was done to it. Damping begins
at the onset, so it cannot move it; microphones keep their delays, since they are summed from a common start.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.signal import sosfilt

from beatsight.audio.frames import FrameConfig, frame_levels
from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.sample_kit import attack_s
from beatsight.synth.studio.bank import Piece, Take
from beatsight.taxonomy import is_hihat

_LEVEL_S = 0.08
# What was made to ring longer has no silence at its end.
_WASH_FADE_S = 0.8
_FADE_S = 0.02
# A pitch nearer than this to the recorded one is left alone.
_SAME_RATIO = 1e-3
_FRAMES = FrameConfig()


@dataclass(frozen=True, eq=False)
class Sound:
    """A stroke ready to be put into a song.

    Attributes:
        audio: shape (samples,), RMS 1 over the 80 ms from the onset.
        onset: the sample of its attack.
        label: what was played.
        openness: 0..1, hats only.
        attack_db: mel levels over the three frames from the onset (the highest of each band), shape (bands,):
            what it adds to the spectrum of a song, by which one can tell whether it is heard there.
        source: kit and piece, ``"muldjord:Snare"``.
    """

    audio: np.ndarray
    onset: int
    label: str
    openness: float | None
    attack_db: np.ndarray
    source: str = ""


@dataclass(eq=False)
class Voice:
    """A piece as one song uses it.

    Attributes:
        piece: the recordings.
        ratio: of the pitch, 1 as recorded.
        damp_s: time to fall by 60 dB on top of its own decay, or to rise if negative; None as recorded.
        filters: second-order sections, or None.
        mic_gains: microphone -> linear; one that is not there is off.
        level_db: of a full stroke, against that of the kick.
        sounds: what was rendered already.
    """

    piece: Piece
    ratio: float
    damp_s: float | None
    filters: np.ndarray | None
    mic_gains: dict[str, float]
    level_db: float
    sounds: dict[int, Sound] = field(default_factory=dict)


def _mixed(voice: Voice, take: Take) -> np.ndarray:
    """The microphones of a stroke together, at the voice's pitch and tone."""
    gains = {name: voice.mic_gains.get(name, 0.0) for name in take.mics}
    if not any(gains.values()):
        gains = dict.fromkeys(take.mics, 1.0)
    size = max(len(audio) for audio in take.mics.values())
    mix = np.zeros(size, np.float32)
    for name, audio in take.mics.items():
        if gains[name]:
            mix[: len(audio)] += audio * np.float32(take.scales[name] * gains[name])
    if abs(voice.ratio - 1.0) > _SAME_RATIO:
        at = np.arange(0.0, size - 1.0, voice.ratio)
        mix = np.interp(at, np.arange(size), mix).astype(np.float32)
    if voice.filters is not None:
        mix = sosfilt(voice.filters, mix).astype(np.float32)
    return mix


def render_take(voice: Voice, take: Take, source: str = "") -> Sound:
    """A recorded stroke as the voice sounds.

    Args:
        voice: how the piece is used.
        take: one of its strokes, or another piece's that stands in.
        source: kit and piece that the stroke is from.

    Raises:
        InputError: nothing is left of it but silence.
    """
    mix = _mixed(voice, take)
    onset = round(attack_s(mix) * SAMPLE_RATE)
    if voice.damp_s is not None:
        fall = np.float32(-np.log(1000.0) / (voice.damp_s * SAMPLE_RATE))
        rise = np.exp(fall * np.arange(len(mix) - onset, dtype=np.float32))
        mix[onset:] *= rise if voice.damp_s > 0.0 else np.minimum(rise, _wash_limit(mix[onset:]))
        mix = mix[: onset + round(1.1 * voice.damp_s * SAMPLE_RATE)] if voice.damp_s > 0.0 else mix
    long = voice.damp_s is not None and voice.damp_s < 0.0
    fade = min(len(mix) - onset, round((_WASH_FADE_S if long else _FADE_S) * SAMPLE_RATE))
    mix[len(mix) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    head = mix[onset : onset + round(_LEVEL_S * SAMPLE_RATE)]
    level = float(np.sqrt(np.mean(np.square(head, dtype=np.float64))))
    label = "snare" if take.label in ("rimshot", "snare_off") else take.label
    openness = take.openness if is_hihat(label) else None
    audio = mix / np.float32(max(level, 1e-6))
    return Sound(audio, onset, label, openness, _attack_db(audio, onset), source)


def _wash_limit(audio: np.ndarray) -> np.ndarray:
    """The largest gain with which a cymbal still decays: half of what it fell by may be taken back."""
    size = SAMPLE_RATE // 10
    blocks = np.pad(audio, (0, -len(audio) % size)).reshape(-1, size)
    level = np.sqrt(np.mean(np.square(blocks, dtype=np.float64), axis=1)) + 1e-9
    limit = np.maximum(np.maximum.accumulate(level) / level, 1.0) ** 0.5
    return np.interp(np.arange(len(audio)), size * (np.arange(len(level)) + 0.5), limit).astype(np.float32)


def _attack_db(audio: np.ndarray, onset: int) -> np.ndarray:
    """Mel levels of the attack, dB, shape (bands,)."""
    half, more = _FRAMES.n_fft // 2, 2 * _FRAMES.hop_length
    window = np.zeros(2 * half + more, np.float32)
    first = max(0, onset - half)
    part = audio[first : onset + half + more]
    at = half - (onset - first)
    window[at : at + len(part)] = part
    return frame_levels(window, _FRAMES).max(axis=0)
