"""Colour families of drum labels: which class name of ``templates/page.css`` a label is drawn with.

Colours follow Okabe and Ito's palette for colour-blind readers (2008), darkened on white where a mark would
have less than 3:1 contrast. Colour is never the only cue: every label has its own row or name.
"""

from __future__ import annotations

from beatsight.taxonomy import FIVE_CLASS, fold, is_known

_CSS = {"KD": "fam-kick", "SD": "fam-snare", "HH": "fam-hihat", "TT": "fam-tom", "CY": "fam-cymbal"}
OTHER = "fam-other"

# The tone that stands for a family when found hits are clicked over a song: low drum, low click.
_CLICK_HZ = {"KD": 700.0, "SD": 1400.0, "TT": 1000.0, "HH": 3600.0, "CY": 2500.0}
_OTHER_CLICK_HZ = 1800.0


def _five(label: str) -> str | None:
    if label in FIVE_CLASS:
        return label
    return fold(label, "five") if is_known(label) else None


def family(label: str) -> str:
    """The colour class of a label of any vocabulary; percussion and unknown names share one.

    >>> family("cross_stick"), family("CY"), family("tambourine"), family("total")
    ('fam-snare', 'fam-cymbal', 'fam-other', 'fam-other')
    """
    return _CSS.get(_five(label) or "", OTHER)


def click_hz(label: str) -> float:
    """The pitch of a label's click, in Hz.

    >>> click_hz("kick") < click_hz("snare") < click_hz("hihat_closed")
    True
    """
    return _CLICK_HZ.get(_five(label) or "", _OTHER_CLICK_HZ)
