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
        speed: tape-speed change of each clip, largest share either way (0.06 is one semitone).
        noise: probability of added noise.
        noise_db: its level range.
        equaliser: probability of a random smooth frequency response.
        equaliser_db: its standard deviation.
    """

    jitter_ms: float = 6.0
    mix: float = 0.15
    mix_isolated: float = 0.8
    mix_gain_db: tuple[float, float] = (-18.0, 6.0)
    neighbour: float = 0.2
    neighbour_isolated: float = 0.8
    neighbour_gain_db: tuple[float, float] = (-12.0, 12.0)
    speed: float = 0.06
    noise: float = 0.3
    noise_db: tuple[float, float] = (-70.0, -35.0)
    equaliser: float = 0.5
    equaliser_db: float = 5.0

    def __post_init__(self) -> None:
        names = ("mix", "mix_isolated", "neighbour", "neighbour_isolated", "noise", "equaliser")
        for name in names:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"augmentation setting {name} is a probability, not {getattr(self, name)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and (len(value) != 2 or value[0] > value[1]):
                raise InputError(f"augmentation setting {field.name} is a range (low, high), not {value}")
        if not 0.0 <= self.speed < 0.5 or self.jitter_ms < 0 or self.equaliser_db < 0:
            raise InputError("augmentation settings jitter_ms, speed and equaliser_db must not be negative")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
