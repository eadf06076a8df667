"""Synthetic metal: hi-hat, ride, crashes, splash and china, as plates of inharmonic partials drawn per kit.

Conventions: as in :mod:`beatsight.synth.drums`; ``force`` is the stroke's velocity 0..1. A cymbal's colour is
dB per octave band, its decay a T60 for the lowest and the highest band. Bands and decays follow measurements
of recorded one-shots: hats peak above 8 kHz, rides are even from 300 Hz up, crashes lean to 3..8 kHz, chinas
to 1..3 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatsight.synth.tones import (
    PLATE_BANDS,
    PLATE_CENTRES_HZ,
    SAMPLE_RATE,
    Audio,
    Colour,
    Plate,
    add_mode,
    decay,
    noise,
    plate_envelopes,
    samples,
    soften_edges,
    tilt,
)

_TIP: Colour = ((300.0, -22.0), (1500.0, -8.0), (4000.0, 0.0), (9000.0, -2.0), (18000.0, -10.0))
_CLASH: Colour = ((250.0, -6.0), (700.0, 0.0), (2500.0, -3.0), (8000.0, -6.0), (18000.0, -18.0))

# Colour of the ringing metal at 90, 180, 375, 750, 1500, 3000, 6000, 12000 Hz, in dB.
_ANCHORS_HZ = (90.0, 180.0, 375.0, 750.0, 1500.0, 3000.0, 6000.0, 12000.0)


@dataclass(frozen=True)
class Make:
    """What kind of cymbal: its colour and the ranges its parameters are drawn from.

    ``t60_low_s`` and ``t60_high_s`` are ranges in seconds; ``ping`` is the share of the stroke that falls
    away with ``ping_t60_s``; ``bloom`` the share that comes up later; ``tones`` the number of single partials
    that stand out and ``tone_level`` their level; ``size`` scales all frequencies.
    """

    colour_db: tuple[float, ...]
    t60_low_s: tuple[float, float]
    t60_high_s: tuple[float, float]
    ping: float
    ping_t60_s: float
    bloom: float
    tip: float
    tones: int = 0
    tone_level: float = 0.0
    tone_hz: tuple[float, float] = (500.0, 3000.0)
    noisiness: float = 0.5
    density: tuple[float, float] = (0.020, 0.045)


HAT = Make((-40, -26, -19, -18, -16, -13, -6, 0), (0.5, 0.9), (0.5, 0.9), 0.0, 0.1, 0.0, 0.5, noisiness=0.9)
RIDE = Make(
    (-40, -32, -13, -9, -8, -7, -6, -7), (3.5, 6.0), (0.8, 1.8), 0.72, 0.22, 0.0, 0.9,
    tones=7, tone_level=0.22, tone_hz=(350.0, 3800.0), noisiness=0.35,
)  # fmt: skip
BELL = Make(
    (-44, -38, -19, -15, -13, -12, -13, -16), (3.0, 5.0), (0.7, 1.5), 0.5, 0.25, 0.0, 0.7,
    tones=6, tone_level=0.75, tone_hz=(700.0, 4800.0), noisiness=0.25,
)  # fmt: skip
EDGE = Make((-34, -22, -7, -5, -7, -7, -11, -17), (4.0, 6.0), (2.5, 4.0), 0.15, 0.2, 0.55, 0.3)
CRASH = Make(
    (-40, -30, -14, -11, -10, -6, -4, -9), (3.0, 5.5), (1.8, 3.4), 0.25, 0.25, 0.45, 0.35, noisiness=0.7
)
SPLASH = Make(
    (-46, -38, -26, -15, -8, -5, -5, -8), (0.9, 1.8), (0.6, 1.3), 0.3, 0.12, 0.1, 0.4, noisiness=0.6
)
CHINA = Make(
    (-46, -36, -24, -13, -4, -5, -5, -8), (1.3, 2.4), (0.6, 1.3), 0.35, 0.14, 0.15, 0.6,
    tones=5, tone_level=0.10, tone_hz=(900.0, 2200.0), noisiness=1.4, density=(0.05, 0.09),
)  # fmt: skip


class Cymbal:
    """One cymbal of one make and size: its plate is drawn once, on the first stroke."""

    def __init__(self, rng: np.random.Generator, make: Make, size: float) -> None:
        """Invent a cymbal.

        Args:
            rng: source of every parameter; kept, and used up by the plate.
            make: the kind.
            size: 1 is the usual diameter; a larger cymbal is lower and rings longer.
        """
        drift = np.cumsum(rng.normal(0.0, 1.0, len(_ANCHORS_HZ)))
        levels = np.asarray(make.colour_db) + drift - drift.mean()
        self._colour: Colour = tuple(
            (hz / size, float(db)) for hz, db in zip(_ANCHORS_HZ, levels, strict=True)
        )
        self._make = make
        self._density = rng.uniform(*make.density) * size
        self._t60 = (rng.uniform(*make.t60_low_s) * size, rng.uniform(*make.t60_high_s) * size)
        self._ping_t60_s = make.ping_t60_s * rng.uniform(0.7, 1.4)
        tone_low, tone_high = make.tone_hz
        tones = np.geomspace(tone_low, tone_high, make.tones) if make.tones else np.zeros(0)
        self._tones = tones * np.exp(rng.normal(0.0, 0.08, make.tones)) / size
        self._tone_levels = make.tone_level * np.exp(rng.normal(0.0, 0.6, make.tones))
        self._tone_t60_s = rng.uniform(0.7, 1.4)
        self._rng = rng
        self._plate: Plate | None = None
        self._envelopes: Audio | None = None

    @property
    def plate(self) -> Plate:
        """The vibrating metal."""
        if self._plate is None:
            self._plate = Plate(self._rng, self._colour, self._density, self._make.noisiness)
        return self._plate

    def strike(self, rng: np.random.Generator, force: float) -> Audio:
        """One stroke with the stick."""
        make = self._make
        if self._envelopes is None:
            n = samples(min(2.9, 1.1 * self._t60[0]))
            self._envelopes = plate_envelopes(
                n, *self._t60, ping=make.ping, ping_t60_s=self._ping_t60_s, bloom=make.bloom, bloom_s=0.012
            )
        slope = -3.5 * (1.0 - force)
        out = self.plate.strike(rng, tilt(PLATE_CENTRES_HZ, slope), self._envelopes)
        for freq, level in zip(self._tones, self._tone_levels, strict=True):
            softer = float(tilt(np.array([freq]), slope)[0])
            add_mode(
                out, freq, level * softer * rng.uniform(0.7, 1.3), self._tone_t60_s, phase=rng.uniform(0, 1)
            )
        _tip(rng, out, make.tip * (0.5 + 0.5 * force), slope)
        # A stroke is cut at three seconds; fading over its last third hides the cut.
        return soften_edges(out, len(out) / SAMPLE_RATE * 0.35)


class HiHat:
    """A pair of cymbals on a stand: how far they are apart sets how long they ring."""

    def __init__(self, rng: np.random.Generator, size: float) -> None:
        """Invent a pair of hats."""
        self._bright = Cymbal(rng, HAT, size)
        self._closed_t60_s = rng.uniform(0.13, 0.30)
        self._open_t60_s = rng.uniform(0.9, 1.7)
        self._chick = rng.uniform(0.5, 1.1)

    def _ring(
        self, rng: np.random.Generator, force: float, t60_s: float, openness: float, ping: float
    ) -> Audio:
        low = t60_s * 1.1
        envelopes = plate_envelopes(
            samples(min(2.4, t60_s * 1.1)), low, t60_s, ping=ping, ping_t60_s=0.05, bloom=0.0, bloom_s=0.01
        )
        # Held together, the cymbals damp each other's low modes; apart, those ring.
        body = np.linspace(2.2 * openness - 0.4, 0.0, PLATE_BANDS)
        gains = tilt(PLATE_CENTRES_HZ, -3.5 * (1.0 - force)) * np.exp(body)
        return self._bright.plate.strike(rng, gains, envelopes)

    def ring_t60_s(self, openness: float) -> float:
        """Decay at an openness 0..1: geometric from tight to free."""
        return float(self._closed_t60_s * (self._open_t60_s / self._closed_t60_s) ** openness)

    def strike(self, rng: np.random.Generator, force: float, openness: float) -> Audio:
        """One stroke with the stick at this openness."""
        t60 = self.ring_t60_s(openness) * rng.uniform(0.95, 1.05)
        out = self._ring(rng, force, t60, openness, ping=0.35 * (1.0 - openness))
        _tip(rng, out, 0.55 * (0.5 + 0.5 * force), -3.5 * (1.0 - force))
        return soften_edges(out, t60 * 0.4)

    def chick(self, rng: np.random.Generator, force: float) -> Audio:
        """Closed by foot: the cymbals clash and stay shut."""
        out = self._ring(rng, force, self._closed_t60_s * 0.8, 0.25, ping=0.5)
        n = min(len(out), samples(0.05))
        clash = noise(rng, n, _CLASH, -3.0 * (1.0 - force)) * decay(n, 0.045)
        out[:n] += clash * np.float32(self._chick)
        return soften_edges(out, 0.03)

    def splash(self, rng: np.random.Generator, force: float, openness: float) -> Audio:
        """Closed by foot and let go at once: a clash that rings on."""
        out = self._ring(rng, force, self.ring_t60_s(openness), openness, ping=0.1)
        n = samples(0.08)
        out[:n] += (
            noise(rng, n, _CLASH, -3.0 * (1.0 - force)) * decay(n, 0.08) * np.float32(0.6 * self._chick)
        )
        return soften_edges(out, 0.3)


def _tip(rng: np.random.Generator, target: Audio, level: float, slope_db: float) -> None:
    """The stick's tip on the metal: a few milliseconds of bright noise."""
    n = min(len(target), samples(0.012))
    target[:n] += noise(rng, n, _TIP, slope_db) * decay(n, 0.012) * np.float32(level)
