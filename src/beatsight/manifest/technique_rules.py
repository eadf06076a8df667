"""What shows that a technique was played: the rules behind ``beatsight manifest techniques``, one by one.

Three scopes. An *event* shows what it holds; a *take* is the events of one session in one audio file (those
without an audio path are one take), because onset times are seconds of an audio file, and thousands of
samples of a kit start at the same second of theirs; a *session* is all takes of one kit. Within a take
events are ordered by time, so the order of the rows means nothing, nor does a row that stands there twice.
Negative examples say nothing.

From one event:

- ``rimshot``, ``cross_stick``, ``ride_bell``, ``hihat_foot_splash``, ``hihat_foot_chick`` (the pedal),
  ``snares_off_playing``: the label, or a snare or ride whose strike position makes it another label of the
  taxonomy (``snare`` at ``rim``).
- ``hihat_bell``: a hat struck at its bell. ``hihat_half_open``: a hat under the stick, openness from
  :data:`CLOSED_BELOW` to :data:`OPEN_FROM`; without openness, the label ``hihat_half``.
- ``ghost_note``: a snare softer than .15; without velocity, the bucket ``ghost``; or a label that says so.
- ``cymbal_choke``: a cymbal marked ``choke``. An open hat so marked is a ``hihat_bark``.
- ``layered_hits``: three or more pieces of the kit. ``layered_percussion``: hand percussion beside the kit.

From a take:

- ``hihat_bark``, on the opening stroke: a hat struck open whose next hat moment is between
  :data:`BARK_LEAST_S` and :data:`BARK_S` later and closed, by stick or pedal. Openness, where it is
  known, outweighs the label. A foot splash leaves the hats open; a moment that holds both an open and a
  closed hat is neither.
- ``flam`` and ``drag``, on the main stroke: exactly one or two softer strokes of the same drum before it,
  each :data:`STROKE_S` to :data:`GRACE_S` from the next, none louder than :data:`GRACE_LEVEL` of the main
  stroke, which is itself no such grace note of what follows. Longer runs are rolls. Strokes nearer than
  :data:`STROKE_S` are one.
- ``crash_dual_label``: ``crash`` and ``crash2`` within one moment (:data:`MOMENT_S`).
- ``metric_modulation``, on the first moment of the new tempo: see :func:`modulations`.
- ``variable_meter``, on the first moment of a meter other than the one before it. A moment with two tempi,
  or two meters, says nothing of either.

``multi_cymbal_same_class`` is on every event of a moment in which two cymbals of one class (crash, splash,
china, ride) sound, and on the first event of a session's second, third … cymbal of a class, its takes in
the order of their paths. Cymbals differ by number or name (:func:`cymbal_mark`); ``crash`` and ``crash2``
in one moment are two, and so is one label listed twice in an event, unless both say that they are the same
cymbal. Bow, bell and edge of a ride are one.

Not inferred: what needs a pattern, a sticking or a listener (paradiddles, swing, ``accent`` among its
neighbours …).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from beatsight.taxonomy import is_known, resolve

# In the order of their bits in a mask; the ids are those of the technique catalogue.
TECHNIQUES = (
    "hihat_bark", "hihat_foot_chick", "hihat_foot_splash", "hihat_half_open", "hihat_bell",
    "flam", "drag", "ghost_note", "rimshot", "cross_stick", "snares_off_playing",
    "cymbal_choke", "ride_bell", "crash_dual_label", "multi_cymbal_same_class",
    "layered_hits", "layered_percussion", "metric_modulation", "variable_meter",
)  # fmt: skip
BIT = {name: 1 << index for index, name in enumerate(TECHNIQUES)}

# Two strokes this close are heard, and by our onset detector found, as one onset (beatsight.dataset:
# MOMENT_S); listeners need about as much to tell which of two sounds came first (Hirsh 1959).
MOMENT_S = 0.020
# A sixteenth at 75 beats a minute. The open eighths of a disco pattern, which are no barks, last longer up
# to 150.
BARK_S = 0.200
# A hat that is shut sooner has not sounded open: in Groove MIDI, nearly all of these (a sixth of what the
# upper limit alone finds) are shut by the pedal, and most of them are one drummer's.
BARK_LEAST_S = 0.040
# Two labels of one stroke differ by less, two strokes of one drum by more (beatsight.sources.moments).
STROKE_S = 0.015
# A flam is one broad hit up to about 40 ms in the catalogue; slow players and the spread double of a drag
# need more, and at 60 ms begin the thirty-seconds of a fast roll (125 beats a minute), which are notes of
# their own.
GRACE_S = 0.060
# 3 dB softer, half the power, where velocity is amplitude.
GRACE_LEVEL = 0.7
# The ghost bucket of events.jsonl.
GHOST_BELOW = 0.15
# Half way between the closed, half-open and open hats of the built-in kit (0, .45, .9), rounded.
CLOSED_BELOW = 0.2
OPEN_FROM = 0.7
LAYERS = 3
# So that 1.22 s - 1.2 s is 20 ms in floating point too.
ROUNDING_S = 1e-9

# New tempo : old tempo, faster; slower ones are their inverses. A modulation regroups equal notes of the
# old beat (n a beat) into new beats of k: halves, triplets, sixteenths, quintuplets, thirty-seconds, so n
# and k are 1, 2, 3, 4, 5 or 8. Sevens and sixes (6:5, 7:6, 8:7) would leave hardly a tempo change from 11 %
# up that is none; beyond three to one no common pulse is heard.
PIVOTS = ((2, 1), (3, 1), (3, 2), (4, 3), (5, 2), (5, 3), (5, 4), (8, 3), (8, 5))
TEMPO_TOLERANCE = 0.025
# "More than a few": one bar of 4/4, on both sides.
HOLD_BEATS = 4.0
_ROUNDING_BEATS = 1e-6

# What a label is, as small numbers for the table: 0 none.
HATS = {"hihat_closed": 1, "hihat_open": 2, "hihat_half": 2, "hihat_pedal": 3, "hihat_foot_splash": 4}
DRUMS = {"snare": 1, "snare_off": 1, "rimshot": 1, "tom_high": 2, "tom_mid": 3, "tom_low": 4}
CYMBALS = {"crash": 1, "crash2": 1, "splash": 2, "china": 3, "ride_bow": 4, "ride_bell": 4, "ride_edge": 4}
_PIECES: tuple[Collection[str], ...] = (
    {"kick"}, {"snare", "snare_off", "rimshot", "cross_stick"}, {"tom_high"}, {"tom_mid"}, {"tom_low"}, HATS,
    {"crash"}, {"crash2"}, {"splash"}, {"china"}, {"ride_bow", "ride_bell", "ride_edge"},
)  # fmt: skip
_HAND_PERCUSSION = frozenset({"tambourine", "clap", "shaker"})
_BY_LABEL = {
    "rimshot": "rimshot", "cross_stick": "cross_stick", "ride_bell": "ride_bell",
    "hihat_pedal": "hihat_foot_chick", "hihat_foot_splash": "hihat_foot_splash",
    "snare_off": "snares_off_playing",
}  # fmt: skip
# Labels that a strike position can make more exact, and the word before the position.
_PLAIN = {"snare": "snare", "ride_bow": "ride"}
_CUP = frozenset({"bell", "cup"})


class Name(NamedTuple):
    """What one spelling of a label means: canonical label, codes (0 none), the techniques that it shows.

    ``piece`` has one bit set for the piece of the kit, so that pieces can be counted; 0 for percussion.
    """

    label: str
    canonical: str
    piece: int
    hat: int
    drum: int
    cymbal: int
    hand: bool
    bits: int


def _words(text: str) -> str:
    return re.sub(r"[\s\-_/]+", "_", text.strip().lower()).strip("_")


def meaning(label: str) -> Name | None:
    """What a label says, however it is spelled; None for one that the taxonomy does not know.

    >>> meaning("Snare Center").drum, meaning("crash_2").canonical, meaning("vibraslap")
    (1, 'crash2', None)
    """
    if not is_known(label):
        return None
    canonical = resolve(label)
    bits = BIT[_BY_LABEL[canonical]] if canonical in _BY_LABEL else 0
    if canonical == "snare" and "ghost" in _words(label).split("_"):
        bits |= BIT["ghost_note"]
    return Name(
        label,
        canonical,
        _piece(canonical),
        HATS.get(canonical, 0),
        DRUMS.get(canonical, 0),
        CYMBALS.get(canonical, 0),
        canonical in _HAND_PERCUSSION,
        bits,
    )


def _piece(canonical: str) -> int:
    for bit, members in enumerate(_PIECES):
        if canonical in members:
            return 1 << bit
    return 0


def position_bits(canonical: str, position: str) -> int:
    """The techniques that a strike position shows for a drum.

    >>> position_bits("snare", "Rim") == BIT["rimshot"], position_bits("snare", "center")
    (True, 0)
    """
    words = _words(position)
    if canonical in HATS:
        return BIT["hihat_bell"] if words in _CUP and HATS[canonical] < HATS["hihat_pedal"] else 0
    if canonical not in _PLAIN or not is_known(f"{_PLAIN[canonical]}_{words}"):
        return 0
    technique = _BY_LABEL.get(resolve(f"{_PLAIN[canonical]}_{words}"))
    return BIT[technique] if technique else 0


class Mark(NamedTuple):
    """Which cymbal of its class: a number or a name, and whether it was said or is only assumed."""

    number: str | None
    name: str | None
    said: bool


def cymbal_mark(label: str, variant: str | None) -> Mark:
    """Which cymbal of its class a component means.

    The number at the end of the variant, or else of the label; a variant without a number is a name.
    ``crash2`` is crash 2, and a cymbal of which nothing is said is the first. Numbers and names are not
    compared.

    >>> cymbal_mark("crash", "crash_02").number, cymbal_mark("ride_2", None).number
    ('2', '2')
    >>> cymbal_mark("crash", None)
    Mark(number='1', name=None, said=False)
    >>> cymbal_mark("crash", "Left Zildjian").name
    'left_zildjian'
    """
    for text in (variant or "", label):
        words = _words(text)
        if words and is_known(words) and resolve(words) == "crash2":
            return Mark("2", None, True)
        if digits := re.search(r"[0-9]+$", words):
            return Mark(digits.group().lstrip("0") or "0", None, True)
        if words and text is variant and not (is_known(words) and resolve(words) in CYMBALS):
            return Mark(None, words, True)
    return Mark("1", None, False)


def is_pivot(before: float, after: float) -> bool:
    """Whether two tempi stand in one of the :data:`PIVOTS`, within the tolerance.

    >>> is_pivot(120, 180), is_pivot(120, 91), is_pivot(120, 122)
    (True, True, False)
    """
    ratio = max(before, after) / min(before, after)
    return any(abs(ratio * small / large - 1) <= TEMPO_TOLERANCE for large, small in PIVOTS)


def modulations(times: Sequence[float], tempi: Sequence[float]) -> Iterator[float]:
    """Times at which the tempo steps to another by one of the :data:`PIVOTS`.

    The tempo must hold within the tolerance for :data:`HOLD_BEATS` on both sides of the step, so that
    neither a drift nor a slip of a beat tracker is one, nor an accelerando, however far it leads.

    Args:
        times: seconds, rising: where the tempo changes, and last of all where the take ends.
        tempi: beats a minute from each of those times on.

    >>> list(modulations([0, 8, 16], [120, 180, 180]))
    [8]
    >>> list(modulations([0, 8, 9, 16], [120, 180, 120, 120])), list(modulations([0, 8, 16], [120, 122, 122]))
    ([], [])
    """
    last = len(times) - 1

    def holds(runs: range, tempo: float) -> bool:
        beats = 0.0
        for run in runs:
            if abs(tempi[run] / tempo - 1) > TEMPO_TOLERANCE:
                return False
            beats += (times[run + 1] - times[run]) * tempi[run] / 60
            if beats >= HOLD_BEATS - _ROUNDING_BEATS:
                return True
        return False

    for at in range(1, last):
        before, after = tempi[at - 1], tempi[at]
        if is_pivot(before, after) and holds(range(at, last), after) and holds(range(at - 1, -1, -1), before):
            yield times[at]
