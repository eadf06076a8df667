"""What speaks for a reading of a drum part: figures that the weights of ``meter.py`` turn into a score.

A reading is a length of the quarter in pulses, a metre and a first beat. Its evidence:

- place: do hits fall where drummers put them in such a bar (mean log rate of their places); crashes by
  themselves were tried and lead astray, since many come before the bar and open hats are taken for them;
- shape: cosine between the histogram over the bar and the template;
- repeat: how much more of the part is there again one and two bars later than at other distances;
- excess: how much more of kick and snare is there again after a bar than after the best distance that is no
  number of bars. It needs no template, and it is what tells odd metres;
- start: the part begins on the first beat of a bar;
- tempo, density: how usual the quarter's length and the number of moments in it are (squared log ratios);
- middle: how often the middle of three notes is played, which parts 6/8 from a shuffle.

Units: positions in pulses, places in slots of a twelfth of a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

SLOTS = 12  # per quarter; holds sixteenths and triplets
GROUPS = 6  # KD SD TT HH RD CR, as in beats.GROUPS
SPREAD = 0.15  # share of hits that timing moves one slot to either side

EVIDENCE = (
    "place", "shape", "repeat", "excess", "start", "tempo", "density", "middle_44", "middle_68",
)  # fmt: skip

# Kick, snare and crash tell bar and backbeat; toms, hats and ride mostly subdivide.
_GROUP_WEIGHT = np.array([1.0, 1.0, 0.4, 0.4, 0.4, 1.0])
_DRUMS = [0, 1]
_START_REACH = 0.2  # quarters
# Distances, in quarters, that the repetition after a bar is held against.
_REPEAT_LAGS = np.array([2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0])
_BLUR = 0.27  # repeated hits count in part when they are a 24th of a pulse off
# The longest distance of any reading: two bars of 5/4 whose quarter is three pulses long.
_LONGEST_PULSES = 30
# Slots that are transformed at a time: with the lags 2**17, more than any song has (22 minutes of four pulses
# a second), so that a long one takes no more memory.
_BLOCK_SLOTS = 130_000
_OVERLAP = 0.7  # share of the part up to which a distance is looked at: beyond, too little overlaps
# Short quarters fit any part better by chance, so these centres lie on the slow side of usual tempi.
_TEMPO_CENTRE_S = 0.79
_DENSITY_CENTRE = 4.1  # moments with a hit, per quarter


@dataclass(frozen=True)
class Template:
    """A metre as the evidence sees it.

    Attributes:
        quarters, beat: lengths of the bar and of the counted beat.
        third: distance of the notes that divide a beat by three, in slots, or 0 for even division.
        rates: hits per slot of the bar, (groups, slots), mean 1 per group.
    """

    quarters: float
    beat: float
    third: int
    rates: FloatArray


def smear(table: FloatArray, share: float) -> FloatArray:
    """Move a share of each slot to either neighbour, round the end."""
    sides = np.roll(table, 1, axis=1) + np.roll(table, -1, axis=1)
    return (1 - 2 * share) * table + share * sides


def _unit_rows(table: FloatArray) -> FloatArray:
    centred = table - table.mean(axis=1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9)


def _middle_share(slot: IntArray, phase: int, third: int) -> float:
    """How often the middle of three notes is played for each last one, 0..1, less a half."""
    counts = np.bincount((slot - phase) % (3 * third), minlength=3 * third).astype(np.float64)
    counts = counts + 0.5 * (np.roll(counts, 1) + np.roll(counts, -1))
    return min(1.0, counts[third] / max(counts[2 * third], 1e-3)) - 0.5


def _blurred(slot: IntArray, size: int, first: int, last: int) -> FloatArray:
    """Slots ``first`` to ``last`` of those that are struck, as :func:`smear` would leave them."""
    # The last slot is the left neighbour of the first.
    around = np.concatenate((slot[slot == size - 1] - size, slot, slot[slot == 0] + size))
    low, high = np.searchsorted(around, (first - 1, last + 1))
    struck = np.zeros(last - first + 2)
    struck[around[low:high] - (first - 1)] = 1.0
    return (1 - 2 * _BLUR) * struck[1:-1] + _BLUR * (struck[:-2] + struck[2:])


def _autocorrelation(signal: FloatArray, lags: int) -> FloatArray:
    spectrum = np.fft.rfft(signal, 1 << (2 * len(signal) - 1).bit_length())
    found = np.zeros(lags)
    found[: len(signal)] = np.fft.irfft(np.abs(spectrum) ** 2)[: min(lags, len(signal))]
    return found


def _overlap(slot: IntArray, size: int, lags: int) -> FloatArray:
    """Autocorrelation of the blurred slots, (lags,).

    Args:
        slot: ascending, 0 up to ``size``, may repeat.
        size: number of slots.
        lags: how many lags, at most ``size``.
    """
    total = np.zeros(lags)
    for first in range(0, size, _BLOCK_SLOTS):
        next_first = min(first + _BLOCK_SLOTS, size)
        last = min(next_first + lags - 1, size)
        total += _autocorrelation(_blurred(slot, size, first, last), lags)
        if last > next_first:  # pairs that begin behind the block are the next one's
            total -= _autocorrelation(_blurred(slot, size, next_first, last), lags)
    return total


class Part:
    """The hits on the pulse, and what all readings share."""

    _FINE = 24  # slots per pulse of the repetition measure

    def __init__(self, position: FloatArray, strengths: FloatArray, groups: IntArray, pulse_s: float) -> None:
        self.position, self.groups, self.pulse_s = position, groups, pulse_s
        loud = np.array(
            [np.percentile(strengths[groups == g], 90) if (groups == g).any() else 1 for g in range(GROUPS)]
        )
        # Strength within a group tells accents from ghost notes; between groups it is a matter of the mix.
        self._accent = np.clip(strengths / np.maximum(loud[groups], 1e-3), 0.1, 1.0)
        # Hits closer than a slot are one moment.
        moments = 1 + np.sum(np.diff(position) > 1 / self._FINE)
        self._moments_per_pulse = moments / max(position[-1] - position[0], 1.0)
        self._repeats = self._repetition()

    def _repetition(self) -> FloatArray:
        """Share there again ``lag / _FINE`` pulses later, (kick and snare, all groups) by lag."""
        slot = np.round((self.position - self.position[0]) * self._FINE).astype(np.int64)
        self._slots = int(slot.max()) + 1
        lags = min(self._slots, _LONGEST_PULSES * self._FINE + 1)
        overlap = np.array([
            _overlap(slot[self.groups == group], self._slots, lags) for group in range(GROUPS)
        ])  # fmt: skip
        energy = overlap[:, :1]
        alike = np.divide(overlap, energy, out=np.zeros_like(overlap), where=energy > 0)
        alike *= self._slots / (self._slots - np.arange(lags))
        share = np.sqrt(np.maximum(energy, 0)) * _GROUP_WEIGHT[:, None]
        return np.stack([
            (alike[rows] * share[rows]).sum(axis=0) / max(float(share[rows].sum()), 1e-9)
            for rows in (_DRUMS, list(range(GROUPS)))
        ])  # fmt: skip

    def _repeats_after(self, pulses: FloatArray) -> FloatArray:
        """Shares that repeat at these distances, (2, distances); NaN where too little overlaps to tell."""
        lag = np.round(pulses * self._FINE).astype(np.int64)
        known = lag < _OVERLAP * self._slots
        return np.where(known, self._repeats[:, np.where(known, lag, 0)], np.nan)

    def _repeat_gains(self, level: float, quarters: float) -> tuple[float, float]:
        """The evidence ``repeat`` and ``excess``."""
        (drum_others, others), (drum_bars, bars) = (
            self._repeats_after(level * quarters_away)
            for quarters_away in (_REPEAT_LAGS, quarters * np.array([1.0, 2.0]))
        )
        known = ~np.isnan(others)
        foreign = known & (_REPEAT_LAGS % quarters != 0)
        if np.isnan(bars[0]) or not foreign.any():
            return 0.0, 0.0
        first, second = bars - others[known].mean()
        gain = first + 0.5 * (first if np.isnan(second) else second)
        return float(gain), float(drum_bars[0] - drum_others[foreign].max())

    def evidence(
        self, template: Template, level: float, phases: int, rank: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """The best first beats for one length of the quarter and one metre.

        Args:
            template: the metre.
            level: length of the quarter in pulses.
            phases: how many first beats.
            rank: weights of the first two kinds of evidence, by which the first beats are chosen.

        Returns:
            First beats in slots, (phases,), and their evidence, (phases, len(EVIDENCE)).
        """
        size = template.rates.shape[1]
        slot = np.round(self.position / level * SLOTS).astype(np.int64)
        count = np.bincount(self.groups * size + slot % size, self._accent, minlength=GROUPS * size)
        table = count.reshape(GROUPS, size).astype(np.float64)
        logs = np.conj(np.fft.rfft(np.log(template.rates)))
        place = np.fft.irfft(np.fft.rfft(table) * logs, size) * _GROUP_WEIGHT[:, None]
        share = np.sqrt(table.sum(axis=1)) * _GROUP_WEIGHT
        shape = _unit_rows(smear(table, SPREAD)) * (share / share.sum())[:, None]
        alike = np.fft.irfft(np.fft.rfft(shape) * np.conj(np.fft.rfft(_unit_rows(template.rates))), size)
        overall = place.sum(axis=0) / float(table.sum(axis=1) @ _GROUP_WEIGHT)
        by_phase = np.stack((overall, alike.sum(axis=0)))
        left = rank @ by_phase
        chosen = []
        for _ in range(phases):
            phase = int(left.argmax())
            chosen.append(phase)
            left[[phase - 1, phase, (phase + 1) % size]] = -np.inf
        tempo = np.log(level * self.pulse_s / _TEMPO_CENTRE_S)
        density = np.log(self._moments_per_pulse * level / _DENSITY_CENTRE)
        shared = [*self._repeat_gains(level, template.quarters), 0.0, tempo**2, density**2, 0.0, 0.0]
        found = np.empty((phases, len(EVIDENCE)))
        for row, phase in zip(found, chosen, strict=True):
            row[:2], row[2:] = by_phase[:, phase], shared
            ahead = (self.position[0] / level * SLOTS - phase) / size
            row[4] = abs(ahead - round(ahead)) * template.quarters < _START_REACH
            if template.third:
                row[7 if template.beat == 1.0 else 8] = _middle_share(slot, phase, template.third)
        return np.array(chosen), found
