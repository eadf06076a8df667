"""Which pad of a game kit plays which drum: the four lanes of Clone Hero's pro drums, and their collisions.

Pads: 0 kick, 1 red, 2 yellow, 3 blue, 4 green; yellow, blue and green are each a tom or a cymbal. Hats are
the yellow cymbal, rides the blue one, all other cymbals the green one; toms go from yellow (high) to green
(low). Percussion beside the kit is played where a drummer would hit instead: clap on red, tambourine and
shaker as a hat, cowbell as a ride, the rest as the high tom.

Of one colour a moment holds one note only. Strokes on one instrument (hat open and closed, snare and rim)
become one, the loudest. Of different instruments, a cymbal keeps its pad before a tom and the louder before
the softer; the other goes to the nearest pad of its kind that is free, or is left out where there is none.
Source: "Drums" in TheNathannator's GuitarGame_ChartFormats, which also lets the cymbal stay and the tom move.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from beatsight.charts.chart import HitObject
from beatsight.taxonomy import resolve

KICK, RED, YELLOW, BLUE, GREEN = range(5)


class Pad(NamedTuple):
    """A place to hit: the colour, and whether it is its cymbal."""

    colour: int
    is_cymbal: bool = False


_SNARE = Pad(RED)
_HAT, _RIDE, _CRASH = Pad(YELLOW, True), Pad(BLUE, True), Pad(GREEN, True)

# Pad and instrument of every label; strokes on one instrument are never two notes of one moment.
PADS: dict[str, tuple[Pad, str]] = {
    "kick": (Pad(KICK), "kick"),
    **dict.fromkeys(("snare", "snare_off", "rimshot", "cross_stick"), (_SNARE, "snare")),
    "clap": (_SNARE, "snare"),
    **dict.fromkeys(
        ("hihat_closed", "hihat_half", "hihat_open", "hihat_pedal", "hihat_foot_splash"), (_HAT, "hat")
    ),
    "tambourine": (_HAT, "hat"),
    "shaker": (_HAT, "hat"),
    **dict.fromkeys(("ride_bow", "ride_bell", "ride_edge"), (_RIDE, "ride")),
    "cowbell": (_RIDE, "cowbell"),
    "crash": (_CRASH, "crash"),
    "crash2": (_CRASH, "crash2"),
    "splash": (_CRASH, "splash"),
    "china": (_CRASH, "china"),
    "tom_high": (Pad(YELLOW), "tom_high"),
    "tom_mid": (Pad(BLUE), "tom_mid"),
    "tom_low": (Pad(GREEN), "tom_low"),
    "aux_percussion": (Pad(YELLOW), "aux"),
}
# Where a note goes whose colour is taken, the nearest first.
_DETOURS = {YELLOW: (BLUE, GREEN), BLUE: (GREEN, YELLOW), GREEN: (BLUE, YELLOW)}

# What a pad is read as: the drum that most of its notes stand for.
LABELS: dict[Pad, str] = {
    Pad(KICK): "kick",
    _SNARE: "snare",
    _HAT: "hihat_closed",
    _RIDE: "ride_bow",
    _CRASH: "crash",
    Pad(YELLOW): "tom_high",
    Pad(BLUE): "tom_mid",
    Pad(GREEN): "tom_low",
}

MERGED = "strokes of one moment on one drum, written as one"
MOVED = "hits moved to another pad"
LEFT_OUT = "hits left out for want of a free pad"


def assign(hits: list[HitObject], changed: Counter[str]) -> dict[Pad, float]:
    """The pads of one moment's hits, with velocities; what could not be kept is counted in ``changed``.

    >>> changed = Counter()
    >>> assign([HitObject(0, "crash", 0.9), HitObject(0, "tom_low", 0.7)], changed)
    {Pad(colour=4, is_cymbal=True): 0.9, Pad(colour=3, is_cymbal=False): 0.7}
    >>> changed
    Counter({'hits moved to another pad': 1})
    """
    loudest: dict[str, tuple[Pad, float]] = {}
    for hit in hits:
        pad, instrument = PADS[resolve(hit.component)]
        if instrument in loudest:
            changed[MERGED] += 1
        loudest[instrument] = pad, max(hit.velocity, loudest.get(instrument, (pad, 0.0))[1])
    # Sorting is stable and instruments come in the order of the chart, so that equal hits keep their order.
    wanted = sorted(loudest.values(), key=lambda one: (not one[0].is_cymbal, -one[1]))
    taken: dict[int, tuple[Pad, float]] = {}
    waiting = []
    for pad, velocity in wanted:
        if pad.colour in taken:
            waiting.append((pad, velocity))
        else:
            taken[pad.colour] = pad, velocity
    for pad, velocity in waiting:
        free = [colour for colour in _DETOURS[pad.colour] if colour not in taken]
        if free:
            taken[free[0]] = Pad(free[0], pad.is_cymbal), velocity
        changed[MOVED if free else LEFT_OUT] += 1
    return dict(taken[colour] for colour in taken)
