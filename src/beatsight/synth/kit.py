"""A synthetic drum kit: every parameter drawn from one seed, one stroke at a time rendered on demand.

Conventions: strokes are mono float32 at 44.1 kHz and start exactly at the attack; velocity and openness are
0..1. Velocity sets the level continuously and the colour in :data:`VELOCITY_LAYERS` steps; every take (round
robin) is a different stroke. A stroke depends only on the kit's seed and its own arguments, never on what was
rendered before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from beatsight.errors import InputError, UsageError
from beatsight.synth.cymbals import BELL, CHINA, CRASH, EDGE, RIDE, SPLASH, Cymbal, HiHat
from beatsight.synth.drums import Kick, Snare, Tom
from beatsight.synth.percussion import Percussion
from beatsight.synth.tones import Audio
from beatsight.taxonomy import CANONICAL, is_hihat, resolve

VELOCITY_LAYERS = 5
OPENNESS_LAYERS = 9
# Distinct takes; a higher take number starts over, so that the cache of a song stays small.
ROUND_ROBINS = 6
# Level in dB = 20 × this × log10(velocity): a ghost note at .1 lies 28 dB under the loudest stroke, as
# recorded.
_VELOCITY_POWER = 1.4
# Openness where the caller gives none; a pedal stroke is shut by definition.
DEFAULT_OPENNESS = {
    "hihat_closed": 0.0, "hihat_half": 0.45, "hihat_open": 0.9, "hihat_pedal": 0.0, "hihat_foot_splash": 0.7,
}  # fmt: skip
# Peak of the loudest stroke in dB, against a kick and snare of 0: as a balanced overhead recording has them.
_LEVEL_DB = {
    "kick": -1, "snare": 0, "snare_off": -2, "rimshot": 1, "cross_stick": -9, "hihat_closed": -12,
    "hihat_half": -10, "hihat_open": -9, "hihat_pedal": -17, "hihat_foot_splash": -16, "ride_bow": -13,
    "ride_bell": -10, "ride_edge": -9, "crash": -7, "crash2": -7, "splash": -10, "china": -8, "tom_high": -2,
    "tom_mid": -2, "tom_low": -1, "cowbell": -10, "tambourine": -14, "clap": -8, "shaker": -20,
    "aux_percussion": -8,
}  # fmt: skip
# Spread of those levels between kits: no two engineers agree on where the hats belong.
_LEVEL_SPREAD_DB = 2.0


class Kit:
    """One synthetic drum kit; made by :func:`make_kit`."""

    def __init__(self, seed: int) -> None:
        """Draw the kit's parameters; strokes are rendered when asked for."""
        self.seed = seed
        self.kit_id = f"synth-{seed:08x}"
        streams = iter(np.random.SeedSequence([seed, 0]).spawn(16))

        def stream() -> np.random.Generator:
            return np.random.default_rng(next(streams))

        scale = stream()
        metal = scale.uniform(0.9, 1.12)
        kick, snare = Kick.draw(stream()), Snare.draw(stream())
        high, mid, low = Tom.draw_set(stream())
        hats = HiHat(stream(), metal * scale.uniform(0.85, 1.15))
        ride, bell, edge = (Cymbal(stream(), make, metal) for make in (RIDE, BELL, EDGE))
        # The second crash is the larger of a pair of one make: lower and longer, by five to ten semitones.
        crash_size, pair = metal * scale.uniform(0.85, 1.0), next(streams)
        crash = Cymbal(np.random.default_rng(pair), CRASH, crash_size)
        crash2 = Cymbal(np.random.default_rng(pair), CRASH, crash_size * scale.uniform(1.35, 1.75))
        splash, china = Cymbal(stream(), SPLASH, metal), Cymbal(stream(), CHINA, metal)
        hands = Percussion.draw(stream())
        self._strikes: dict[str, Callable[[np.random.Generator, float, float], Audio]] = {
            "kick": lambda rng, force, _: kick.strike(rng, force),
            "snare": lambda rng, force, _: snare.strike(rng, force),
            "snare_off": lambda rng, force, _: snare.strike(rng, force, wires_on=False),
            "rimshot": lambda rng, force, _: snare.rimshot(rng, force),
            "cross_stick": lambda rng, force, _: snare.cross_stick(rng, force),
            "tom_high": lambda rng, force, _: high.strike(rng, force),
            "tom_mid": lambda rng, force, _: mid.strike(rng, force),
            "tom_low": lambda rng, force, _: low.strike(rng, force),
            "hihat_closed": hats.strike,
            "hihat_half": hats.strike,
            "hihat_open": hats.strike,
            "hihat_pedal": lambda rng, force, _: hats.chick(rng, force),
            "hihat_foot_splash": hats.splash,
            "ride_bow": lambda rng, force, _: ride.strike(rng, force),
            "ride_bell": lambda rng, force, _: bell.strike(rng, force),
            "ride_edge": lambda rng, force, _: edge.strike(rng, force),
            "crash": lambda rng, force, _: crash.strike(rng, force),
            "crash2": lambda rng, force, _: crash2.strike(rng, force),
            "splash": lambda rng, force, _: splash.strike(rng, force),
            "china": lambda rng, force, _: china.strike(rng, force),
            "cowbell": lambda rng, force, _: hands.cowbell(rng, force),
            "tambourine": lambda rng, force, _: hands.tambourine(rng, force),
            "clap": lambda rng, force, _: hands.clap(rng, force),
            "shaker": lambda rng, force, _: hands.shaker(rng, force),
            "aux_percussion": lambda rng, force, _: hands.conga(rng, force),
        }
        spread = scale.normal(0.0, _LEVEL_SPREAD_DB, len(CANONICAL))
        self._level_db = {label: _LEVEL_DB[label] + spread[i] for i, label in enumerate(CANONICAL)}
        self._takes: dict[tuple[str, int, int, int], Audio] = {}
        self._gains: dict[str, float] = {}

    def render(self, label: str, velocity: float, openness: float | None = None, take: int = 0) -> Audio:
        """One stroke, from its attack to silence.

        Args:
            label: any drum label or alias.
            velocity: 0..1; level and brightness.
            openness: 0..1, hi-hats only: how long the stroke rings. Ignored for the pedal, which is shut.
            take: which round robin, 0 or more.

        Returns:
            float32, shape (samples,), at 44.1 kHz; a full kick or snare stroke peaks near 1.

        Raises:
            UnknownLabelError: no such drum.
            InputError: velocity or openness outside 0..1 or not a number.
            UsageError: a negative take, or an openness for a drum that has none.

        >>> kick = make_kit(7).render("kick", 0.8)
        >>> kick.dtype.name, kick.ndim
        ('float32', 1)
        """
        label = resolve(label)
        if not 0.0 <= velocity <= 1.0:
            raise InputError(f"velocity of {label}: {velocity} is not between 0 and 1")
        if openness is not None and not is_hihat(label):
            raise UsageError(f"openness was given for {label}, which is not a hi-hat")
        if openness is not None and not 0.0 <= openness <= 1.0:
            raise InputError(f"openness of {label}: {openness} is not between 0 and 1")
        if take < 0:
            raise UsageError(f"take of {label}: {take} is negative")
        layer = min(int(velocity * VELOCITY_LAYERS), VELOCITY_LAYERS - 1)
        ring = DEFAULT_OPENNESS.get(label, 0.0) if openness is None else openness
        open_layer = round(ring * (OPENNESS_LAYERS - 1))
        stroke = self._stroke(label, layer, open_layer, take % ROUND_ROBINS)
        return stroke * np.float32(self._gain(label) * velocity**_VELOCITY_POWER)

    def _stroke(self, label: str, layer: int, open_layer: int, take: int) -> Audio:
        key = (label, layer, open_layer, take)
        if key not in self._takes:
            rng = np.random.default_rng([self.seed, 1, CANONICAL.index(label), layer, open_layer, take])
            force = (layer + 0.5) / VELOCITY_LAYERS
            self._takes[key] = self._strikes[label](rng, force, open_layer / (OPENNESS_LAYERS - 1))
        return self._takes[key]

    def _gain(self, label: str) -> float:
        """Linear gain that brings a label's loudest stroke to its level, measured on its first take."""
        if label not in self._gains:
            open_layer = round(DEFAULT_OPENNESS.get(label, 0.0) * (OPENNESS_LAYERS - 1))
            loudest = self._stroke(label, VELOCITY_LAYERS - 1, open_layer, 0)
            peak = float(np.max(np.abs(loudest)))
            self._gains[label] = 10.0 ** (self._level_db[label] / 20.0) / peak
        return self._gains[label]


def make_kit(seed: int) -> Kit:
    """Invent a drum kit; the same seed always gives the same kit, sample for sample.

    Args:
        seed: 0 or more.

    Raises:
        UsageError: a negative seed.

    >>> make_kit(3).kit_id
    'synth-00000003'
    """
    if seed < 0:
        raise UsageError(f"the seed of a kit must not be negative, but is {seed}")
    return Kit(seed)
