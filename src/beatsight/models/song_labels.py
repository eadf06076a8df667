"""What the transcriber's outputs mean, in order; a model file carries the list."""

from __future__ import annotations

from beatsight.taxonomy import FIVE_CLASS, fold

# The drums that single outputs name. Rimshots sound as snares do, and which of a set's crashes was struck is
# no property of its sound, so neither has an output.
ARTICULATIONS = (
    "kick", "snare", "cross_stick", "hihat_closed", "hihat_half", "hihat_open", "hihat_pedal",
    "hihat_foot_splash", "ride_bow", "ride_bell", "ride_edge", "crash", "splash", "china",
    "tom_high", "tom_mid", "tom_low", "clap", "tambourine", "shaker", "cowbell",
)  # fmt: skip
_SAME_OUTPUT = {"rimshot": "snare", "snare_off": "snare", "crash2": "crash"}
# Not of the drum set: named, so that they are told apart, but no hits of the five classes.
PERCUSSION = frozenset({"clap", "tambourine", "shaker", "cowbell"})
GROUPS = FIVE_CLASS


# Groups of which two may be struck at a time.
DOUBLED = ("TT", "CY")


def articulation_of(label: str) -> str | None:
    """The output that stands for a label; None for a sound that has none.

    >>> articulation_of("crash2"), articulation_of("aux_percussion")
    ('crash', None)
    """
    label = _SAME_OUTPUT.get(label, label)
    return label if label in ARTICULATIONS else None


def group_of(label: str) -> str | None:
    """Which of the five classes a label belongs to; None for percussion.

    >>> group_of("cross_stick"), group_of("china"), group_of("clap")
    ('SD', 'CY', None)
    """
    return None if label in PERCUSSION else fold(label, "five")
