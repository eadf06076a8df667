"""Which length is the quarter note, how long the bar is and where it begins.

Hits are placed on the tracked pulse (see ``beats.py``), so that drift of tempo does not matter. Every
reading of the part (length of the quarter in pulses, metre, first beat of a bar) gets a score, the weighted
sum of the evidence of ``meter_evidence.py``. The unit is the quarter note throughout: a bar of 6/8 has three,
with accents one and a half apart, one of 7/8 has three and a half.

Source of the numbers: rates by place were counted in the train part of the Groove MIDI dataset (Gillick et
al., 2019, CC BY 4.0), which is nearly all 4/4; weights and priors were fitted to it and to generated parts in
all metres (``benchmarks/fit_meters.py``: a log-linear model over all readings, so that scores are log-odds),
then rounded. By hand: fitted weights and odd priors stand a few per cent under what the fit prints, in favour
of 4/4, and the prior of 6/8 is lowered by 0.2 for slow shuffles. Limits: most of the eleven free performances
in 3/4, 6/8 and 5/4 that Groove MIDI holds are not read rightly (``benchmarks/beats.py``); odd metres with a
clear pattern are. Take an odd metre, or its absence in jazz, as a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from beatsight.transcription.meter_evidence import SLOTS, SPREAD, Part, Template, smear

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Meter:
    """A time signature as a drummer plays it.

    Attributes:
        name: as written, e.g. ``6/8``.
        quarters: length of the bar in quarters.
        beat: length of the counted beat in quarters; the conductor's beat, as in pretty_midi: a dotted
            quarter in 6/8, an eighth in 7/8.
        strong: places of the lesser kick accents, in quarters from the start of the bar.
        back: places of the snare accents.
        log_prior: against straight 4/4.
        third: distance of the notes that divide a beat by three, in slots, or 0 for even division.
    """

    name: str
    quarters: float
    beat: float
    strong: tuple[float, ...]
    back: tuple[float, ...]
    log_prior: float
    third: int = 0


# Triplet feel has a 4/4, 3/4 and 5/4 of its own. A 6/8 of fast dotted quarters reads as a 4/4 in triplets, as
# many would write it.
METERS = (
    Meter("4/4", 4.0, 1.0, (2.0,), (1.0, 3.0), 0.0),
    Meter("4/4", 4.0, 1.0, (2.0,), (1.0, 3.0), -1.2, third=4),
    Meter("3/4", 3.0, 1.0, (), (1.0, 2.0), -2.3),
    Meter("3/4", 3.0, 1.0, (), (1.0, 2.0), -3.6, third=4),
    Meter("6/8", 3.0, 1.5, (), (1.5,), -2.7, third=6),
    # Three and two or two and three: both groupings in one template.
    Meter("5/4", 5.0, 1.0, (2.5, 3.0), (1.0, 2.0, 4.0), -1.7),
    Meter("5/4", 5.0, 1.0, (2.5, 3.0), (1.0, 2.0, 4.0), -2.9, third=4),
    Meter("7/8", 3.5, 0.5, (1.5, 2.0), (1.0, 2.5, 3.0), -1.7),
)

# Hits per place, each group divided by its mean: 4/4 train grooves of Groove MIDI.
_RATES = {
    "down": (9.0, 1.2, 2.3, 4.2, 5.0, 17.0),
    "strong": (5.5, 1.8, 2.3, 4.2, 4.6, 3.0),
    "back": (2.7, 6.5, 3.0, 5.0, 5.4, 2.7),
    "beat": (2.5, 1.8, 2.5, 4.2, 4.6, 2.5),
    "eighth": (2.0, 1.4, 1.8, 2.8, 2.6, 1.0),
    "sixteenth": (0.8, 1.1, 1.1, 0.6, 0.4, 0.2),
    "between": (0.3, 0.4, 0.4, 0.2, 0.3, 0.2),
}

# Lengths of the quarter in pulses: tracking may settle on eighths, halves, dotted or triplet values.
_LEVELS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0)
_QUARTER_RANGE_S = (60 / 250, 60 / 40)
_PHASES = 3  # first beats tried per length and metre, best places first
# In the order of ``meter_evidence.EVIDENCE``.
_WEIGHTS = np.array([7.3, 4.7, 6.8, 1.9, 1.3, -2.9, -1.8, -1.2, 1.0])


@dataclass(frozen=True)
class Reading:
    """One way to hear the part.

    Attributes:
        meter: the metre.
        level: length of a quarter in pulses.
        first: pulse position of the start of a bar, from 0 up to one bar.
        score: log-odds against other readings.
        evidence: the figures of ``meter_evidence.EVIDENCE``.
    """

    meter: Meter
    level: float
    first: float
    score: float
    evidence: FloatArray


def _place(meter: Meter, slot: int) -> str:
    quarter = slot / SLOTS
    if slot == 0:
        return "down"
    if quarter in meter.strong:
        return "strong"
    if quarter in meter.back:
        return "back"
    if quarter % meter.beat == 0:
        return "beat"
    if meter.third and meter.beat == 1.0:
        return {8: "eighth", 4: "sixteenth"}.get(slot % SLOTS, "between")
    if slot % 6 == 0:
        return "eighth"
    return "sixteenth" if slot % 3 == 0 else "between"


def _template(meter: Meter) -> Template:
    places = [_RATES[_place(meter, slot)] for slot in range(round(meter.quarters * SLOTS))]
    rate = smear(np.array(places, dtype=np.float64).T, SPREAD)
    return Template(meter.quarters, meter.beat, meter.third, rate / rate.mean(axis=1, keepdims=True))


_TEMPLATES = [_template(meter) for meter in METERS]


def readings(
    position: FloatArray, strengths: FloatArray, groups: IntArray, pulse_period_s: float
) -> list[Reading]:
    """All readings of a part, the most likely first.

    Args:
        position: ascending positions of the hits on the pulse, in pulses.
        strengths: 0..1 per hit.
        groups: index into ``beats.GROUPS`` per hit.
        pulse_period_s: typical length of a pulse in seconds, for how usual a tempo is.
    """
    part = Part(position, strengths, groups, pulse_period_s)
    found: list[Reading] = []
    for level in _LEVELS:
        if not _QUARTER_RANGE_S[0] <= level * pulse_period_s <= _QUARTER_RANGE_S[1]:
            continue
        for meter, template in zip(METERS, _TEMPLATES, strict=True):
            firsts, evidence = part.evidence(template, level, _PHASES, _WEIGHTS[:2])
            scores = meter.log_prior + evidence @ _WEIGHTS
            found += [
                Reading(meter, level, int(first) * level / SLOTS, float(score), figures)
                for first, score, figures in zip(firsts, scores, evidence, strict=True)
            ]
    return sorted(found, key=lambda reading: -reading.score)


def likelihood(found: list[Reading]) -> float:
    """Probability of the first reading's quarter length and metre among all readings, 0..1."""
    scores = np.exp(np.array([reading.score for reading in found]) - found[0].score)
    same = [r.level == found[0].level and r.meter.name == found[0].meter.name for r in found]
    return float(scores[same].sum() / scores.sum())
