"""MusicXML: bars that add up, hits on their places, and what music21 reads."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.charts import HitObject, Timing, TimingPoint, write_musicxml
from beatsight.charts.musicxml import STAFF, START_FIELD
from beatsight.charts.notation import MERGED, MOVED
from beatsight.errors import InputError
from beatsight.taxonomy import CANONICAL, resolve

VALUES = {"quarter": 4, "eighth": 8, "16th": 16, "32nd": 32, "64th": 64, "half": 2, "whole": 1}


def played(path: Path) -> list[tuple[Fraction, str, float]]:
    """Place in quarters from the first bar, instrument and loudness of every note, read without the package.

    On the way: voices fill their bars, and every note is as long as it is written.
    """
    root = ET.parse(path).getroot()
    divisions = int(root.findtext(".//divisions") or 0)
    notes = []
    start, full = Fraction(0), Fraction(0)
    for measure in root.iter("measure"):
        if (time := measure.find("attributes/time")) is not None:
            full = Fraction(4 * int(time.findtext("beats") or 0), int(time.findtext("beat-type") or 1))
        at, longest = Fraction(0), Fraction(0)
        for element in measure:
            length = Fraction(int(element.findtext("duration") or 0), divisions)
            if element.tag == "backup":
                assert at == longest
                at -= length
                assert at == 0
            if element.tag != "note":
                continue
            if (rest := element.find("rest")) is None or rest.get("measure") != "yes":
                assert length == written(element)
            if element.find("chord") is not None:
                at -= length
            if (instrument := element.find("instrument")) is not None:
                loudness = float(element.get("dynamics", "nan")) * 0.9 / 127
                notes.append((start + at, instrument.get("id", "").partition("-")[2], loudness))
            at += length
            longest = max(longest, at)
        assert at == longest and (longest == full or (measure.get("implicit") == "yes" and longest < full))
        start += longest
    return notes


def written(note: ET.Element) -> Fraction:
    """The length that type, dots and tuplet of a note say, in quarters."""
    length = Fraction(4, VALUES[note.findtext("type") or ""])
    if note.find("dot") is not None:
        length *= Fraction(3, 2)
    if (change := note.find("time-modification")) is not None:
        length *= Fraction(
            int(change.findtext("normal-notes") or 0), int(change.findtext("actual-notes") or 1)
        )
    return length


def start_s(path: Path) -> float:
    (field,) = ET.parse(path).getroot().iter("miscellaneous-field")
    assert field.get("name") == START_FIELD
    return float(field.text or "nan")


def test_every_label_has_a_place_on_the_staff() -> None:
    assert set(STAFF) == set(CANONICAL)


@settings(max_examples=50, deadline=None)
@given(chart=charts)
def test_bars_add_up_and_every_hit_is_there_or_counted(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.musicxml"
    changed = write_musicxml(chart, path)
    notes = played(path)
    assert len(notes) == len(chart.hit_objects) - changed.get(MERGED, 0)
    assert {label for _, label, _ in notes} == {resolve(hit.component) for hit in chart.hit_objects}
    assert changed.keys() <= {MOVED, MERGED}


places = st.dictionaries(
    st.integers(0, 400),
    st.tuples(
        st.sampled_from(["straight", "triplet"]),
        st.sampled_from(["kick", "snare", "hihat_open", "hihat_pedal"]),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(beats=places, offset=st.integers(0, 3000), bpm=st.floats(60, 160), jitter=st.integers(-9, 9))
def test_what_was_played_near_the_grid_is_written_on_it(beats, offset, bpm, jitter, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "grid.musicxml"
    wanted = []
    for beat, (kind, label) in beats.items():
        count = 4 if kind == "straight" else 3
        wanted += [(beat + Fraction(place, count), label) for place in range(count)]
    hits = [
        HitObject(max(0, round(offset + float(place) * 60_000 / bpm) + (jitter if n % 2 else -jitter)), label)
        for n, (place, label) in enumerate(sorted(wanted))
    ]
    assert write_musicxml(planted(*hits, timing=Timing(bpm=bpm, offset=offset)), path) == {}
    first = min(place for place, _, _ in played(path)) - min(wanted)[0]
    assert first % 4 == 0
    assert sorted((place - first, label) for place, label, _ in played(path)) == sorted(wanted)
    assert start_s(path) == pytest.approx((offset - float(first) * 60_000 / bpm) / 1000, abs=0.002)


def test_music21_reads_the_score(tmp_path) -> None:
    music21 = pytest.importorskip("music21")
    timing = Timing(
        bpm=120.0,
        offset=500,
        timing_points=[
            TimingPoint(time=4500, bpm=121.0),
            TimingPoint(time=4500 + round(8 * 60_000 / 121), bpm=90.0, time_signature="7/8"),
        ],
    )
    bar = 500 + 2000
    hits = [
        HitObject(0, "crash", 0.95),
        *(HitObject(500 + 250 * n, "hihat_closed", 0.6) for n in range(8)),
        *(HitObject(bar + 500 * n // 3, "tom_low", 0.2) for n in range(3)),
        HitObject(bar, "kick"), HitObject(bar + 750, "kick"), HitObject(8800, "snare"),
    ]  # fmt: skip
    chart = planted(*hits, timing=timing)
    chart.metadata.title, chart.metadata.artist = "Ünïcode <&>\0", "Nö"
    assert write_musicxml(chart, tmp_path / "a.musicxml") == {}
    score = music21.converter.parse(tmp_path / "a.musicxml")
    assert (score.metadata.title, score.metadata.composer) == ("Ünïcode <&>", "Nö")
    (part,) = score.parts
    measures = list(part.getElementsByClass("Measure"))
    # One bar before the first, for the crash at its end; then 4/4 and, from bar 5 of the song on, 7/8.
    assert [(one.number, one.timeSignature.ratioString) for one in measures if one.timeSignature] == [
        (1, "4/4"), (6, "7/8"),
    ]  # fmt: skip
    assert isinstance(measures[0].clef, music21.clef.PercussionClef)
    assert [one.duration.quarterLength for one in measures[1:5]] == [4.0] * 4
    assert measures[-1].duration.quarterLength == 3.5
    marks = [
        (float(mark.getOffsetInHierarchy(score)), mark.number or mark.numberSounding)
        for mark in part.recurse().getElementsByClass("MetronomeMark")
    ]
    assert [place for place, _ in marks] == [0, 12, 20]
    assert [tempo for _, tempo in marks] == pytest.approx([120, 121, 90], rel=1e-4)
    heard = []
    for note in part.recurse().notes:
        at = Fraction(note.getOffsetInHierarchy(score)).limit_denominator(48)
        for one in getattr(note, "notes", [note]):
            heard.append((at, one.displayStep + str(one.displayOctave), one.notehead))
    assert sorted(heard) == sorted(
        [(Fraction(3), "A5", "x")]
        + [(4 + Fraction(n, 2), "G5", "x") for n in range(8)]
        + [(8 + Fraction(n, 3), "A4", "normal") for n in range(3)]
        + [(Fraction(8), "F4", "normal"), (Fraction(19, 2), "F4", "normal")]
        + [(Fraction(41, 2), "C5", "normal")]
    )
    keys = {one.midiChannel: one for one in part.recurse().getElementsByClass("Instrument")}
    assert 9 in keys
    loud = {round(one.volume.velocityScalar, 2) for one in part.recurse().notes if one.volume.velocity}
    assert 0.2 in loud and 0.95 in loud


def test_instruments_name_their_label_and_key(tmp_path) -> None:
    write_musicxml(planted(HitObject(0, "kick"), HitObject(0, "Side Stick")), tmp_path / "a.musicxml")
    part = ET.parse(tmp_path / "a.musicxml").getroot().find("part-list/score-part")
    assert part is not None
    names = {one.get("id"): one.findtext("instrument-name") for one in part.iter("score-instrument")}
    # MusicXML counts keys from 1: General MIDI's 36 and 37 are 37 and 38 here.
    keys = {names[one.get("id")]: one.findtext("midi-unpitched") for one in part.iter("midi-instrument")}
    assert keys == {"kick": "37", "cross_stick": "38"}


def test_ghosts_accents_and_feet_are_marked(tmp_path) -> None:
    write_musicxml(
        planted(HitObject(0, "snare", 0.1), HitObject(0, "crash", 1.0), HitObject(0, "kick", 0.5)),
        tmp_path / "a.musicxml",
    )
    notes = {
        one.find("instrument").get("id"): one  # type: ignore[union-attr]
        for one in ET.parse(tmp_path / "a.musicxml").getroot().iter("note")
        if one.find("instrument") is not None
    }
    assert notes["P1-snare"].find("notehead").get("parentheses") == "yes"  # type: ignore[union-attr]
    assert notes["P1-crash"].find("notations/articulations/accent") is not None
    # One stem, one accent, on the hit that has it.
    assert notes["P1-snare"].find("notations") is None
    assert [notes[name].findtext("stem") for name in ("P1-snare", "P1-crash", "P1-kick")] == [
        "up",
        "up",
        "down",
    ]
    assert [notes[name].findtext("voice") for name in ("P1-snare", "P1-crash", "P1-kick")] == ["1", "1", "2"]


def test_two_accents_of_one_chord_are_one(tmp_path) -> None:
    hits = [HitObject(0, "snare", 0.95), HitObject(0, "crash", 1.0), HitObject(0, "kick", 1.0)]
    write_musicxml(planted(*hits), tmp_path / "a.musicxml")
    notes = [note for note in ET.parse(tmp_path / "a.musicxml").getroot().iter("note")]
    marked = [
        note.findtext("voice") for note in notes if note.find("notations/articulations/accent") is not None
    ]
    assert marked == ["1", "2"]


def test_tempi_are_printed_whole_and_played_as_they_are(tmp_path) -> None:
    write_musicxml(planted(HitObject(0, "kick"), timing=Timing(bpm=109.995)), tmp_path / "a.musicxml")
    (direction,) = ET.parse(tmp_path / "a.musicxml").getroot().iter("direction")
    assert direction.findtext("direction-type/metronome/per-minute") == "110"
    sound = direction.find("sound")
    assert sound is not None and sound.get("tempo") == "109.995"


@pytest.mark.parametrize(("last_ms", "bars"), [(0, 1), (1875, 1), (1930, 1), (1945, 2), (2000, 2)])
def test_the_last_bar_holds_the_last_hit(tmp_path, last_ms: int, bars: int) -> None:
    # A bar lasts 2 s, a 16th 125 ms: what is nearer to the next bar than to the last 16th stands there.
    hits = [HitObject(0, "kick"), HitObject(last_ms, "snare")]
    write_musicxml(planted(*hits, timing=Timing(bpm=120.0)), tmp_path / "a.musicxml")
    measures = list(ET.parse(tmp_path / "a.musicxml").getroot().iter("measure"))
    assert len(measures) == bars
    assert any(note.find("instrument") is not None for note in measures[-1].iter("note"))


def test_hits_far_from_the_grid_and_strokes_that_fall_together_are_counted(tmp_path) -> None:
    # At 30 bpm even a 32nd is 250 ms long: a hit inside one is moved; a flam of 30 ms is one stroke.
    hits = [HitObject(1000 * 2, "snare", 0.3), HitObject(2030, "snare", 0.8), HitObject(4125, "kick")]
    changed = write_musicxml(planted(*hits, timing=Timing(bpm=30.0)), tmp_path / "a.musicxml")
    assert changed == {MOVED: 2, MERGED: 1}
    assert [loudness for _, label, loudness in played(tmp_path / "a.musicxml") if label == "snare"] == [
        pytest.approx(0.8, abs=0.001)
    ]


@pytest.mark.parametrize("signature", ["6/8", "12/8", "5/4", "7/8", "3/32", "15/16", "2/2", "1/1"])
def test_all_places_of_a_bar_of_any_metre(tmp_path, signature: str) -> None:
    upper, lower = map(int, signature.split("/"))
    unit = min(Fraction(1, 4), Fraction(4, lower))
    count = int(Fraction(4 * upper, lower) / unit)
    hits = [HitObject(int(n * unit * 1000), "snare") for n in range(count)]
    timing = Timing(bpm=60.0, time_signature=signature)
    assert write_musicxml(planted(*hits, timing=timing), tmp_path / "a.musicxml") == {}
    assert [place for place, _, _ in played(tmp_path / "a.musicxml")] == [n * unit for n in range(count)]


def test_an_empty_chart_is_one_empty_bar(tmp_path) -> None:
    chart = planted()
    chart.timing = chart.audio = None
    assert write_musicxml(chart, tmp_path / "a.musicxml") == {}
    assert played(tmp_path / "a.musicxml") == []
    assert len(list(ET.parse(tmp_path / "a.musicxml").getroot().iter("measure"))) == 1


def test_days_of_bars_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"a\.musicxml: has more than 20000 bars, too many for a score"):
        write_musicxml(planted(HitObject(900_000_000, "kick")), tmp_path / "a.musicxml")
    assert list(tmp_path.iterdir()) == []
