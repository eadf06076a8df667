"""A found hit, and how loud it was: velocity from the energy that each drum's own band gains.

Velocity here is relative to the song: a label's loud hits come out near ``_LOUD_VELOCITY``, and 50 dB below
them is a tenth of that. It is a measure of the sound, not of the player's arm; a model's velocity head
replaces it where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from beatsight.audio.onsets import HOP_S, Onsets, band_centres_hz

_LOUD_VELOCITY = 0.85
_LOUD_PERCENTILE = 90.0
_DB_PER_DECADE = 50.0
_FEWEST_FOR_OWN_LEVEL = 4
_LOUDNESS_FRAMES = 6  # 30 ms from the onset: the attack
_SILENT_POWER = 1e-10

# Where each drum's attack stands out of a mix, in Hz.
_BANDS_HZ = {
    "kick": (30.0, 150.0),
    "snare": (180.0, 6000.0),
    "hihat_closed": (6000.0, 16000.0),
    "hihat_open": (5000.0, 16000.0),
    "crash": (3000.0, 16000.0),
    "crash2": (3000.0, 16000.0),
    "china": (2000.0, 16000.0),
    "ride": (3000.0, 16000.0),
    "ride_bell": (2000.0, 12000.0),
    "tom_high": (120.0, 1000.0),
    "tom_mid": (90.0, 800.0),
    "tom_low": (60.0, 600.0),
}


@dataclass(frozen=True, slots=True)
class Hit:
    """One drum stroke that was found.

    Attributes:
        time_s: seconds from the start of the file.
        label: a label of the taxonomy.
        confidence: the score that found it, 0..1.
        level_db: energy of its band at the attack, in dB of full scale; for :func:`with_velocities`.
        velocity: 0..1; relative to the song where :func:`with_velocities` has set it.
        openness: 0..1 of a hat under a stick, where it is known.
    """

    time_s: float
    label: str
    confidence: float
    level_db: float = 0.0
    velocity: float = 0.8
    openness: float | None = None


def attack_levels(onsets: Onsets, label: str) -> np.ndarray:
    """Level of a label's band in the 30 ms from each onset, dB of full scale, shape (onsets,)."""
    low, high = _BANDS_HZ[label]
    centres = band_centres_hz()
    energy = onsets.power[:, (centres >= low) & (centres <= high)].sum(axis=1)
    first = np.round(onsets.times_s / HOP_S).astype(np.int64)
    frames = np.minimum(first[:, None] + np.arange(_LOUDNESS_FRAMES), len(energy) - 1)
    return 10.0 * np.log10(np.maximum(energy[frames].max(axis=1), _SILENT_POWER))


def with_velocities(hits: list[Hit]) -> list[Hit]:
    """The hits with their velocities set, each label against its own loud level in this song."""
    if not hits:
        return []
    overall = float(np.percentile([hit.level_db for hit in hits], _LOUD_PERCENTILE))
    loud = {}
    for label in {hit.label for hit in hits}:
        levels = [hit.level_db for hit in hits if hit.label == label]
        own = len(levels) >= _FEWEST_FOR_OWN_LEVEL
        loud[label] = float(np.percentile(levels, _LOUD_PERCENTILE)) if own else max(overall, *levels)
    scaled = [_LOUD_VELOCITY * 10.0 ** ((hit.level_db - loud[hit.label]) / _DB_PER_DECADE) for hit in hits]
    return [replace(hit, velocity=round(min(1.0, value), 3)) for hit, value in zip(hits, scaled, strict=True)]
