"""Which length is the quarter note, how long the bar is and where it begins.

Hits are placed on the tracked pulse (see ``beats.py``), so that drift of tempo does not matter. Every
reading of the part (length of the quarter in pulses, metre, first beat of a bar) gets a score: do kicks,
snares, hats, toms, rides and crashes fall where drummers put them in such a bar, does the part repeat
after a bar, is the tempo a usual one. The unit is the quarter note throughout: a bar of 6/8 has three,
with accents one and a half apart, one of 7/8 has three and a half.

Source of the numbers: rates by place and weights of the evidence were fitted (the weights as a log-linear
model over all readings, so that scores are log-odds) to the train part of the Groove MIDI dataset (Gillick
et al., 2019, CC BY 4.0), which is nearly all 4/4, and to generated patterns in the other metres; then
rounded. Limits: clear patterns in 3/4, 5/4 and 7/8 are read well, but none of the twelve free performances in
such metres that Groove MIDI holds; treat an odd metre, or its absence in jazz, as a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
        middle_weight: weight of how often the middle one of the three is played: seldom in a shuffle.
    """

    name: str
    quarters: float
    beat: float
    strong: tuple[float, ...]
    back: tuple[float, ...]
    log_prior: float
    third: int = 0
    middle_weight: float = 0.0


# Groove MIDI hardly has 6/8; the middle weight of that metre is set by hand: with all three notes of a beat
# played it gains on a shuffle. A 6/8 of fast dotted quarters still reads as a 4/4 in triplets, as many would
# write it.
METERS = (
    Meter("4/4", 4.0, 1.0, (2.0,), (1.0, 3.0), 0.0),
    Meter("4/4", 4.0, 1.0, (2.0,), (1.0, 3.0), -1.0, third=4, middle_weight=-1.2),
    Meter("3/4", 3.0, 1.0, (), (1.0, 2.0), -2.2),
    Meter("6/8", 3.0, 1.5, (), (1.5,), -1.9, third=6, middle_weight=1.0),
    # Three and two or two and three: both groupings in one template.
    Meter("5/4", 5.0, 1.0, (2.5, 3.0), (1.0, 2.0, 4.0), -2.3),
    Meter("7/8", 3.5, 0.5, (1.5, 2.0), (1.0, 2.5, 3.0), -2.4),
)

_SLOTS = 12  # per quarter; holds sixteenths and triplets
_GROUPS = 6  # KD SD TT HH RD CR, as in beats.GROUPS
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
_SPREAD = 0.15  # share of hits that timing moves one slot to either side
# Kick, snare and crash tell bar and backbeat; toms, hats and ride mostly subdivide.
_GROUP_WEIGHT = np.array([1.0, 1.0, 0.4, 0.4, 0.4, 1.0])

# Lengths of the quarter in pulses: tracking may settle on eighths, halves, dotted or triplet values.
_LEVELS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 2.0, 3.0)
_QUARTER_RANGE_S = (60 / 250, 60 / 40)
_PHASES = 3  # first beats tried per length and metre, best places first
# Distances, in quarters, that the repetition after a bar is held against.
_REPEAT_LAGS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0)
_BLUR = 0.27  # repeated hits count in part when they are a 24th of a pulse off

_PLACE_WEIGHT = 6.5
_SHAPE_WEIGHT = 4.7
_REPEAT_WEIGHT = 5.6
_START_WEIGHT = 1.3
_START_REACH = 0.2  # quarters
# Short quarters fit any part better by chance, so these centres lie on the slow side of usual tempi.
_TEMPO_WEIGHT, _TEMPO_CENTRE_S = -2.9, 0.79
_DENSITY_WEIGHT, _DENSITY_CENTRE = -1.8, 4.1  # moments with a hit, per quarter


@dataclass(frozen=True)
class Reading:
    """One way to hear the part.

    Attributes:
        meter: the metre.
        level: length of a quarter in pulses.
        first: pulse position of the start of a bar, from 0 up to one bar.
        score: log-odds against other readings.
    """

    meter: Meter
    level: float
    first: float
    score: float


def _place(meter: Meter, slot: int) -> str:
    quarter = slot / _SLOTS
    if slot == 0:
        return "down"
    if quarter in meter.strong:
        return "strong"
    if quarter in meter.back:
        return "back"
    if quarter % meter.beat == 0:
        return "beat"
    if meter.third and meter.beat == 1.0:
        return {8: "eighth", 4: "sixteenth"}.get(slot % _SLOTS, "between")
    if slot % 6 == 0:
        return "eighth"
    return "sixteenth" if slot % 3 == 0 else "between"


def _smear(table: FloatArray, share: float) -> FloatArray:
    sides = np.roll(table, 1, axis=1) + np.roll(table, -1, axis=1)
    return (1 - 2 * share) * table + share * sides


def _template(meter: Meter) -> FloatArray:
    """Rate of hits over the slots of a bar, (groups, slots), mean 1 per group."""
    places = [_RATES[_place(meter, slot)] for slot in range(round(meter.quarters * _SLOTS))]
    rate = _smear(np.array(places, dtype=np.float64).T, _SPREAD)
    return rate / rate.mean(axis=1, keepdims=True)


def _unit_rows(table: FloatArray) -> FloatArray:
    centred = table - table.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9)


_TEMPLATES = [_template(meter) for meter in METERS]
_LOG_SPECTRA = [np.conj(np.fft.rfft(np.log(template))) for template in _TEMPLATES]
_UNIT_SPECTRA = [np.conj(np.fft.rfft(_unit_rows(template))) for template in _TEMPLATES]


class _Part:
    """The hits on the pulse, and what all readings share."""

    _FINE = 24  # slots per pulse of the repetition measure

    def __init__(self, position: FloatArray, strengths: FloatArray, groups: IntArray) -> None:
        self.position, self.groups = position, groups
        loud = np.array(
            [np.percentile(strengths[groups == g], 90) if (groups == g).any() else 1 for g in range(_GROUPS)]
        )
        # Strength within a group tells accents from ghost notes; between groups it is a matter of the mix.
        weights = np.clip(strengths / np.maximum(loud[groups], 1e-3), 0.1, 1.0) * _GROUP_WEIGHT[groups]
        self.weights = weights / weights.sum()
        # Hits closer than a slot are one moment.
        moments = 1 + np.sum(np.diff(position) > 1 / self._FINE)
        self.moments_per_pulse = moments / max(position[-1] - position[0], 1.0)
        self._repeats = self._repetition()

    def _repetition(self) -> FloatArray:
        """Share of the part that is there again ``lag / _FINE`` pulses later, for every lag."""
        slot = np.round((self.position - self.position[0]) * self._FINE).astype(np.int64)
        size = int(slot.max()) + 1
        struck = np.zeros((_GROUPS, size))
        struck[self.groups, slot] = 1.0
        signal = _smear(struck, _BLUR)
        spectrum = np.fft.rfft(signal, 1 << (2 * size - 1).bit_length(), axis=1)
        overlap = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :size]
        energy = overlap[:, :1]
        share = np.sqrt(np.maximum(energy, 0)) * _GROUP_WEIGHT[:, None]
        alike = np.divide(overlap, energy, out=np.zeros_like(overlap), where=energy > 0)
        alike *= size / (size - np.arange(size))
        return (alike * share).sum(axis=0) / share.sum()

    def repeats_after(self, pulses: float) -> float:
        """Share that repeats at this distance; NaN where too little of the part overlaps itself to tell."""
        lag = round(pulses * self._FINE)
        return float(self._repeats[lag]) if lag < 0.7 * len(self._repeats) else float("nan")

    def bar_gain(self, level: float, meter: Meter) -> float:
        """How much more of the part repeats after one and two bars than at other distances."""
        others = np.array([self.repeats_after(level * lag) for lag in _REPEAT_LAGS])
        bars = np.array([self.repeats_after(level * meter.quarters * count) for count in (1, 2)])
        if np.isnan(others).all() or np.isnan(bars[0]):
            return 0.0
        gains = bars - np.nanmean(others)
        return float(gains[0] + 0.5 * (gains[0] if np.isnan(gains[1]) else gains[1]))


def _middle_share(slot: IntArray, phase: int, third: int) -> float:
    """How often the middle of three notes is played for each last one, 0..1, less a half."""
    counts = np.bincount((slot - phase) % (3 * third), minlength=3 * third).astype(np.float64)
    counts = counts + 0.5 * (np.roll(counts, 1) + np.roll(counts, -1))
    return min(1.0, counts[third] / max(counts[2 * third], 1e-3)) - 0.5


def _of_meter(part: _Part, level: float, index: int, base: float) -> list[Reading]:
    """The best first beats for one length of the quarter and one metre."""
    meter, size = METERS[index], _TEMPLATES[index].shape[1]
    slot = np.round(part.position / level * _SLOTS).astype(np.int64)
    count = np.bincount(part.groups * size + slot % size, part.weights, minlength=_GROUPS * size)
    table = count.reshape(_GROUPS, size).astype(np.float64)
    place = np.fft.irfft(np.fft.rfft(table) * _LOG_SPECTRA[index], size).sum(axis=0)
    share = np.sqrt(table.sum(axis=1) * _GROUP_WEIGHT)
    shape = _unit_rows(_smear(table, _SPREAD)) * (share / share.sum())[:, None]
    alike = np.fft.irfft(np.fft.rfft(shape) * _UNIT_SPECTRA[index], size).sum(axis=0)
    fixed = base + meter.log_prior + _REPEAT_WEIGHT * part.bar_gain(level, meter)
    left = _PLACE_WEIGHT * place + _SHAPE_WEIGHT * alike
    found = []
    for _ in range(_PHASES):
        phase = int(left.argmax())
        score = fixed + float(left[phase])
        left[[phase - 1, phase, (phase + 1) % size]] = -np.inf
        if meter.third:
            score += meter.middle_weight * _middle_share(slot, phase, meter.third)
        # Parts mostly begin on the first beat of a bar.
        ahead = (part.position[0] / level * _SLOTS - phase) / size
        score += _START_WEIGHT * (abs(ahead - round(ahead)) * meter.quarters < _START_REACH)
        found.append(Reading(meter, level, phase * level / _SLOTS, score))
    return found


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
    part = _Part(position, strengths, groups)
    found: list[Reading] = []
    for level in _LEVELS:
        quarter_s = level * pulse_period_s
        if _QUARTER_RANGE_S[0] <= quarter_s <= _QUARTER_RANGE_S[1]:
            density = part.moments_per_pulse * level
            base = _TEMPO_WEIGHT * np.log(quarter_s / _TEMPO_CENTRE_S) ** 2
            base += _DENSITY_WEIGHT * np.log(density / _DENSITY_CENTRE) ** 2
            for index in range(len(METERS)):
                found += _of_meter(part, level, index, float(base))
    return sorted(found, key=lambda reading: -reading.score)


def likelihood(found: list[Reading]) -> float:
    """Probability of the first reading's quarter length and metre among all readings, 0..1."""
    scores = np.exp(np.array([reading.score for reading in found]) - found[0].score)
    same = [r.level == found[0].level and r.meter.name == found[0].meter.name for r in found]
    return float(scores[same].sum() / scores.sum())
