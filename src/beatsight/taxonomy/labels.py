"""Drum labels: three vocabularies, their aliases, and how each folds into the coarser ones.

Every label is *resolved* to one canonical name (the extended vocabulary and ``aux_percussion``, its fold
in production) and *folded* from there into the vocabulary that a model, a gate or a score uses. The 5- and
3-class sets are those of the literature (Wu et al., "A Review of Automatic Drum Transcription", 2018).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from functools import lru_cache

import msgspec

from beatsight.errors import InputError

CLASSIFIER = (
    "kick", "snare", "hihat_closed", "hihat_open", "crash", "ride",
    "tom_high", "tom_mid", "tom_low", "crash2", "ride_bell", "china",
)  # fmt: skip
PRODUCTION = (
    "kick", "snare", "rimshot", "cross_stick", "hihat_closed", "hihat_open", "hihat_pedal",
    "hihat_foot_splash", "ride_bow", "ride_bell", "crash", "crash2", "splash", "china",
    "tom_high", "tom_mid", "tom_low", "aux_percussion",
)  # fmt: skip
# Extended names the percussion that production folds into aux_percussion: 18 - 1 + 7 = 24 labels.
EXTENDED = (
    *(label for label in PRODUCTION if label != "aux_percussion"),
    "snare_off", "hihat_half", "ride_edge", "cowbell", "tambourine", "clap", "shaker",
)  # fmt: skip
CANONICAL = (*EXTENDED, "aux_percussion")
FIVE_CLASS = ("KD", "SD", "TT", "HH", "CY")
THREE_CLASS = ("KD", "SD", "HH")

_TO_PRODUCTION = {
    "snare_off": "snare",
    "hihat_half": "hihat_open",
    "ride_edge": "ride_bow",
    "cowbell": "aux_percussion",
    "tambourine": "aux_percussion",
    "clap": "aux_percussion",
    "shaker": "aux_percussion",
}
_PRODUCTION_TO_CLASSIFIER = {
    "rimshot": "snare",
    "cross_stick": "snare",
    "hihat_pedal": "hihat_closed",
    "hihat_foot_splash": "hihat_open",
    "ride_bow": "ride",
    "splash": "crash",
    "aux_percussion": None,
}
_CLASSIFIER_TO_FIVE = {
    "kick": "KD", "snare": "SD", "hihat_closed": "HH", "hihat_open": "HH", "crash": "CY", "ride": "CY",
    "tom_high": "TT", "tom_mid": "TT", "tom_low": "TT", "crash2": "CY", "ride_bell": "CY", "china": "CY",
}  # fmt: skip

VOCABULARIES: dict[str, tuple[str, ...]] = {
    "classifier": CLASSIFIER,
    "production": PRODUCTION,
    "extended": EXTENDED,
    "five": FIVE_CLASS,
    "three": THREE_CLASS,
}

# Written in the form of `_key`: lower case, words joined by one underscore.
_ALIASES = {
    "kick": "bd kd bass_drum bassdrum kick_drum kick_1 kick_2 kick2 kick_left kick_right",
    "snare": "sd snare_drum snare_center snare_edge snare_head snare_1 snare_2 snare2 snare_ghost ghost_note",
    "snare_off": "snare_wires_off snares_off",
    "rimshot": "snare_rimshot rim_shot snare_rim",
    "cross_stick": "crossstick side_stick sidestick rim_click rimclick snare_cross_stick x_stick",
    "hihat_closed": "hh hihat hi_hat hh_closed closed_hihat closed_hi_hat hi_hat_closed hihat_closed_tip "
    "hihat_closed_edge chh hat_closed closed_hat hihat_tight",
    "hihat_half": "hihat_half_open hihat_semi_open half_open_hihat hihat_loose hh_half",
    "hihat_open": "hh_open open_hihat open_hi_hat hi_hat_open ohh hat_open open_hat",
    "hihat_pedal": "hh_pedal pedal_hihat hi_hat_pedal hihat_foot hihat_chick hihat_foot_chick phh foot_hat",
    "hihat_foot_splash": "hihat_splash hh_splash hi_hat_splash foot_splash",
    "ride_bow": "ride ride_cymbal ride_1 ride_2 ride_tip",
    "ride_bell": "bell ride_cup",
    "ride_edge": "ride_crash crash_ride ride_shank",
    "crash": "crash_1 crash1 crash_cymbal crash_left",
    "crash2": "crash_2 crash_right",
    "splash": "splash_cymbal splash_1",
    "china": "china_cymbal chinese_cymbal china_1 china_2",
    "tom_high": "high_tom hi_tom tom_hi tom_1 tom1 rack_tom_1 rack_tom small_tom",
    "tom_mid": "mid_tom tom_2 tom2 rack_tom_2 tom_middle medium_tom",
    "tom_low": "low_tom floor_tom tom_floor tom_3 tom3 tom_4 tom4 floor_tom_1 floor_tom_2 large_tom",
    "cowbell": "cow_bell",
    "tambourine": "tamb tambo",
    "clap": "hand_clap handclap claps",
    "shaker": "maracas cabasa",
    "aux_percussion": "aux percussion perc",
}
ALIASES: dict[str, str] = {
    alias: label for label, aliases in _ALIASES.items() for alias in aliases.split()
} | {label: label for label in CANONICAL}


class UnknownLabelError(InputError):
    """A label that no vocabulary or alias knows; the message suggests the nearest one."""


def _key(label: str) -> str:
    return re.sub(r"[\s\-_/]+", "_", label.strip().lower()).strip("_")


@lru_cache(maxsize=4096)
def resolve(label: str) -> str:
    """The canonical name of a label or alias, whatever its case or separators.

    Raises:
        UnknownLabelError: nothing is known under this name; the nearest known name is suggested.

    >>> resolve("Snare Center"), resolve("crash_1"), resolve("ride")
    ('snare', 'crash', 'ride_bow')
    """
    key = _key(label)
    if key in ALIASES:
        return ALIASES[key]
    close = difflib.get_close_matches(key, ALIASES, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else f"; known labels: {', '.join(CANONICAL)}"
    raise UnknownLabelError(f"unknown drum label {label!r}{hint}")


def is_known(label: str) -> bool:
    """Whether :func:`resolve` accepts this label."""
    return _key(label) in ALIASES


@lru_cache(maxsize=4096)
def fold(label: str, vocabulary: str = "classifier") -> str | None:
    """The label's class in a coarser vocabulary, or None where that vocabulary has none.

    Args:
        label: any label or alias.
        vocabulary: ``classifier``, ``production``, ``extended``, ``five`` or ``three``.

    Raises:
        UnknownLabelError: the label is unknown.
        InputError: the vocabulary is unknown.

    >>> fold("cross_stick", "classifier"), fold("splash", "five"), fold("tambourine", "classifier")
    ('snare', 'CY', None)
    """
    if vocabulary not in VOCABULARIES:
        raise InputError(f"unknown vocabulary {vocabulary!r}; known: {', '.join(VOCABULARIES)}")
    canonical = resolve(label)
    if vocabulary == "extended":
        return canonical if canonical in EXTENDED else None
    production = _TO_PRODUCTION.get(canonical, canonical)
    if vocabulary == "production":
        return production
    classifier = _PRODUCTION_TO_CLASSIFIER.get(production, production)
    if vocabulary == "classifier" or classifier is None:
        return classifier
    five = _CLASSIFIER_TO_FIVE[classifier]
    return five if vocabulary == "five" or five in THREE_CLASS else None


def is_hihat(label: str) -> bool:
    """Whether the label is one of the hi-hat's articulations (those that carry an openness)."""
    return resolve(label).startswith("hihat_")


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 over vocabularies, aliases and folds: two programs with one digest mean the same by a label."""
    content = [
        sorted(VOCABULARIES.items()),
        sorted(ALIASES.items()),
        [(label, fold(label, vocabulary)) for label in CANONICAL for vocabulary in sorted(VOCABULARIES)],
    ]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
