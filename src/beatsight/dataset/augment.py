"""What is done to training clips, as settings; :mod:`beatsight.dataset.batches` applies it to whole batches.

A one-shot never occurs alone in a song: another drum starts with it, and others still ring. So one-shots
(``isolated`` moments) are mixed far more often than moments cut from songs. Levels are relative to the clip,
whose own loudest sample counts as 0 dB.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from beatsight.errors import InputError


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities 0..1 (of two draws each where clips are added) and ranges.

    Attributes:
        jitter_ms: the cut is moved by up to this much either way (detectors are not exact).
        mix, mix_isolated: clips (of 0 to 2) added at the same moment on average, their labels united.
        mix_gain_db: level range of the other clip.
        neighbour, neighbour_isolated: one-shots added that start earlier or later, unlabelled.
        neighbour_gain_db: its level range.
        background: probability of a stretch of ``background_audio`` under the clip.
        background_gain_db: its level range.
        stretch: probability of a change of tempo (decays get longer or shorter, the pitch stays).
        stretch_share: largest change either way; 0.1 is 10 %.
        pitch: probability of a change of pitch (times stay).
        pitch_semitones: largest change either way; cymbals and hats are changed by 2 % at most.
        saturation: probability of a soft limiter, as tape and bus compressors have.
        saturation_drive: its range; 0 is none, 10 flattens every peak.
        room: probability of a room's decay behind the sound.
        room_decay_s: range of the time in which it falls by 60 dB.
        room_level_db: range of its level against the direct sound.
        noise: probability of added white noise.
        noise_db: its level range.
        equaliser: probability of a random smooth frequency response.
        equaliser_db: its standard deviation.
        codec: probability that a batch goes through a lossy codec (Ogg Vorbis) and back.
    """

    jitter_ms: float = 6.0
    mix: float = 0.15
    mix_isolated: float = 0.8
    mix_gain_db: tuple[float, float] = (-18.0, 6.0)
    neighbour: float = 0.2
    neighbour_isolated: float = 0.8
    neighbour_gain_db: tuple[float, float] = (-12.0, 12.0)
    background: float = 0.3
    background_gain_db: tuple[float, float] = (-30.0, -6.0)
    stretch: float = 0.3
    stretch_share: float = 0.1
    pitch: float = 0.5
    pitch_semitones: float = 2.0
    saturation: float = 0.2
    saturation_drive: tuple[float, float] = (0.5, 6.0)
    room: float = 0.2
    room_decay_s: tuple[float, float] = (0.15, 0.8)
    room_level_db: tuple[float, float] = (-24.0, -8.0)
    noise: float = 0.3
    noise_db: tuple[float, float] = (-70.0, -35.0)
    equaliser: float = 0.5
    equaliser_db: float = 5.0
    codec: float = 0.0

    def __post_init__(self) -> None:
        for name in PROBABILITIES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"augmentation setting {name} is a probability, not {getattr(self, name)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and (len(value) != 2 or not value[0] <= value[1]):
                raise InputError(f"augmentation setting {field.name} is a range (low, high), not {value}")
        for name in ("jitter_ms", "pitch_semitones", "equaliser_db"):
            if not getattr(self, name) >= 0:
                raise InputError(f"augmentation setting {name} must not be negative")
        if not 0.0 <= self.stretch_share < 0.5:
            raise InputError(
                f"augmentation setting stretch_share must lie in 0..0.5, not {self.stretch_share}"
            )
        for name in ("saturation_drive", "room_decay_s"):
            if not getattr(self, name)[0] >= 0:
                raise InputError(f"augmentation setting {name} must not be negative")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


PROBABILITIES = (
    "mix", "mix_isolated", "neighbour", "neighbour_isolated", "background", "stretch", "pitch", "saturation",
    "room", "noise", "equaliser", "codec",
)  # fmt: skip
# No augmentation at all, to switch single ones on.
NOTHING = AugmentConfig(jitter_ms=0.0, **dict.fromkeys(PROBABILITIES, 0.0))  # type: ignore[arg-type]
