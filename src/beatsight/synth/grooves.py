"""Performances: a drummer plays one of ten styles in one of five meters, with fills and human timing.

Conventions: times in seconds from the start of the song; velocity and openness 0..1. Beats are those of the
meter (dotted quarters in 6/8, eighths in 7/8). Beats follow the drummer's slow drift; hits lie around them
with swing, a habit per drum and a Gaussian error of a few milliseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beatsight.errors import UsageError
from beatsight.synth.feel import Feel, Hit, Note, beat_times, humanise
from beatsight.synth.fills import fill_notes
from beatsight.synth.kit import DEFAULT_OPENNESS
from beatsight.synth.styles import (
    METERS,
    SPARSE_INSTRUMENTS,
    SPARSE_KEEPER,
    STYLES,
    Meter,
    Style,
    grid,
)
from beatsight.taxonomy import is_hihat

# Tempi that :func:`make_groove` accepts; what it draws by itself lies between 60 and 190.
TEMPO_LIMITS_BPM = (40.0, 300.0)
# Two beats fit into this at the slowest tempo, whatever the lead-in.
MIN_DURATION_S = 3.0
# No hit so close to the end that its attack would be cut.
_END_MARGIN_S = 0.25
# A section is four bars where that is about so long, else two.
_SECTION_S = 9.0
_VELOCITY = {"X": 0.9, "x": 0.68, "l": 0.42, "g": 0.16, "o": 0.78, "s": 0.62}
# Which cymbals open sections: dealt like cards, so that the rarer ones come round in every song.
_OPENERS = (*("crash",) * 4, *("crash2",) * 3, *("china",) * 3, "splash")


@dataclass(frozen=True)
class Performance:
    """What was played, and the time it was played to.

    Attributes:
        hits: strokes, sorted by time.
        beats_s: beat times, shape (beats,).
        downbeats_s: times of the first beats of bars, shape (bars,).
        tempo_map: (time in s, beats per minute) from each downbeat on.
        tempo_bpm: the tempo aimed at, beats per minute.
    """

    style: str
    meter: Meter
    tempo_bpm: float
    hits: tuple[Hit, ...]
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    tempo_map: tuple[tuple[float, float], ...]


def _pick(rng: np.random.Generator, weighted: tuple[tuple[str, float], ...]) -> str:
    weights = np.array([weight for _, weight in weighted])
    return weighted[int(rng.choice(len(weighted), p=weights / weights.sum()))][0]


def _openness(rng: np.random.Generator, label: str) -> float | None:
    if not is_hihat(label):
        return None
    if label == "hihat_pedal":
        return 0.0
    spread = 0.03 if label == "hihat_closed" else 0.1
    return float(np.clip(abs(DEFAULT_OPENNESS[label] + rng.normal(0.0, spread)), 0.0, 1.0))


class _Section:
    """A few bars of one groove: the lines are chosen once and varied a little in every bar."""

    def __init__(self, rng: np.random.Generator, style: Style, meter: Meter) -> None:
        self._rng = rng
        self._style = style
        steps = grid(style, meter)
        assert steps is not None
        self._steps = steps
        self._kick = style.kick[rng.integers(len(style.kick))]
        self._snare = style.snare[rng.integers(len(style.snare))]
        self.keeper = _pick(rng, style.keepers)
        sparse = self.keeper in SPARSE_INSTRUMENTS and style.steps == 4
        lines = SPARSE_KEEPER if sparse else style.keeper
        self._line = lines[rng.integers(len(lines))]
        self._extras = [(label, line) for label, line, chance in style.extras if rng.random() < chance]
        self._foot = ""
        if not self.keeper.startswith("hihat") and rng.random() < 0.65:
            self._foot = "hihat_foot_splash" if rng.random() < 0.3 else "hihat_pedal"

    def _add(self, notes: list[Note], at: float, label: str, mark: str) -> None:
        notes.append(Note(at, label, _VELOCITY[mark], _openness(self._rng, label)))

    def _keeper_label(self, mark: str) -> str:
        if mark == "o" and self.keeper == "hihat_closed":
            return "hihat_open"
        if mark == "o" and self.keeper == "ride_bow":
            return "ride_bell"
        return self.keeper

    def _snare_label(self, mark: str) -> str:
        if mark == "s":
            return "cross_stick"
        return "rimshot" if mark == "X" and self._rng.random() < self._style.rimshots else "snare"

    def bar(self, first_step: int) -> list[Note]:
        """The notes of one bar that starts at ``first_step``."""
        rng, notes = self._rng, list[Note]()
        opened = rng.random() < 0.12 and self.keeper == "hihat_closed"
        for offset, source in enumerate(self._steps):
            at = first_step + offset
            kick, snare, keep = self._kick[source], self._snare[source], self._line[source]
            # Drummers vary their off-beat kicks; the ones that carry the bar stay.
            if (kick == "x" and rng.random() < 0.12) or (kick == "." and rng.random() < 0.015):
                kick = "." if kick == "x" else "x"
            if kick != ".":
                self._add(notes, at, "kick", kick)
            if snare == "." and source % 2 and rng.random() < self._style.ghosts * 0.5:
                snare = "g"
            if snare != ".":
                self._add(notes, at, self._snare_label(snare), snare)
            if opened and offset >= len(self._steps) - 2 and keep in "xXl":
                keep, opened = "o", False
            if keep != ".":
                self._add(notes, at, self._keeper_label(keep), keep)
            if self._foot and self._style.pedal[source] != ".":
                self._add(notes, at, self._foot, "x")
            for label, line in self._extras:
                if line[source] != ".":
                    self._add(notes, at, label, line[source])
        return notes


def _open_section(rng: np.random.Generator, step: int, label: str, notes: list[Note]) -> list[Note]:
    """Put a cymbal and the kick on a downbeat, in place of the time keeper's note."""
    replaced = {"ride_bow", "ride_bell", "ride_edge", "china", "kick", label}
    kept = [
        note for note in notes if note.step != step or not (note.label in replaced or is_hihat(note.label))
    ]
    kept.append(Note(step, label, 0.92))
    kept.append(Note(step, "kick", 0.9))
    if label == "crash" and rng.random() < 0.35:
        kept.append(Note(step, "crash2", 0.88))
    elif rng.random() < 0.3:
        kept.append(Note(step, "hihat_pedal", 0.5, 0.0))
    return kept


def _compose(rng: np.random.Generator, style: Style, meter: Meter, bars: int, bar_s: float) -> list[Note]:
    """All notes of a song on the grid."""
    steps = grid(style, meter)
    assert steps is not None
    per_bar, per_beat = len(steps), len(steps) // meter.beats
    length = 4 if 4 * bar_s <= _SECTION_S else 2
    notes: list[Note] = []
    deck = rng.permutation(_OPENERS)
    for first in range(0, bars, length):
        section = _Section(rng, style, meter)
        last = min(first + length, bars) - 1
        for bar in range(first, last + 1):
            start = bar * per_bar
            played = section.bar(start)
            if bar == first and (first == 0 or rng.random() < 0.9):
                opener = str(deck[first // length % len(deck)])
                played = _open_section(rng, start, opener, played)
            elif rng.random() < 0.22:
                accent = _pick(rng, (("crash", 0.1), ("crash2", 0.35), ("splash", 0.15), ("china", 0.4)))
                played.append(Note(start, accent, 0.8))
            if (bar == last and rng.random() < 0.9) or rng.random() < 0.08:
                # Quarter-long beats get fills of one to four beats; eighth-long ones twice as many.
                beats = min(
                    meter.beats - 1, int(rng.integers(1, 5)) * (2 if meter.quarters_per_beat < 1 else 1)
                )
                fill_at = start + per_bar - beats * per_beat
                played = [note for note in played if note.step < fill_at]
                fill = fill_notes(rng, beats * per_beat, style.steps)
                played.extend(Note(fill_at + step, label, velocity) for step, label, velocity in fill)
            notes.extend(played)
    return notes


def _choose(
    rng: np.random.Generator, style: str | None, meter: str | None, tempo_bpm: float | None
) -> tuple[str, Meter, float]:
    """Style, meter and tempo: as asked, or drawn so that they fit together."""
    if style is not None and style not in STYLES:
        raise UsageError(f"unknown style {style!r}; known: {', '.join(STYLES)}")
    if meter is not None and meter not in METERS:
        raise UsageError(f"unknown meter {meter!r}; known: {', '.join(METERS)}")
    fitting = [n for n in STYLES if meter is None or grid(STYLES[n], METERS[meter]) is not None]
    if style is None:
        usual = [name for name in fitting if meter is None or meter in STYLES[name].meters]
        style = (usual or fitting)[int(rng.integers(len(usual or fitting)))]
    elif style not in fitting:
        raise UsageError(f"{style} is played in triplets, which do not fit into {meter}")
    if meter is None:
        meter = STYLES[style].meters[int(rng.integers(len(STYLES[style].meters)))]
    low, high = METERS[meter].tempo_bpm or STYLES[style].tempo_bpm
    drawn = rng.uniform(low, high)
    if tempo_bpm is None:
        tempo_bpm = round(drawn, 1)
    elif not TEMPO_LIMITS_BPM[0] <= tempo_bpm <= TEMPO_LIMITS_BPM[1]:
        raise UsageError(
            f"tempo {tempo_bpm} is not between {TEMPO_LIMITS_BPM[0]:.0f} and {TEMPO_LIMITS_BPM[1]:.0f}"
        )
    return style, METERS[meter], tempo_bpm


def make_groove(
    rng: np.random.Generator,
    style: str | None = None,
    meter: str | None = None,
    tempo_bpm: float | None = None,
    duration_s: float = 30.0,
) -> Performance:
    """Play a song's drum part.

    Args:
        rng: source of every choice.
        style: a key of ``STYLES``; drawn when None.
        meter: ``4/4``, ``3/4``, ``6/8``, ``5/4`` or ``7/8``; drawn from the style's own when None.
        tempo_bpm: beats per minute, 40..300; drawn when None.
        duration_s: length of the song, at least 3 s; no hit falls into its last quarter second.

    Raises:
        UsageError: an unknown style or meter, a triplet style in 7/8, a tempo or length out of range.

    >>> groove = make_groove(np.random.default_rng(1), "waltz", "3/4", 120.0, 10.0)
    >>> groove.meter.beats, bool(abs(np.diff(groove.beats_s).mean() - 0.5) < 0.01)
    (3, True)
    """
    if not MIN_DURATION_S <= duration_s < math.inf:
        raise UsageError(f"a song must last at least {MIN_DURATION_S:.0f} s, not {duration_s}")
    name, beat, tempo_bpm = _choose(rng, style, meter, tempo_bpm)
    chosen = STYLES[name]
    steps = grid(chosen, beat)
    assert steps is not None
    beats_s = beat_times(rng, tempo_bpm, duration_s, beat.beats)
    bars = (len(beats_s) - 1) // beat.beats
    notes = _compose(rng, chosen, beat, bars, 60.0 / tempo_bpm * beat.beats)
    feel = Feel(rng, chosen, beats_s, len(steps) // beat.beats)
    hits = humanise(rng, notes, feel, duration_s - _END_MARGIN_S)
    downbeats = beats_s[:: beat.beats]
    tempi = 60.0 * beat.beats / np.diff(downbeats)
    tempo_map = tuple(
        (float(t), float(b)) for t, b in zip(downbeats[:-1], tempi, strict=True) if t < duration_s
    )
    return Performance(
        name,
        beat,
        tempo_bpm,
        hits,
        beats_s[beats_s < duration_s],
        downbeats[downbeats < duration_s],
        tempo_map,
    )
