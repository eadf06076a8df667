"""Drum fills: what is played in the last beats of a section, over the snare and the toms.

Conventions: steps are those of the style's grid, counted from the fill's first; velocity 0..1.
"""

from __future__ import annotations

import numpy as np

FillNote = tuple[float, str, float]  # step, label, velocity

_AROUND = ("snare", "tom_high", "tom_mid", "tom_low")
# How often each shape is played; adds up to 1.
_SHAPES = (("around", 0.42), ("up", 0.1), ("roll", 0.13), ("toms", 0.2), ("stabs", 0.15))


def _shape(rng: np.random.Generator, shape: str, count: int) -> list[str]:
    """The drum of each of ``count`` strokes."""
    if shape == "around":
        # Down the kit, an equal stretch on each drum; short fills skip drums at random.
        drums = sorted(rng.choice(4, size=min(4, max(2, count // 2)), replace=False).tolist())
        return [_AROUND[drums[index * len(drums) // count]] for index in range(count)]
    if shape == "up":
        return [_AROUND[3 - index * 4 // count] for index in range(count)]
    if shape == "roll":
        return ["snare"] * count
    if shape == "toms":
        pair = rng.choice(("tom_high", "tom_mid", "tom_low"), size=2, replace=False)
        return [str(pair[index // 2 % 2]) for index in range(count)]
    return [str(rng.choice(("snare", "crash", "crash2", "china", "tom_low", "splash"))) for _ in range(count)]


def fill_notes(rng: np.random.Generator, steps: int, steps_per_quarter: int) -> list[FillNote]:
    """One fill.

    Args:
        rng: source of its shape, density and accents.
        steps: its length on the grid.
        steps_per_quarter: 4, or 3 in triplet styles.

    >>> notes = fill_notes(np.random.default_rng(2), 8, 4)
    >>> all(0 <= step < 8 and 0.0 < velocity <= 1.0 for step, _, velocity in notes)
    True
    """
    shape = str(rng.choice([name for name, _ in _SHAPES], p=[share for _, share in _SHAPES]))
    # Every step, or every other one; cymbal stabs always leave room.
    stride = 2 if shape == "stabs" or (steps_per_quarter == 4 and rng.random() < 0.25) else 1
    positions = list(range(0, steps, stride))
    labels = _shape(rng, shape, len(positions))
    rising = shape == "roll" or rng.random() < 0.4
    kicks = rng.random() < 0.5
    notes: list[FillNote] = []
    for index, (step, label) in enumerate(zip(positions, labels, strict=True)):
        if shape != "stabs" and len(positions) > 3 and rng.random() < 0.1:
            continue  # a gap, so that fills breathe
        progress = index / max(1, len(positions) - 1)
        velocity = 0.45 + 0.5 * progress if rising else (0.9 if step % steps_per_quarter == 0 else 0.7)
        notes.append((float(step), label, velocity))
        if shape == "stabs" or (kicks and step % steps_per_quarter == 0):
            notes.append((float(step), "kick", 0.8))
    return notes
