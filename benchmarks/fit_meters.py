"""Fit the weights of ``transcription/meter.py``: ``python benchmarks/fit_meters.py --grooves grooves``.

A log-linear model over all readings of a part (softmax; several readings may be right), with a ridge, so that
scores are log-odds. Parts: excerpts of Groove MIDI's train split (Gillick et al., 2019, CC BY 4.0), and
generated parts of all styles in all meters that they can be played in, of seeds that ``benchmarks/beats.py``
does not use; half of them with hits missing, false and confused. ``SHARES`` says how much each kind counts.
Prints the weights as they stand in ``meter.py``; nothing is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from beats import BARS, Part, degraded, read_grooves
from scipy.optimize import minimize
from scipy.special import logsumexp

from beatsight.synth.grooves import make_groove
from beatsight.synth.styles import METERS as SYNTH_METERS
from beatsight.synth.styles import STYLES, grid
from beatsight.transcription.beats import pulse_position, track_pulse
from beatsight.transcription.meter import METERS, readings
from beatsight.transcription.meter_evidence import EVIDENCE
from beatsight.transcription.tempo import _checked

# Of the evidence, by kind of part. Most music is in 4/4.
SHARES = {"groove 4/4": 0.6, "groove odd": 0.05, "synth 4/4": 0.1, "synth odd": 0.25}
# Where the bar begins is often open (two halves alike); the rest counts for itself.
QUARTER_PART = 0.75
RIDGE = 3e-3
EXCERPT_S = (20.0, 75.0)
EXCERPTS_44, EXCERPTS_ODD, SEEDS = 2, 8, 4
FIRST_SEED = 500
# The ridge draws the weights here: those of a model of 4/4 alone, fitted to whole takes of the same split.
CENTRE = {
    "place": 6.5, "shape": 4.7, "repeat": 5.6, "start": 1.3, "tempo": -2.9,
    "density": -1.8, "middle_44": -1.2, "middle_68": 1.0,
}  # fmt: skip
# Stay there: what tempo is usual is not to be learnt from takes at 50 and 215 a minute, which the dataset has
# for the sake of variety, nor from generated parts how music begins or what is a shuffle.
HELD = ("start", "tempo", "density", "middle_44", "middle_68")
CENTRE_METERS = (-1.0, -2.2, -3.2, -1.9, -2.3, -3.3, -2.4)


@dataclass(frozen=True)
class Example:
    """All readings of a part: evidence, metre, whether right with the first beat, and without it."""

    kind: str
    evidence: np.ndarray
    meters: np.ndarray
    right: np.ndarray
    quarter_right: np.ndarray


def excerpts(part: Part, count: int, rng: np.random.Generator) -> Iterator[Part]:
    """Pieces of a take, as songs of their own."""
    for _ in range(count):
        length = rng.uniform(*EXCERPT_S)
        start = rng.uniform(0, max(part.duration_s - length, 0.0))
        # Most parts begin with a bar; some recordings do not.
        if rng.random() < 0.7:
            start = float(part.downbeats_s[np.abs(part.downbeats_s - start).argmin()]) - 0.06
        hits = [(t - start, v, x) for t, v, x in part.hits if start <= t < start + length]
        if len(hits) < 30:
            continue
        yield replace(
            part,
            hits=hits,
            beats_s=part.beats_s - start,
            downbeats_s=part.downbeats_s - start,
            duration_s=hits[-1][0] + 0.5,
        )


def parts(grooves: Path) -> Iterator[tuple[str, Part]]:
    """All parts with their kind."""
    rng = np.random.default_rng(0)
    for odd, count, kind in ((False, EXCERPTS_44, "groove 4/4"), (True, EXCERPTS_ODD, "groove odd")):
        for take in read_grooves(grooves, odd, "train"):
            for part in excerpts(take, count, rng):
                yield kind, part
    for index, (name, style) in enumerate(STYLES.items()):
        for meter in SYNTH_METERS.values():
            # A shuffle stays one, whatever is written.
            if grid(style, meter) is None or (meter.name == "6/8" and style.steps == 3):
                continue
            for seed in range(SEEDS):
                own = np.random.default_rng([FIRST_SEED, index, seed, len(meter.name), int(meter.name[0])])
                played = make_groove(own, name, meter.name, None, float(own.uniform(*EXCERPT_S)))
                hits = [(hit.onset_s, hit.velocity, hit.label) for hit in played.hits]
                bpm = played.tempo_bpm * BARS[meter.name][1]
                kind = "synth 4/4" if meter.name == "4/4" else "synth odd"
                yield (
                    kind,
                    Part(name, hits, played.beats_s, played.downbeats_s, meter.name, bpm, hits[-1][0] + 0.5),
                )


def example(kind: str, part: Part) -> Example:
    """The readings of a part, and which of them are right."""
    times, strengths, groups = _checked(*(list(column) for column in zip(*part.hits, strict=True)))
    pulse, _ = track_pulse(times, strengths, groups)
    period = float(pulse[-1] - pulse[0]) / (len(pulse) - 1)
    found = readings(pulse_position(times, pulse), strengths, groups, period)
    inside = part.downbeats_s[(part.downbeats_s > times[0]) & (part.downbeats_s < times[-1])]
    bars = pulse_position(inside, pulse)
    right, quarter_right = [], []
    for reading in found:
        same = reading.meter.name == part.meter and abs(reading.level * period * part.bpm / 60 - 1) < 0.04
        quarter_right.append(bool(same))
        length = reading.level * reading.meter.quarters
        away = (bars - reading.first + length / 2) % length - length / 2
        right.append(bool(same and len(away) and np.median(np.abs(away)) < 0.2 * reading.level))
    return Example(
        kind,
        np.array([reading.evidence for reading in found]),
        np.array([METERS.index(reading.meter) for reading in found]),
        np.array(right),
        np.array(quarter_right),
    )


def fit(examples: list[Example]) -> np.ndarray:
    """Weights of the evidence, then of the metres but the first."""
    number = {kind: sum(x.kind == kind for x in examples) for kind in SHARES}
    designs = [np.concatenate((x.evidence, np.eye(len(METERS))[x.meters][:, 1:]), axis=1) for x in examples]

    centre = np.array([*(CENTRE.get(name, 0.0) for name in EVIDENCE), *CENTRE_METERS])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        off = weights - centre
        value, slope = RIDGE * float(off @ off), 2 * RIDGE * off
        for x, design in zip(examples, designs, strict=True):
            score = design @ weights
            every = logsumexp(score)
            for goal, part in ((x.quarter_right, QUARTER_PART), (x.right, 1 - QUARTER_PART)):
                if not goal.any():
                    continue
                share = part * SHARES[x.kind] / number[x.kind]
                right = logsumexp(score[goal])
                value += share * (every - right)
                slope = (
                    slope
                    + share * (np.exp(score - every) - np.where(goal, np.exp(score - right), 0.0)) @ design
                )
        return value, slope

    held = [name in HELD for name in EVIDENCE] + [False] * len(CENTRE_METERS)
    bounds = [(value, value) if fixed else (None, None) for value, fixed in zip(centre, held, strict=True)]
    return minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds).x


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description="Fit the weights of the metre's evidence.")
    parser.add_argument("--grooves", type=Path, required=True, help="the Groove MIDI dataset, with info.csv")
    given = parser.parse_args()
    examples = []
    for index, (kind, part) in enumerate(parts(given.grooves)):
        examples.append(example(kind, degraded(part, index) if index % 2 else part))
    usable = [x for x in examples if x.quarter_right.any()]
    weights = fit(usable)
    for kind in SHARES:
        mine = [x for x in usable if x.kind == kind]
        of_meters = np.concatenate((weights[: len(EVIDENCE)], [0.0], weights[len(EVIDENCE) :]))
        best = [
            x.right[(x.evidence @ of_meters[: len(EVIDENCE)] + of_meters[len(EVIDENCE) :][x.meters]).argmax()]
            for x in mine
        ]
        print(
            f"{kind}: {len(mine)} of {sum(x.kind == kind for x in examples)} usable, "
            f"{np.mean(best):.3f} right"
        )
    for name, weight in zip(EVIDENCE, weights, strict=False):
        print(f"{name}: {weight:.2f}")
    for meter, weight in zip(METERS, [0.0, *weights[len(EVIDENCE) :]], strict=True):
        print(f"{meter.name} third={meter.third}: {weight:.2f}")


if __name__ == "__main__":
    main()
