"""How hard a drum part is to play, from 0 (nothing to play) to 10.

Five demands are measured, weighed and added to a load; the rating is ``10 * (1 - exp(-load))``, so that every
demand counts and none leads beyond 10:

    load = density / 40 + (hands / 20) ** 1.5 + (foot / 12) ** 1.5
           + 0.3 * limbs + 0.25 * syncopation + 0.01 * (drums - 1)

- density: hits per second, the mean of the whole part and its busiest four seconds taken together in equal
  shares;
- hands: strokes per second of both hands over eight strokes, the fastest and the median such run in equal
  shares;
- foot: kicks per second over five kicks, the same;
- limbs: how many of the limbs beyond the first move at a moment, as a share of three, averaged over the
  moments;
- syncopation: how far kicks, snares and crashes lie off the beat: 0 on it, 0.5 half way between, 1 elsewhere,
  averaged;
- drums: number of different drums and cymbals.

The form and its constants are this project's own, chosen so that a slow quarter-note kick rates below 1, a
rock beat at 100 bpm between 2 and 3 and a blast beat at 220 bpm above 9; they have not been tried on players.
The same part played faster is never rated easier, because the first three demands grow with tempo and the
others do not fall.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from beatsight.errors import InputError
from beatsight.taxonomy import fold
from beatsight.transcription.tempo import Timing

FloatArray = npt.NDArray[np.floating]

_WINDOW_S = 4.0  # a fill lasts a bar or two: shorter windows would rate one flam, longer ones average it away
_DENSITY_SCALE = 40.0
_HAND_SCALE, _HAND_RUN = 20.0, 8
_FOOT_SCALE, _FOOT_RUN = 12.0, 5
# Speed costs more the faster it is; beyond this many strokes a second they are no strokes of a person.
_SPEED_EXPONENT, _FASTEST = 1.5, 40.0
_LIMB_WEIGHT = 0.3
_SYNCOPATION_WEIGHT = 0.25
_DRUM_WEIGHT = 0.01

_TOGETHER_S = 0.03  # hits this close are one moment
_ON_BEAT = 0.1  # share of a beat within which a hit is on it
_LEFT_FOOT = ("hihat_pedal", "hihat_foot_splash")
_ACCENTS = ("KD", "SD", "CY")
_RIDES = ("ride_bow", "ride_bell")


def _density(times: FloatArray) -> float:
    """Mean of the overall and of the highest rate over four seconds, in hits per second."""
    busiest = (np.searchsorted(times, times + _WINDOW_S) - np.arange(len(times))).max() / _WINDOW_S
    overall = len(times) / max(float(times[-1] - times[0]), _WINDOW_S)
    return 0.5 * (float(busiest) + overall)


def _run_speed(times: FloatArray, strokes: int) -> float:
    """Strokes per second of the fastest and the median run of so many, averaged; 0 if there are fewer."""
    if len(times) < strokes:
        return 0.0
    spans = times[strokes - 1 :] - times[: 1 - strokes]
    speeds = np.minimum((strokes - 1) / np.maximum(spans, 1e-9), _FASTEST)
    return 0.5 * float(speeds.max() + np.median(speeds))


def _limbs(times: FloatArray, kinds: list[str]) -> float:
    """Limbs in use beyond the first, as a share of three, averaged over the moments."""
    moment = np.concatenate(([0], np.cumsum(np.diff(times) > _TOGETHER_S)))
    used = np.zeros(moment[-1] + 1)
    for limb, most in (("kick", 1), ("pedal", 1), ("hand", 2)):
        mine = np.array([kind == limb for kind in kinds])
        used += np.minimum(np.bincount(moment[mine], minlength=len(used)), most)
    return float(np.mean((used - 1) / 3))


def _syncopation(times: FloatArray, beats: FloatArray) -> float:
    """How far the times lie off the beat, 0..1."""
    if len(times) == 0 or len(beats) < 2:
        return 0.0
    place = np.interp(times, beats, np.arange(len(beats)))
    off = np.abs(place - np.round(place))
    return float(np.where(off <= _ON_BEAT, 0.0, np.where(off >= 0.5 - _ON_BEAT, 0.5, 1.0)).mean())


def difficulty(hits: Iterable[tuple[float, str, float]], timing: Timing) -> float:
    """Rate a part; see the module's formula.

    Args:
        hits: (time in seconds, label, velocity), in any order; the velocity does not matter.
        timing: where the beats lie.

    Returns:
        0 for no hits, else above 0 and up to 10, with two decimals.

    Raises:
        InputError: a time is not finite, or a label is unknown.

    >>> beats = np.arange(0, 30, 1.0)
    >>> timing = Timing(60.0, 0.0, "4/4", beats, beats[::4], [(0.0, 60.0)], 1.0)
    >>> difficulty([], timing), difficulty([(time, "kick", 0.8) for time in beats], timing)
    (0.0, 0.48)
    """
    ordered = sorted(hits)
    if not ordered:
        return 0.0
    times = np.array([time for time, _, _ in ordered], dtype=np.float64)
    if not np.isfinite(times).all():
        raise InputError("a hit's time is not a finite number of seconds")
    labels = [fold(label, "production") for _, label, _ in ordered]
    kinds = ["kick" if label == "kick" else "pedal" if label in _LEFT_FOOT else "hand" for label in labels]
    hand, kick = (times[[kind == limb for kind in kinds]] for limb in ("hand", "kick"))
    accent = [
        label is not None and fold(label, "five") in _ACCENTS and label not in _RIDES for label in labels
    ]
    load = (
        _density(times) / _DENSITY_SCALE
        + (_run_speed(hand, _HAND_RUN) / _HAND_SCALE) ** _SPEED_EXPONENT
        + (_run_speed(kick, _FOOT_RUN) / _FOOT_SCALE) ** _SPEED_EXPONENT
        + _LIMB_WEIGHT * _limbs(times, kinds)
        + _SYNCOPATION_WEIGHT * _syncopation(times[accent], timing.beats_s)
        + _DRUM_WEIGHT * (len(set(labels)) - 1)
    )
    return round(10 * (1 - math.exp(-load)), 2)
