"""Beams: groups known by heart, hooks, and words that always open and close."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings

from beatsight.charts import HitObject, Timing, write_musicxml
from beatsight.charts.beams import beams
from beatsight.charts.notation import Symbol

A_HIT = (HitObject(0, "snare"),)
SHORT = {"begin": "b", "continue": "c", "end": "e", "forward hook": "f", "backward hook": "k"}


def voice(rhythm: str) -> list[Symbol]:
    """Symbols from words like ``8 16 r8 8.``: note value, ``r`` for a rest, a dot; ``t`` in triplets."""
    symbols, at = [], 0
    for word in rhythm.split():
        note = int(word.strip("rt."))
        length = 48 * 4 // note
        length = length * 3 // 2 if "." in word else length * 2 // 3 if "t" in word else length
        symbols.append(Symbol(at, length, note, "." in word, None, "", () if "r" in word else A_HIT))
        at += length
    return symbols


@pytest.mark.parametrize(
    ("rhythm", "beats", "expected"),
    [
        ("8 8 8 8", [48] * 2, "b e b e"),
        ("4 8 8", [48] * 2, "- b e"),
        ("16 16 16 16", [48], "bb cc cc ee"),
        ("8 16 16", [48], "b cb ee"),
        ("16 16 8", [48], "bb ce e"),
        ("16 8 16", [48], "bf c ek"),
        ("8. 16", [48], "b ek"),
        ("16 8.", [48], "bf e"),
        ("8 r8 8 8", [48] * 2, "- - b e"),
        ("16 r16 16 16", [48], "- - bb ee"),
        ("r8 8 8 r8", [48] * 2, "- - - -"),
        ("8t 8t 8t", [48], "b c e"),
        ("8 8 8 8 8 8", [72] * 2, "b c e b c e"),
        ("8 8 8 8 8 8 8", [48, 48, 48, 24], "b e b e b e -"),
        ("8 16 16 8", [72], "b cb ce e"),
        # The hook of a 16th between eighths points to the note it makes an eighth with.
        ("8. 16 8", [72], "b ck e"),
        ("32 16. 8", [48], "bbf ce e"),
        ("8 32 16.", [48], "b cbf ee"),
    ],
)
def test_groups_known_by_heart(rhythm: str, beats: list[int], expected: str) -> None:
    found = beams(voice(rhythm), beats)
    assert " ".join("".join(SHORT[word] for word in words) or "-" for words in found) == expected


def test_one_note_of_a_chord_has_them(tmp_path) -> None:
    hits = [HitObject(250 * n, label) for n in range(4) for label in ("hihat_closed", "snare", "kick")]
    write_musicxml(planted(*hits, timing=Timing(bpm=120.0)), tmp_path / "a.musicxml")
    notes = [
        one for one in ET.parse(tmp_path / "a.musicxml").getroot().iter("note") if one.find("rest") is None
    ]
    found = [(note.findtext("voice"), note.find("chord") is None, note.findtext("beam")) for note in notes]
    hands = [("1", True, "begin"), ("1", False, None), ("1", True, "end"), ("1", False, None)]
    assert found == hands * 2 + [("2", True, "begin"), ("2", True, "end")] * 2


@settings(max_examples=40, deadline=None)
@given(chart=charts)
def test_every_beam_that_begins_ends(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "beams.musicxml"
    write_musicxml(chart, path)
    for measure in ET.parse(path).getroot().iter("measure"):
        for name in ("1", "2"):
            is_open = [False] * 5
            for note in measure.iter("note"):
                if note.findtext("voice") != name or note.find("chord") is not None:
                    continue
                levels = {int(one.get("number", "0")): one.text for one in note.iter("beam")}
                assert sorted(levels) == list(range(1, len(levels) + 1))
                # A level that is open goes on or ends; one that is not begins or is a hook.
                for level in range(1, 5):
                    word = levels.get(level)
                    assert is_open[level] == (word in ("continue", "end"))
                    is_open[level] = word in ("begin", "continue")
            assert not any(is_open)
