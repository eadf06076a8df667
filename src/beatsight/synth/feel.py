"""How a drummer keeps time: drift of the beat, swing, habits, errors of a few milliseconds, flams.

Conventions: times in seconds from the start of the song; velocity and openness 0..1; a grid step is a
fraction of a beat, counted from the first bar's first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beatsight.synth.styles import Style

_VELOCITY_SPREAD = 0.06
_MIN_VELOCITY = 0.06
# A flam's grace note: this long before the main stroke, at this share of its velocity.
_FLAM_S = (0.020, 0.034)
_FLAM_SHARE = (0.25, 0.5)


@dataclass(frozen=True)
class Hit:
    """One stroke: when, on what, how hard, and how open (hats only)."""

    onset_s: float
    label: str
    velocity: float
    openness: float | None = None


@dataclass(frozen=True)
class Note:
    """A stroke on the grid: ``step`` counts steps from the first bar's first."""

    step: float
    label: str
    velocity: float
    openness: float | None = None


def beat_times(
    rng: np.random.Generator, tempo_bpm: float, duration_s: float, beats_per_bar: int
) -> np.ndarray:
    """Beat times under slow drift, from the first downbeat to past the end by a bar."""
    strength = rng.uniform(0.0005, 0.003)
    time, drift, beats = rng.uniform(0.15, 0.8), 0.0, list[float]()
    while time < duration_s + 60.0 / tempo_bpm * beats_per_bar or len(beats) % beats_per_bar:
        beats.append(time)
        drift = 0.97 * drift + rng.normal(0.0, strength)
        time += 60.0 / tempo_bpm * math.exp(drift)
    return np.array([*beats, time])


class Feel:
    """Turns grid steps into seconds: swing, a habit per drum, and error."""

    def __init__(
        self, rng: np.random.Generator, style: Style, beats_s: np.ndarray, steps_per_beat: int
    ) -> None:
        self._rng = rng
        self._beats_s = beats_s
        self._steps_per_beat = steps_per_beat
        self._swing = rng.uniform(*style.swing)
        self._error_s = rng.uniform(0.002, 0.008)
        self._habit_s = {"snare": rng.normal(0.002, 0.003), "kick": rng.normal(0.0, 0.002)}
        # A crash is hit a little early by some, late by others, but the same way all song.
        self._other_s = rng.normal(0.0, 0.002)

    def seconds(self, step: float, label: str) -> float:
        """The time of a note on this step."""
        pair, inside = divmod(step, 2.0)
        if self._swing != 0.5 and self._steps_per_beat % 2 == 0:
            swung = (
                self._swing * inside * 2
                if inside <= 1.0
                else self._swing * 2 + (inside - 1) * 2 * (1 - self._swing)
            )
            step = pair * 2.0 + swung
        beat = step / self._steps_per_beat
        index = min(int(beat), len(self._beats_s) - 2)
        grid_s = self._beats_s[index] + (beat - index) * (self._beats_s[index + 1] - self._beats_s[index])
        habit = self._habit_s.get(label, self._other_s)
        return float(grid_s + habit + self._rng.normal(0.0, self._error_s))


def humanise(rng: np.random.Generator, notes: list[Note], feel: Feel, end_s: float) -> tuple[Hit, ...]:
    """Notes as sounded strokes, flams included, sorted; a drum is struck once a step."""
    loudness = rng.normal(0.0, 0.04)
    strokes: dict[tuple[float, str], Note] = {}
    for note in notes:
        key = (note.step, note.label)
        if key not in strokes or strokes[key].velocity < note.velocity:
            strokes[key] = note
    hits: list[Hit] = []
    for note in strokes.values():
        onset = feel.seconds(note.step, note.label)
        if not 0.0 <= onset < end_s:
            continue
        velocity = note.velocity * (1.0 + loudness) + rng.normal(
            0.0, _VELOCITY_SPREAD * (0.4 + note.velocity)
        )
        velocity = float(np.clip(velocity, _MIN_VELOCITY, 1.0))
        hits.append(Hit(onset, note.label, velocity, note.openness))
        flammed = note.label in ("snare", "tom_high", "tom_mid", "tom_low") and note.velocity > 0.8
        if flammed and rng.random() < 0.05:
            grace = onset - rng.uniform(*_FLAM_S)
            if grace >= 0.0:
                hits.append(Hit(grace, note.label, max(_MIN_VELOCITY, velocity * rng.uniform(*_FLAM_SHARE))))
    return tuple(sorted(hits, key=lambda hit: (hit.onset_s, hit.label)))
