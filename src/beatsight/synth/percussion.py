"""Synthetic hand percussion: cowbell, tambourine, hand clap, shaker and a conga (``aux_percussion``).

Conventions: as in :mod:`beatsight.synth.drums`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatsight.synth.tones import Audio, Colour, add_mode, decay, noise, samples, soften_edges, tilt

_JINGLE: Colour = ((1500.0, -34.0), (4000.0, -10.0), (7000.0, 0.0), (12000.0, -2.0), (18000.0, -12.0))
_BEADS: Colour = ((1000.0, -36.0), (3500.0, -14.0), (7000.0, -3.0), (11000.0, 0.0), (18000.0, -8.0))
_HANDS: Colour = ((250.0, -18.0), (800.0, -5.0), (1500.0, 0.0), (3000.0, -8.0), (9000.0, -20.0))
_SLAP: Colour = ((200.0, -10.0), (900.0, 0.0), (2500.0, -6.0), (8000.0, -22.0))


@dataclass(frozen=True)
class Percussion:
    """The hand instruments that come with a kit."""

    bell_hz: float
    bell_t60_s: float
    jingle_t60_s: float
    clap_gap_s: float
    bead_t60_s: float
    conga_hz: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Percussion:
        """Invent a set."""
        return cls(
            bell_hz=rng.uniform(460.0, 680.0),
            bell_t60_s=rng.uniform(0.35, 0.8),
            jingle_t60_s=rng.uniform(0.22, 0.5),
            clap_gap_s=rng.uniform(0.006, 0.011),
            bead_t60_s=rng.uniform(0.10, 0.22),
            conga_hz=rng.uniform(190.0, 330.0),
        )

    def cowbell(self, rng: np.random.Generator, force: float) -> Audio:
        """Two clashing tones and their overtones."""
        out = np.zeros(samples(self.bell_t60_s * 1.1), dtype=np.float32)
        slope = -6.0 * (1.0 - force)
        for ratio, level, t60 in (
            (1.0, 1.0, 1.0), (1.49, 0.9, 0.8), (2.52, 0.35, 0.5),
            (3.61, 0.4, 0.35), (5.1, 0.3, 0.3), (7.7, 0.2, 0.2),
        ):  # fmt: skip
            freq = self.bell_hz * ratio
            softer = float(tilt(np.array([freq]), slope)[0])
            add_mode(out, freq, level * softer * rng.uniform(0.85, 1.15), self.bell_t60_s * t60)
        n = samples(0.01)
        out[:n] += noise(rng, n, _SLAP, slope) * decay(n, 0.012) * np.float32(0.5)
        return soften_edges(out, 0.05)

    def tambourine(self, rng: np.random.Generator, force: float) -> Audio:
        """Jingles: several small noisy clashes close together."""
        n = samples(self.jingle_t60_s)
        slope = -3.0 * (1.0 - force)
        out = noise(rng, n, _JINGLE, slope) * decay(n, self.jingle_t60_s * 0.5)
        for freq in rng.uniform(4200.0, 9500.0, 6):
            add_mode(out, float(freq), 0.25, self.jingle_t60_s, phase=rng.uniform(0.0, 1.0))
        for delay in np.sort(rng.uniform(0.006, 0.035, 2)):
            at = samples(float(delay))
            out[at:] += (
                noise(rng, n - at, _JINGLE, slope) * decay(n - at, self.jingle_t60_s * 0.4) * np.float32(0.6)
            )
        return soften_edges(out, 0.05)

    def clap(self, rng: np.random.Generator, force: float) -> Audio:
        """Several hands a few milliseconds apart, then the room's answer."""
        n = samples(0.25)
        slope = -4.0 * (1.0 - force)
        out = np.zeros(n, dtype=np.float32)
        at = 0
        for last in (False, False, True):
            tail = n - at
            hands = noise(rng, tail, _HANDS, slope) * decay(tail, 0.16 if last else 0.022)
            out[at:] += hands * np.float32(rng.uniform(0.8, 1.0))
            at += samples(self.clap_gap_s * rng.uniform(0.8, 1.2))
        return soften_edges(out, 0.05)

    def shaker(self, rng: np.random.Generator, force: float) -> Audio:
        """Beads thrown against the wall: a soft start, most energy a few milliseconds later."""
        n = samples(self.bead_t60_s)
        swell = 1.0 - 0.8 * decay(n, 0.03)
        return soften_edges(
            noise(rng, n, _BEADS, -3.0 * (1.0 - force)) * decay(n, self.bead_t60_s) * swell, 0.03
        )

    def conga(self, rng: np.random.Generator, force: float) -> Audio:
        """An open tone with a little slap."""
        out = np.zeros(samples(0.5), dtype=np.float32)
        for ratio, level, t60 in ((1.0, 1.0, 0.42), (1.6, 0.35, 0.2), (2.2, 0.25, 0.15), (3.0, 0.15, 0.1)):
            level *= 1.0 if ratio == 1.0 else 0.4 + 0.6 * force
            pitch = self.conga_hz * ratio * rng.uniform(0.995, 1.005)
            add_mode(out, pitch, level, t60, glide=0.06, glide_s=0.02)
        n = samples(0.02)
        out[:n] += noise(rng, n, _SLAP, -6.0 * (1.0 - force)) * decay(n, 0.02) * np.float32(0.35)
        return soften_edges(out, 0.08)
