"""MusicXML as its schema wants it: children in order, attributes that must be there, values of their types.

The tables state what the MusicXML 4.0 schema says of the elements that are written, and nothing of others: an
element that is not in them fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings

from beatsight.charts import Chart, HitObject, Timing, TimingPoint, write_musicxml
from beatsight.taxonomy import CANONICAL

# What may stand in an element, as a pattern over the names of its children, each with a blank behind it.
CHILDREN = {
    "score-partwise": "(work )?(identification )?part-list (part )+",
    "work": "(work-title )?",
    "identification": "(creator )*(encoding )?(miscellaneous )?",
    "encoding": "(software )*",
    "miscellaneous": "(miscellaneous-field )*",
    "part-list": "(score-part )+",
    "score-part": "part-name (score-instrument )*(midi-instrument )*",
    "score-instrument": "instrument-name ",
    "midi-instrument": "(midi-channel )?(midi-unpitched )?",
    "part": "(measure )+",
    "measure": "(attributes |direction |note |backup )*",
    "attributes": "(divisions )?(key )*(time )*(clef )*",
    "key": "fifths ",
    "time": "beats beat-type ",
    "clef": "sign ",
    "direction": "(direction-type )+(offset )?(sound )?",
    "direction-type": "metronome |(words )+",
    "metronome": "beat-unit per-minute ",
    "note": "(chord )?(unpitched |rest )duration (instrument )*(voice )?(type )?(dot )*(time-modification )?"
    "(stem )?(notehead )?(beam ){0,8}(notations )*",
    "unpitched": "(display-step display-octave )?",
    "time-modification": "actual-notes normal-notes (normal-type (normal-dot )*)?",
    "notations": "(tuplet |articulations )*",
    "articulations": "(accent )*",
    "backup": "duration ",
}
_ANY, _COUNT, _POSITIVE = ".*", r"[1-9]\d*", r"(?=.*[1-9])\d+(\.\d+)?"
_NOTE_TYPES = "whole|half|quarter|eighth|16th|32nd|64th|128th|256th|512th|1024th"
# The text of an element without children.
TEXTS = {
    "work-title": _ANY, "creator": _ANY, "software": _ANY, "miscellaneous-field": _ANY, "part-name": _ANY,
    "instrument-name": _ANY, "words": "", "midi-channel": r"[1-9]|1[0-6]",
    "midi-unpitched": r"[1-9]|[1-9]\d|1[01]\d|12[0-8]",
    "divisions": _POSITIVE, "fifths": r"-?\d+", "beats": _COUNT, "beat-type": _COUNT, "sign": "percussion",
    "beat-unit": _NOTE_TYPES, "per-minute": _COUNT, "offset": _COUNT, "sound": "", "rest": "", "chord": "",
    "duration": _POSITIVE, "display-step": "[A-G]", "display-octave": r"\d", "instrument": "",
    "voice": "[12]", "type": _NOTE_TYPES, "dot": "", "actual-notes": _COUNT, "normal-notes": _COUNT,
    "normal-type": _NOTE_TYPES, "stem": "up|down|none|double", "accent": "", "tuplet": "",
    "notehead": "normal|x|slash|circle-x|diamond|triangle|inverted triangle",
    "beam": "begin|continue|end|forward hook|backward hook",
}  # fmt: skip
# Attributes: those that must be there, and those that may; all others are unknown.
REQUIRED = {
    "score-partwise": {"version": "4.0"}, "creator": {"type": "composer"},
    "miscellaneous-field": {"name": ".+"},
    "score-part": {"id": _ANY}, "score-instrument": {"id": _ANY}, "midi-instrument": {"id": _ANY},
    "part": {"id": _ANY}, "measure": {"number": _COUNT}, "sound": {"tempo": r"\d+(\.\d+)?"},
    "instrument": {"id": _ANY}, "tuplet": {"type": "start|stop"}, "beam": {"number": "[1-8]"},
}  # fmt: skip
ALLOWED = {
    "measure": {"implicit": "yes"}, "note": {"dynamics": r"\d+(\.\d+)?"}, "rest": {"measure": "yes"},
    "notehead": {"parentheses": "yes"}, "direction": {"placement": "above"},
}  # fmt: skip


def faults(root: ET.Element) -> Iterator[str]:
    """What the schema would refuse."""
    for element in root.iter():
        tag, names = element.tag, "".join(f"{child.tag} " for child in element)
        if tag in CHILDREN:
            if not re.fullmatch(CHILDREN[tag], names) or (element.text or "").strip():
                yield f"{tag} holds {names}"
        elif tag not in TEXTS or names or not re.fullmatch(TEXTS[tag], element.text or "", re.DOTALL):
            yield f"{tag} is {element.text!r} {names}"
        required = REQUIRED.get(tag, {})
        known = {**required, **ALLOWED.get(tag, {})}
        if missing := required.keys() - element.keys():
            yield f"{tag} lacks {missing}"
        for key, value in element.items():
            if key not in known or not re.fullmatch(known[key], value):
                yield f"{tag}: {key} is {value!r}"
    yield from wrong_references(root)


def wrong_references(root: ET.Element) -> Iterator[str]:
    declared = [one.get("id", "") for tag in ("score-part", "score-instrument") for one in root.iter(tag)]
    if len(declared) != len(set(declared)) or not all(
        re.fullmatch(r"[A-Za-z_][\w.-]*", one) for one in declared
    ):
        yield f"identifiers {declared}"
    for tag in ("part", "instrument", "midi-instrument"):
        yield from (
            f"{tag}: nothing is {one.get('id')}" for one in root.iter(tag) if one.get("id") not in declared
        )


def written(chart: Chart, folder: Path) -> ET.Element:
    write_musicxml(chart, folder / "a.musicxml")
    return ET.parse(folder / "a.musicxml").getroot()


@settings(max_examples=60, deadline=None)
@given(chart=charts)
def test_random_charts_are_as_the_schema_wants_them(chart, tmp_path_factory) -> None:
    assert list(faults(written(chart, tmp_path_factory.getbasetemp()))) == []


def every_label(step_ms: int, velocity: float, timing: Timing) -> Chart:
    hits = [HitObject(n * step_ms, label, velocity) for n, label in enumerate(CANONICAL)]
    return planted(*hits, timing=timing)


drifting = Timing(
    bpm=120.0,
    timing_points=[
        TimingPoint(time=1310, bpm=87.123, time_signature="7/8"),
        TimingPoint(time=2310, bpm=200.0),
        TimingPoint(time=2900, bpm=201.0, time_signature="5/4"),
    ],
)
ODD = {
    "empty": planted(),
    "flam": planted(HitObject(1000, "snare", 0.2), HitObject(1030, "snare", 0.9), HitObject(1030, "kick")),
    "pick-up": every_label(250, 0.95, Timing(bpm=120.0, offset=1700, time_signature="3/4")),
    "five": every_label(167, 0.05, Timing(bpm=120.0, time_signature="5/4")),
    "tempi and metres": every_label(250, 0.5, drifting),
    "triplets": every_label(500 // 3, 0.5, Timing(bpm=60.0)),
    "sextuplets": every_label(500 // 3, 0.95, Timing(bpm=60.0, time_signature="2/2")),
    "32nds": planted(*[HitObject(n * 125, "snare") for n in range(64)], timing=Timing(bpm=60.0)),
    "slow": every_label(900, 0.5, Timing(bpm=0.4)),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_charts_are_as_the_schema_wants_them(tmp_path, name: str) -> None:
    assert list(faults(written(ODD[name], tmp_path))) == []


def test_names_of_blanks_and_controls_and_no_artist(tmp_path) -> None:
    chart = planted(HitObject(0, "kick"))
    chart.metadata.title, chart.metadata.artist = " a\n\tb\0 <&>", ""
    root = written(chart, tmp_path)
    assert list(faults(root)) == []
    assert root.find("identification/creator") is None and root.findtext("work/work-title") == " a\n\tb <&>"


def swap(root: ET.Element, parent: str, first: str) -> None:
    """Put a child behind the one that follows it."""
    place = next(one for one in root.iter(parent) if one.find(first) is not None and one[-1].tag != first)
    child = place.find(first)
    assert child is not None
    at = list(place).index(child)
    place.remove(child)
    place.insert(at + 1, child)


@pytest.mark.parametrize(
    ("parent", "child"),
    [("note", "duration"), ("note", "stem"), ("note", "type"), ("score-part", "part-name"),
     ("attributes", "divisions"), ("time", "beats"), ("direction", "direction-type"),
     ("unpitched", "display-step"), ("midi-instrument", "midi-channel"),
     ("score-partwise", "identification"), ("note", "notehead")],
)  # fmt: skip
def test_a_planted_wrong_order_is_seen(tmp_path, parent: str, child: str) -> None:
    root = written(ODD["32nds"] if child == "notehead" else ODD["tempi and metres"], tmp_path)
    swap(root, parent, child)
    assert len(list(faults(root))) == 1


@pytest.mark.parametrize(
    ("tag", "key", "value"),
    [("note", "dynamics", "loud"), ("measure", "number", ""), ("instrument", "id", "P1-gong"),
     ("beam", "number", "9"), ("clef", "colour", "red")],
)  # fmt: skip
def test_a_planted_wrong_attribute_is_seen(tmp_path, tag: str, key: str, value: str) -> None:
    root = written(ODD["32nds"], tmp_path)
    next(root.iter(tag)).set(key, value)
    assert len(list(faults(root))) == 1
