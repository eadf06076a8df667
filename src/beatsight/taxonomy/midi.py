"""General MIDI percussion notes to labels and back (GM level 1 key map), with the keys of some e-kits.

Reading accepts more than writing produces: every percussion key has a label, so that nothing a file holds
is lost. Writing folds labels GM has no key for onto their nearest key (``rimshot`` is written as 40 and reads
back as ``snare`` with the plain map, as ``rimshot`` with Roland's).
"""

from __future__ import annotations

from beatsight.errors import InputError
from beatsight.taxonomy.labels import resolve

_GENERAL = {
    35: "kick", 36: "kick", 37: "cross_stick", 38: "snare", 39: "clap", 40: "snare",
    41: "tom_low", 42: "hihat_closed", 43: "tom_low", 44: "hihat_pedal", 45: "tom_mid", 46: "hihat_open",
    47: "tom_mid", 48: "tom_high", 49: "crash", 50: "tom_high", 51: "ride_bow", 52: "china",
    53: "ride_bell", 54: "tambourine", 55: "splash", 56: "cowbell", 57: "crash2", 59: "ride_bow",
    69: "shaker", 70: "shaker", 82: "shaker",
    # Roland e-kits, keys that plain GM leaves free or (58, vibraslap) that drummers do not use.
    22: "hihat_closed", 26: "hihat_open", 58: "tom_low",
}  # fmt: skip
_OTHER_PERCUSSION = [note for note in range(27, 88) if note not in _GENERAL]

# Where a device means something else by a key than General MIDI does. Roland: TD-series factory
# assignment, as listed with the Groove MIDI dataset (52 and 55 are crash edges, 40 the snare's rim). Alesis:
# Nitro drum module user guide 1.2, table of pad notes (39 is the rim of the fourth tom).
_DEVICE_NOTES = {
    "gm": {},
    "roland": {40: "rimshot", 52: "crash2", 55: "crash", 59: "ride_edge"},
    "alesis_nitro": {
        21: "hihat_foot_splash", 23: "hihat_half", 39: "tom_low", 40: "rimshot",
    },
}  # fmt: skip

# Values of controller 4 with the hi-hat open and closed, where they are known. Roland: a TD-11 (Groove MIDI)
# and a VQD106 send 90 for a closed pedal and less as it rises; in Groove MIDI the median of strikes on the
# closed keys 42 and 22 is 90, on the open edge 26 it is 34. The other devices' maps state no such values.
_PEDAL_OPEN_CLOSED = {"roland": (0, 90)}

NOTE_MAPS: dict[str, dict[int, str]] = {
    device: {**dict.fromkeys(_OTHER_PERCUSSION, "aux_percussion"), **_GENERAL, **changes}
    for device, changes in _DEVICE_NOTES.items()
}

_NOTE_OUT = {
    "kick": 36, "snare": 38, "snare_off": 38, "rimshot": 40, "cross_stick": 37, "hihat_closed": 42,
    "hihat_half": 46, "hihat_open": 46, "hihat_pedal": 44, "hihat_foot_splash": 44, "ride_bow": 51,
    "ride_bell": 53, "ride_edge": 59, "crash": 49, "crash2": 57, "splash": 55, "china": 52,
    "tom_high": 50, "tom_mid": 47, "tom_low": 43, "cowbell": 56, "tambourine": 54, "clap": 39,
    "shaker": 82, "aux_percussion": 76,
}  # fmt: skip


def from_note(note: int, device: str = "gm") -> str | None:
    """The label of a MIDI percussion note, or None for a note without one.

    Args:
        note: MIDI key, 0..127.
        device: ``gm``, ``roland`` or ``alesis_nitro``.

    >>> from_note(38), from_note(22), from_note(40, "roland"), from_note(3)
    ('snare', 'hihat_closed', 'rimshot', None)
    """
    return note_map(device).get(note)


def note_map(device: str) -> dict[int, str]:
    """All keys of a device that have a label.

    Raises:
        InputError: the device is unknown; the known ones are listed.
    """
    if device not in NOTE_MAPS:
        raise InputError(f"unknown MIDI note map {device!r}; known: {', '.join(NOTE_MAPS)}")
    return NOTE_MAPS[device]


def pedal_openness(value: float, device: str) -> float | None:
    """How open a hi-hat is, 0..1, by its controller 4 (0..127); None where the device is not known.

    >>> pedal_openness(90, "roland"), pedal_openness(0, "roland"), pedal_openness(0, "gm")
    (0.0, 1.0, None)
    """
    if device not in _PEDAL_OPEN_CLOSED:
        return None
    opened, closed = _PEDAL_OPEN_CLOSED[device]
    return min(1.0, max(0.0, (value - closed) / (opened - closed)))


def to_note(label: str) -> int:
    """The General MIDI key that plays a label (any alias).

    >>> to_note("kick"), to_note("snare_center")
    (36, 38)
    """
    return _NOTE_OUT[resolve(label)]
