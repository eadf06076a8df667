"""Synthetic membranes: kick, snare (also wires off, rimshot, cross-stick) and toms, drawn at random per kit.

Conventions: every voice is a frozen record of its tuning with ``draw(rng)`` to invent one and ``strike(...)``
to play it; ``force`` is the stroke's velocity 0..1 and changes the colour only, the kit sets the level. A
strike returns float32 samples that start at the attack. Tunings are those of real kits: kicks settle at
45..70 Hz, snares ring at 165..260 Hz, toms at 62..215 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatsight.synth.tones import Audio, Colour, add_mode, decay, noise, samples, soften_edges

# Modes of an ideal circular membrane over its lowest: zeros of Bessel functions, by rising frequency.
_MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.5)

_STICK: Colour = ((200.0, -24.0), (700.0, -6.0), (2500.0, 0.0), (6000.0, -4.0), (16000.0, -18.0))
_WIRES: Colour = (
    (300.0, -26.0),
    (1000.0, -8.0),
    (2500.0, 0.0),
    (6000.0, -2.0),
    (11000.0, -7.0),
    (18000.0, -20.0),
)
_BEATER_FELT: Colour = ((60.0, -12.0), (300.0, 0.0), (1500.0, -8.0), (4000.0, -22.0), (12000.0, -50.0))
_BEATER_WOOD: Colour = ((100.0, -14.0), (800.0, -5.0), (3000.0, 0.0), (6000.0, -6.0), (14000.0, -24.0))
# How long the snare's wires sing along when another drum is struck.
_BUZZ_T60_S = 0.7
_RIM: Colour = ((300.0, -20.0), (900.0, 0.0), (2500.0, -3.0), (7000.0, -6.0), (16000.0, -16.0))
_SHELL: Colour = ((80.0, -16.0), (250.0, 0.0), (900.0, -5.0), (3000.0, -18.0), (12000.0, -44.0))


def _burst(
    rng: np.random.Generator, target: Audio, colour: Colour, level: float, t60_s: float, tilt_db: float
) -> None:
    """Add a decaying burst of coloured noise at the start of ``target``."""
    n = min(len(target), samples(t60_s))
    target[:n] += noise(rng, n, colour, tilt_db) * decay(n, t60_s) * np.float32(level)


@dataclass(frozen=True)
class Kick:
    """A bass drum: a pitch that falls onto the head's note, the beater's click, the shell."""

    freq_hz: float
    glide: float
    glide_s: float
    t60_s: float
    click: float
    wood: float
    punch: float
    shell: float
    buzz: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Kick:
        """Invent a bass drum, from dead and clicky to open and round."""
        return cls(
            freq_hz=rng.uniform(45.0, 70.0),
            glide=rng.uniform(0.7, 2.6),
            glide_s=rng.uniform(0.010, 0.034),
            t60_s=rng.uniform(0.32, 1.1),
            click=rng.uniform(0.08, 0.45),
            wood=rng.uniform(0.0, 1.0),
            punch=float(np.exp(rng.uniform(np.log(0.15), 0.0))),
            shell=rng.uniform(0.03, 0.25),
            buzz=rng.uniform(0.001, 0.012),
        )

    def strike(self, rng: np.random.Generator, force: float) -> Audio:
        """One stroke."""
        out = np.zeros(samples(self.t60_s * 1.2), dtype=np.float32)
        pitch = self.freq_hz * (1.0 + 0.006 * rng.standard_normal())
        glide = self.glide * (0.55 + 0.45 * force)
        add_mode(out, pitch, 1.0, self.t60_s, glide=glide, glide_s=self.glide_s)
        # The next mode carries the punch between 100 and 200 Hz.
        second = self.punch * rng.uniform(0.9, 1.1)
        add_mode(out, pitch * 2.27, second, self.t60_s * 0.35, glide=glide * 0.5, glide_s=self.glide_s)
        slope = -5.0 * (1.0 - force)
        click = self.click * (0.35 + 0.65 * force) * rng.uniform(0.85, 1.15)
        _burst(rng, out, _BEATER_FELT, click * (1.2 - self.wood), 0.035, slope)
        _burst(rng, out, _BEATER_WOOD, click * (0.3 + self.wood), 0.025, slope)
        _burst(rng, out, _SHELL, self.shell, 0.16, slope)
        _burst(rng, out, _WIRES, self.buzz, _BUZZ_T60_S, slope)
        return soften_edges(out, 0.05)


@dataclass(frozen=True)
class Snare:
    """A snare drum: head modes, wires that rattle a moment later, stick and rim."""

    freq_hz: float
    t60_s: float
    wires: float
    wires_t60_s: float
    crack: float
    brightness_db: float
    rim_hz: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Snare:
        """Invent a snare, from deep and damped to a ringing piccolo."""
        return cls(
            freq_hz=rng.uniform(165.0, 260.0),
            t60_s=rng.uniform(0.22, 0.75),
            wires=rng.uniform(0.07, 0.42),
            wires_t60_s=rng.uniform(0.20, 0.55),
            crack=rng.uniform(0.15, 0.55),
            brightness_db=rng.uniform(-5.0, 1.0),
            rim_hz=rng.uniform(480.0, 900.0),
        )

    def _head(self, rng: np.random.Generator, out: Audio, level: float, ring: float) -> None:
        """The head's modes; ``ring`` raises the upper ones, as an off-centre or rim stroke does."""
        pitch = self.freq_hz * (1.0 + 0.004 * rng.standard_normal())
        for index, ratio in enumerate(_MEMBRANE[:6]):
            upper = 1.0 if index == 0 else ring * rng.uniform(0.7, 1.3) * 0.55 / index**0.8
            add_mode(
                out, pitch * ratio, level * upper, self.t60_s / (1.0 + 0.45 * index), glide=0.05, glide_s=0.02
            )

    def strike(self, rng: np.random.Generator, force: float, *, wires_on: bool = True) -> Audio:
        """One stroke near the middle of the head."""
        out = np.zeros(samples(max(self.t60_s, self.wires_t60_s) * 1.2), dtype=np.float32)
        self._head(rng, out, 1.0, 0.8 + 0.4 * force)
        slope = self.brightness_db - 5.0 * (1.0 - force)
        _burst(rng, out, _STICK, self.crack * (0.5 + 0.5 * force), 0.030, slope)
        if wires_on:
            n = min(len(out), samples(self.wires_t60_s * (0.75 + 0.25 * force)))
            # The wires answer the lower head: they are there at once but swell for two milliseconds.
            swell = 1.0 - 0.5 * decay(n, 0.014)
            rattle = noise(rng, n, _WIRES, slope) * decay(n, self.wires_t60_s * (0.75 + 0.25 * force)) * swell
            out[:n] += rattle * np.float32(self.wires * rng.uniform(0.9, 1.1))
        return soften_edges(out, 0.04)

    def rimshot(self, rng: np.random.Generator, force: float) -> Audio:
        """Head and rim struck together: louder upper modes, a hard crack."""
        out = self.strike(rng, min(1.0, force + 0.15))
        for ratio, level in ((1.0, 0.55), (1.73, 0.4), (2.61, 0.28)):
            add_mode(out, self.rim_hz * ratio * rng.uniform(0.995, 1.005), level, self.t60_s * 0.7)
        _burst(rng, out, _RIM, 0.9, 0.045, -5.0 * (1.0 - force))
        return soften_edges(out, 0.04)

    def cross_stick(self, rng: np.random.Generator, force: float) -> Audio:
        """The stick laid over the head hits the rim: a short wooden knock."""
        out = np.zeros(samples(0.32), dtype=np.float32)
        slope = -5.0 * (1.0 - force)
        tone = self.rim_hz * 1.1
        for ratio, level, t60 in (
            (1.0, 1.0, 0.10),
            (1.52, 0.8, 0.075),
            (2.76, 0.55, 0.06),
            (4.3, 0.3, 0.045),
        ):
            softer = 10.0 ** (slope * np.log2(ratio) / 20.0)
            add_mode(out, tone * ratio * rng.uniform(0.99, 1.01), level * softer, t60)
        add_mode(out, self.freq_hz * 0.95, 0.3, 0.2)
        _burst(rng, out, _RIM, 0.5, 0.022, slope)
        _burst(rng, out, _SHELL, 0.12, 0.12, slope)
        return soften_edges(out, 0.05)


@dataclass(frozen=True)
class Tom:
    """One tom: membrane modes whose pitch sinks after the stroke, and the stick."""

    freq_hz: float
    t60_s: float
    glide: float
    stick: float
    upper: float
    buzz: float

    @classmethod
    def draw_set(cls, rng: np.random.Generator) -> tuple[Tom, Tom, Tom]:
        """Three toms of one make, high, mid, low; each at least a minor third below the one before."""
        high = rng.uniform(150.0, 215.0)
        mid = high * rng.uniform(0.68, 0.80)
        low = mid * rng.uniform(0.58, 0.74)
        t60, glide = rng.uniform(0.6, 1.5), rng.uniform(0.05, 0.22)
        stick, upper, buzz = rng.uniform(0.12, 0.45), rng.uniform(0.5, 1.3), rng.uniform(0.002, 0.03)
        return (
            cls(high, t60 * 0.8, glide, stick, upper, buzz),
            cls(mid, t60, glide, stick, upper, buzz),
            cls(low, t60 * 1.35, glide, stick, upper, buzz),
        )

    def strike(self, rng: np.random.Generator, force: float) -> Audio:
        """One stroke."""
        out = np.zeros(samples(self.t60_s * 1.2), dtype=np.float32)
        pitch = self.freq_hz * (1.0 + 0.004 * rng.standard_normal())
        glide = self.glide * (0.3 + 0.7 * force)
        for index, ratio in enumerate(_MEMBRANE):
            level = (
                1.0
                if index == 0
                else self.upper * rng.uniform(0.6, 1.4) * 0.7 / index**0.8 * (0.4 + 0.6 * force)
            )
            add_mode(out, pitch * ratio, level, self.t60_s / (1.0 + 0.6 * index), glide=glide, glide_s=0.06)
        slope = -5.0 * (1.0 - force)
        _burst(rng, out, _STICK, self.stick * (0.4 + 0.6 * force), 0.028, slope)
        _burst(rng, out, _SHELL, 0.12, 0.35, slope)
        _burst(rng, out, _WIRES, self.buzz, _BUZZ_T60_S, slope)
        return soften_edges(out, 0.08)
