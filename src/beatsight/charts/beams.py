"""Which notes of a voice are joined by beams, as readers of drum parts expect them.

Conventions: notes shorter than a quarter are joined within one beat (a quarter; in 6/8, 9/8, 12/8 ... a
dotted one), and rests break the group. Level 1 is the beam of the eighth, level 2 that of the 16th, and so
on. A level that only one note of the group has there is a hook, towards the note it shares the next larger
value with. The words are MusicXML's.

Source: MusicXML 4.0, type beam-value; grouping by beats: E. Gould, "Behind Bars" (2011).
"""

from __future__ import annotations

import itertools
from bisect import bisect_right

from beatsight.charts.notation import Symbol

# Beams of a note value: one for the eighth, one more for each halving.
_LEVELS = {8: 1, 16: 2, 32: 3, 64: 4}


def beams(symbols: list[Symbol], beats: list[int]) -> list[tuple[str, ...]]:
    """What beams every symbol of a bar's voice has, from level 1 down; empty for those without.

    Args:
        symbols: the voice, in order.
        beats: lengths of the beats of the bar, in divisions.

    >>> from beatsight.charts import HitObject
    >>> notes = [Symbol(0, 24, 8, 0, None, "", (HitObject(0, "kick"),)),
    ...          Symbol(24, 12, 16, 0, None, "", (HitObject(250, "kick"),)),
    ...          Symbol(36, 12, 16, 0, None, "", (HitObject(375, "kick"),))]
    >>> beams(notes, [48])
    [('begin',), ('continue', 'begin'), ('end', 'end')]
    """
    ends = list(itertools.accumulate(beats))
    groups = (list(group) for _, group in itertools.groupby(symbols, key=lambda one: _group(one, ends)))
    return [words for group in groups for words in _joined(group)]


def _group(symbol: Symbol, ends: list[int]) -> tuple[int, int]:
    """The beat of a symbol that may be joined; every other symbol stands alone."""
    if not symbol.hits or symbol.note not in _LEVELS:
        return (-1, symbol.start)
    return (0, bisect_right(ends, symbol.start))


def _joined(group: list[Symbol]) -> list[tuple[str, ...]]:
    if len(group) == 1:
        return [()]
    levels = [_LEVELS[symbol.note] for symbol in group]
    return [
        tuple(_word(group, levels, at, level) for level in range(1, levels[at] + 1))
        for at in range(len(group))
    ]


def _word(group: list[Symbol], levels: list[int], at: int, level: int) -> str:
    follows = at > 0 and levels[at - 1] >= level
    leads = at + 1 < len(group) and levels[at + 1] >= level
    if follows and leads:
        return "continue"
    if follows or leads:
        return "end" if follows else "begin"
    # A hook points to the note that it shares the next larger value with: back where it ends one.
    is_last_half = group[at].start // group[at].length % 2 == 1
    return "backward hook" if at + 1 == len(group) or (at > 0 and is_last_half) else "forward hook"
