"""Charts as MusicXML, the drum part that notation programs open: written, not read.

One part of unpitched notes in percussion clef: hands with stems up (voice 1), feet with stems down (voice 2);
an instrument for every label used, named by it, with its General MIDI key; loudness in ``dynamics``, ghost
notes in brackets, accents (one a chord), beams within beats (:mod:`beatsight.charts.beams`); time signatures
and tempi, printed in whole numbers and played as they are. Hits stand on the places of their beats (see
:mod:`beatsight.charts.notation`), which moves them; how many were moved far is returned. The time in the
audio at which the score begins stands in a miscellaneous field.

Source: MusicXML 4.0 (W3C Music Notation Community Group). Staff positions and note heads: the Percussive Arts
Society's guide (N. Weinberg, "Guide to Standardized Drumset Notation", 1998), where it names the instrument.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from xml.etree import ElementTree as ET

from beatsight.charts.beams import beams
from beatsight.charts.chart import ACCENT_FROM, GHOST_BELOW, Chart, HitObject, check_numbers
from beatsight.charts.notation import (
    DIVISIONS,
    FEET,
    HANDS,
    TUPLET_UNITS,
    Bar,
    Score,
    Symbol,
    beats_of,
    notate,
)  # fmt: skip
from beatsight.files import write_bytes
from beatsight.taxonomy import CANONICAL, resolve, to_note
from beatsight.version import VERSION

PART = "P1"
START_FIELD = "first measure, seconds in the audio"
_DOCTYPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN"'
    ' "http://www.musicxml.org/dtds/partwise.dtd">\n'
)
# Percent of MIDI velocity 90, which is how MusicXML counts loudness.
_FORTE = 90
# A tempo is printed where it differs by this much from the last one printed; drift is for playback only.
_PRINTED_CHANGE = 0.05
_DRUM_CHANNEL = 10

# Staff place (as if in treble clef) and note head of every label.
STAFF: dict[str, tuple[str, str]] = {
    "kick": ("F4", "normal"),
    "snare": ("C5", "normal"), "snare_off": ("C5", "normal"), "rimshot": ("C5", "slash"),
    "cross_stick": ("C5", "x"), "clap": ("C5", "inverted triangle"),
    "hihat_closed": ("G5", "x"), "hihat_half": ("G5", "circle-x"), "hihat_open": ("G5", "circle-x"),
    "hihat_pedal": ("D4", "x"), "hihat_foot_splash": ("D4", "circle-x"),
    "ride_bow": ("F5", "x"), "ride_edge": ("F5", "circle-x"), "ride_bell": ("F5", "diamond"),
    "crash": ("A5", "x"), "crash2": ("B5", "x"), "splash": ("C6", "x"), "china": ("C6", "circle-x"),
    "tom_high": ("E5", "normal"), "tom_mid": ("D5", "normal"), "tom_low": ("A4", "normal"),
    "cowbell": ("G5", "triangle"), "tambourine": ("B4", "triangle"), "shaker": ("B4", "diamond"),
    "aux_percussion": ("B4", "x"),
}  # fmt: skip
_TYPES = {1: "whole", 2: "half", 4: "quarter", 8: "eighth", 16: "16th", 32: "32nd", 64: "64th"}
# Characters that XML 1.0 cannot hold at all.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _add(parent: ET.Element, tag: str, text: object = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    if text is not None:
        element.text = _FORBIDDEN.sub("", str(text))
    return element


def _instrument(label: str) -> str:
    return f"{PART}-{label}"


def _head(root: ET.Element, chart: Chart, score: Score) -> None:
    _add(_add(root, "work"), "work-title", chart.metadata.title)
    identification = _add(root, "identification")
    if chart.metadata.artist:
        _add(identification, "creator", chart.metadata.artist, type="composer")
    _add(_add(identification, "encoding"), "software", f"beatsight {VERSION}")
    field = _add(_add(identification, "miscellaneous"), "miscellaneous-field", name=START_FIELD)
    field.text = f"{score.start_ms / 1000:.3f}"
    part = _add(_add(root, "part-list"), "score-part", id=PART)
    _add(part, "part-name", "Drumset")
    used = {resolve(hit.component) for hit in chart.hit_objects}
    labels = [label for label in CANONICAL if label in used]
    for label in labels:
        _add(_add(part, "score-instrument", id=_instrument(label)), "instrument-name", label)
    for label in labels:
        midi = _add(part, "midi-instrument", id=_instrument(label))
        _add(midi, "midi-channel", _DRUM_CHANNEL)
        _add(midi, "midi-unpitched", to_note(label) + 1)


def _attributes(measure: ET.Element, bar: Bar, before: Bar | None) -> None:
    if before and (bar.numerator, bar.denominator) == (before.numerator, before.denominator):
        return
    attributes = _add(measure, "attributes")
    if before is None:
        _add(attributes, "divisions", DIVISIONS)
        _add(_add(attributes, "key"), "fifths", 0)
    time = _add(attributes, "time")
    _add(time, "beats", bar.numerator)
    _add(time, "beat-type", bar.denominator)
    if before is None:
        _add(_add(attributes, "clef"), "sign", "percussion")


def _tempo(measure: ET.Element, place: int, bpm: float, is_printed: bool) -> None:
    direction = _add(measure, "direction", placement="above")
    kind = _add(direction, "direction-type")
    if is_printed:
        metronome = _add(kind, "metronome")
        _add(metronome, "beat-unit", "quarter")
        # What a person reads; what is played stands in ``sound``.
        _add(metronome, "per-minute", max(1, round(bpm)))
    else:
        _add(kind, "words")
    if place:
        _add(direction, "offset", place)
    _add(direction, "sound", tempo=f"{bpm:.6g}")


class _Look(NamedTuple):
    """What one note carries for its chord: beams from the eighth down, the edge of a tuplet, an accent."""

    beams: tuple[str, ...] = ()
    edge: str = ""
    has_accent: bool = False


def _note(
    measure: ET.Element, symbol: Symbol, hit: HitObject | None, voice: int, in_chord: bool, look: _Look
) -> None:
    """One note, or a rest where ``hit`` is None; the order of the elements is that of the schema."""
    note = _add(measure, "note")
    if hit is None:
        _add(note, "rest")
    else:
        note.set("dynamics", f"{hit.velocity * 127 / _FORTE * 100:.2f}")
        if in_chord:
            _add(note, "chord")
        position = STAFF[resolve(hit.component)][0]
        place = _add(note, "unpitched")
        _add(place, "display-step", position[0])
        _add(place, "display-octave", position[1])
    _add(note, "duration", symbol.length)
    if hit is not None:
        _add(note, "instrument", id=_instrument(resolve(hit.component)))
    _add(note, "voice", voice)
    _add(note, "type", _TYPES[symbol.note])
    for _ in range(symbol.dots):
        _add(note, "dot")
    if symbol.tuplet:
        change = _add(note, "time-modification")
        _add(change, "actual-notes", symbol.tuplet[0])
        _add(change, "normal-notes", symbol.tuplet[1])
        if symbol.dots or symbol.note != TUPLET_UNITS[symbol.tuplet]:
            _add(change, "normal-type", _TYPES[TUPLET_UNITS[symbol.tuplet]])
    if hit is not None:
        _add(note, "stem", "down" if voice == FEET else "up")
        head = _add(note, "notehead", STAFF[resolve(hit.component)][1])
        if hit.velocity < GHOST_BELOW:
            head.set("parentheses", "yes")
    for number, word in enumerate(look.beams, start=1):
        _add(note, "beam", word, number=str(number))
    if look.edge or look.has_accent:
        notations = _add(note, "notations")
        if look.edge:
            _add(notations, "tuplet", type=look.edge)
        if look.has_accent:
            _add(_add(notations, "articulations"), "accent")


def _voices(measure: ET.Element, bar: Bar) -> None:
    if HANDS not in bar.voices:
        note = _add(measure, "note")
        _add(note, "rest", measure="yes")
        _add(note, "duration", bar.length)
        _add(note, "voice", HANDS)
    for voice, symbols in bar.voices.items():
        if voice == FEET:
            _add(_add(measure, "backup"), "duration", bar.length)
        for symbol, words in zip(symbols, beams(symbols, beats_of(bar)), strict=True):
            hits: tuple[HitObject | None, ...] = symbol.hits or (None,)
            # A chord has one stem, so it has one accent: more would be stacked.
            accent = next((at for at, hit in enumerate(symbol.hits) if hit.velocity >= ACCENT_FROM), None)
            for at, hit in enumerate(hits):
                look = _Look(words, symbol.edge) if at == 0 else _Look()
                _note(measure, symbol, hit, voice, at > 0, look._replace(has_accent=at == accent))


def write_musicxml(chart: Chart, path: str | os.PathLike[str]) -> dict[str, int]:
    """Write a chart as a MusicXML score in one step; the same chart gives the same bytes.

    Returns:
        By kind, with counts: hits that stand more than 20 ms from where they were played, and strokes of one
        drum that fell on one place and became one note. Empty when there are none.

    Raises:
        InputError: a velocity or tempo out of range, a time signature that is not of binary notes, more than
            20 000 bars, or an unwritable path.
    """
    check_numbers(chart, path)
    score = notate(chart, path)
    root = ET.Element("score-partwise", version="4.0")
    _head(root, chart, score)
    part = _add(root, "part", id=PART)
    before: Bar | None = None
    printed = 0.0
    for number, bar in enumerate(score.bars, start=1):
        measure = _add(part, "measure", number=str(number))
        if bar.is_cut:
            measure.set("implicit", "yes")
        _attributes(measure, bar, before)
        for place, bpm in bar.tempi:
            is_printed = abs(bpm - printed) > _PRINTED_CHANGE * printed
            printed = bpm if is_printed else printed
            _tempo(measure, place, bpm, is_printed)
        _voices(measure, bar)
        before = bar
    ET.indent(root, space=" ")
    write_bytes(path, _DOCTYPE.encode() + ET.tostring(root, encoding="utf-8") + b"\n")
    return score.changed
