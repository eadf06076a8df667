"""What is played in a song: human performances one after the other, or strokes at random, and their changes.

Conventions: times in seconds from the start of the song, velocity and openness 0..1. A stroke's time is that
of the stick; the renderer puts the sample's attack there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from beatsight.synth.studio.performances import Groove, Stroke, read_groove, read_grooves
from beatsight.synth.studio.variations import (
    OPENNESS_OF,
    add_crashes,
    double,
    flams,
    pedal,
    percussion,
    single_strokes,
    swap,
    thin,
    tom_fills,
)

__all__ = [
    "Groove",
    "Part",
    "Passage",
    "PlayingConfig",
    "Stroke",
    "draw_part",
    "draw_strokes",
    "groove_weights",
    "random_strokes",
    "read_groove",
    "read_grooves",
    "single_strokes",
]
# A performance lasts at least so long, and no stroke is so near the end that its attack would be cut.
_SHORTEST_S = 1.0
_END_S = 0.05
# Rates a second of random strokes, drawn up to this.
_RANDOM_RATES = {
    "kick": 2.5, "snare": 2.5, "cross_stick": 0.4, "hihat_closed": 3.5, "hihat_half": 1.0, "hihat_open": 1.0,
    "hihat_pedal": 1.0, "hihat_foot_splash": 0.15, "ride_bow": 2.0, "ride_bell": 0.7, "ride_edge": 0.3,
    "crash": 0.7, "crash2": 0.5, "splash": 0.3, "china": 0.3,
    "tom_high": 1.0, "tom_mid": 1.0, "tom_low": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class PlayingConfig:
    """How performances are varied; shares are probabilities a song, spreads standard deviations.

    Attributes:
        random_share: strokes at random moments instead of a performance: no groove to lean on.
        tempo_spread: of the logarithm of the tempo's factor.
        swap_share: each of the cymbal swaps (hat to ride, ride to hat, hat to crash).
        tom_share: tom fills are put in.
        crash_share: more crashes, splashes and chinas are put in.
        stick_share: the snare is played as cross-stick.
        pedal_share: the foot plays the hat on the beat.
        percussion_share: a tambourine, shaker, claps or a bell play along.
        silent_shares: of each kind of drum, that it is not played in a song: a kick is not to be heard as a
            kick with a hat because it mostly is one.
        flam_share: some snare and tom strokes become flams.
        double_share: hats and cymbals are put onto kicks and snares, which hide them.
        velocity_power_spread: of the logarithm of the exponent that bends the velocities.
    """

    random_share: float = 0.14
    tempo_spread: float = 0.16
    swap_share: float = 0.12
    tom_share: float = 0.28
    crash_share: float = 0.3
    stick_share: float = 0.06
    pedal_share: float = 0.06
    percussion_share: float = 0.0
    silent_shares: Mapping[str, float] = field(
        default_factory=lambda: {
            "kick": 0.05, "snare": 0.05, "hihat_pedal": 0.5, "hihat": 0.22, "ride": 0.1, "crash": 0.1,
        }
    )  # fmt: skip
    flam_share: float = 0.15
    double_share: float = 0.12
    velocity_power_spread: float = 0.2


@dataclass(frozen=True)
class Passage:
    """Who plays from a moment on, until the next passage.

    Attributes:
        start_s: seconds from the start of the song.
        name: of the performance.
        drummer: who plays; "" where nothing says so.
        bpm: quarter notes per minute as they sound here; None where the file states no tempo.
        meter: e.g. ``"4/4"``; None where the file states none.
    """

    start_s: float
    name: str
    drummer: str
    bpm: float | None
    meter: str | None


@dataclass(frozen=True)
class Part:
    """The drum part of a song: strokes in order of time, and whose they are (nobody's, if at random)."""

    strokes: list[Stroke]
    passages: tuple[Passage, ...] = ()


def random_strokes(rng: np.random.Generator, seconds: float) -> list[Stroke]:
    """Strokes at moments that nothing connects, each drum at a rate of its own; some drums are silent."""
    strokes = []
    pull = rng.random() < 0.5  # some strokes fall onto others, as they do in music
    anchors = np.sort(rng.uniform(0.05, seconds, max(1, int(seconds * rng.uniform(1.0, 4.0)))))
    for label, top in _RANDOM_RATES.items():
        if rng.random() < 0.35:
            continue
        for time in np.sort(rng.uniform(0.05, seconds - 0.1, rng.poisson(rng.uniform(0.1, top) * seconds))):
            if pull and rng.random() < 0.6:
                time = float(anchors[np.argmin(np.abs(anchors - time))]) + rng.normal(0.0, 0.006)
            openness = rng.uniform(*OPENNESS_OF[label]) if label in OPENNESS_OF else None
            strokes.append(Stroke(max(0.0, float(time)), label, float(rng.beta(2.2, 1.6)), openness))
    return strokes


def _performance(
    rng: np.random.Generator, grooves: list[Groove], weights: np.ndarray, seconds: float, spread: float
) -> tuple[list[Stroke], list[Passage]]:
    """Performances from a random place on, one after the other until the song is full."""
    strokes: list[Stroke] = []
    passages: list[Passage] = []
    at = -float(rng.uniform(0.0, 0.5))
    while at < seconds:
        groove = grooves[int(rng.choice(len(grooves), p=weights))]
        factor = float(np.exp(rng.normal(0.0, spread)))
        first = float(rng.uniform(0.0, max(0.0, groove.duration_s - 0.5 * seconds)))
        for stroke in groove.strokes:
            if stroke.time_s >= first:
                time = at + (stroke.time_s - first) * factor
                if time >= seconds:
                    break
                strokes.append(replace(stroke, time_s=time))
        bpm = None if groove.bpm is None else groove.bpm / factor
        passages.append(Passage(max(0.0, at), groove.name, groove.drummer, bpm, groove.meter))
        at += max(_SHORTEST_S, (groove.duration_s - first) * factor)
    return [stroke for stroke in strokes if stroke.time_s >= 0.0], passages


def groove_weights(grooves: list[Groove]) -> np.ndarray:
    """How often each is played: long performances more, a drummer with many files not more for it."""
    length = np.array([min(g.duration_s, 60.0) for g in grooves]) ** 0.5
    count: dict[str, int] = {}
    for groove in grooves:
        count[groove.drummer] = count.get(groove.drummer, 0) + 1
    weights = length / np.array([count[g.drummer] for g in grooves]) ** 0.5
    return weights / weights.sum()


def draw_part(
    rng: np.random.Generator,
    grooves: list[Groove],
    weights: np.ndarray,
    seconds: float,
    config: PlayingConfig | None = None,
) -> Part:
    """The drum part of one song.

    Args:
        rng: source of every choice.
        grooves: performances to play from.
        weights: their probabilities, :func:`groove_weights`.
        seconds: length of the song.
        config: how they are varied.

    Returns:
        strokes within the song, none in its last 50 ms, and the passages they come from.
    """
    config = config or PlayingConfig()
    if rng.random() < config.random_share:
        loose = single_strokes(random_strokes(rng, seconds))
        return Part([s for s in loose if s.time_s < seconds - _END_S])
    strokes, passages = _performance(rng, grooves, weights, seconds, config.tempo_spread)
    strokes = swap(rng, strokes, config.swap_share)
    if rng.random() < config.tom_share:
        strokes = tom_fills(rng, strokes, seconds)
    if rng.random() < config.crash_share:
        strokes = add_crashes(rng, strokes)
    if rng.random() < config.double_share:
        strokes = double(rng, strokes)
    if rng.random() < config.pedal_share:
        strokes = pedal(rng, strokes, seconds)
    if rng.random() < config.flam_share:
        strokes = flams(rng, strokes)
    strokes = thin(rng, strokes, config.silent_shares)
    if config.percussion_share and rng.random() < config.percussion_share:
        strokes = percussion(rng, strokes)
    if rng.random() < config.stick_share:
        strokes = [replace(s, label="cross_stick") if s.label == "snare" else s for s in strokes]
    power = float(np.exp(rng.normal(0.0, config.velocity_power_spread)))
    bent = [
        replace(s, velocity=float(np.clip(s.velocity**power, 0.01, 1.0)))
        for s in single_strokes(strokes)
        if 0.0 <= s.time_s < seconds - _END_S
    ]
    return Part(bent, tuple(passages))


def draw_strokes(
    rng: np.random.Generator,
    grooves: list[Groove],
    weights: np.ndarray,
    seconds: float,
    config: PlayingConfig | None = None,
) -> list[Stroke]:
    """The strokes of :func:`draw_part` alone."""
    return draw_part(rng, grooves, weights, seconds, config).strokes
