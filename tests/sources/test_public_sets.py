"""The public sets: planted hits come back with label, technique, drummer, split, tempo, meter and beat."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_trees import TREES, UNKNOWN, idmt_xml, midi, stem_yaml, write

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.events import Event, from_builtins, to_builtins
from beatsight.sources.contract import Report, Source
from beatsight.sources.readers import enst_drums, groove, idmt_smt_drums, mdb_drums, slakh2100

SOURCES: dict[str, Source] = {
    source.card.name: source
    for module in (mdb_drums, enst_drums, idmt_smt_drums, groove, slakh2100)
    for source in module.SOURCES
}


def settings_of(name: str, changed: dict[str, str]) -> dict[str, str]:
    return {option.name: option.default for option in SOURCES[name].options} | changed


def read(name: str, root: Path, **changed: str) -> tuple[list[Event], Report]:
    """All events of a tree, checked, and the report; an item with a fault raises."""
    chosen, report = settings_of(name, changed), Report(root)
    events: list[Event] = []
    for item in SOURCES[name].find(root, chosen):
        events += SOURCES[name].read(item, report, chosen)
    for event in events:
        from_builtins(to_builtins(event), Event, name)
    return events, report


def refused(name: str, root: Path, item: int, message: str) -> None:
    """Reading this item is refused with this message (plain text)."""
    chosen = settings_of(name, {})
    found = SOURCES[name].find(root, chosen)
    with pytest.raises(InputError, match=re.escape(message)):
        list(SOURCES[name].read(found[item], Report(root), chosen))


def at(events: list[Event], session: str) -> list[Event]:
    return [event for event in events if event.session_id == session]


@pytest.mark.parametrize("name", TREES)
class TestEverySet:
    """What holds for each of them."""

    def test_nothing_is_lost_and_the_unknown_name_is_counted_where_it_stands(
        self, name: str, tmp_path: Path
    ) -> None:
        events, report = read(name, TREES[name](tmp_path))
        unknown = report.unmapped_names[UNKNOWN[name]]
        assert unknown.count == 1
        file, _, line = unknown.first.partition(":")
        assert (report.root / file).is_file()
        if not file.endswith((".mid", ".midi")):
            text = (report.root / file).read_text().splitlines()
            assert UNKNOWN[name] in "".join(text[int(line) - 1 : int(line) + 5])
        assert all(label in taxonomy.CANONICAL for event in events for label in event.labels)
        assert len({event.sample_id for event in events}) == len(events)

    def test_recordings_are_named_where_they_are_there(self, name: str, tmp_path: Path) -> None:
        events, report = read(name, TREES[name](tmp_path))
        named = {event.audio_path for event in events}
        assert None in named and len(named) > 1
        assert all((report.root / path).is_file() for path in named if path)

    def test_an_empty_folder_says_what_was_expected(self, name: str, tmp_path: Path) -> None:
        title = re.escape(SOURCES[name].card.title)
        with pytest.raises(InputError, match=f"is not laid out as {title}; expected .+"):
            SOURCES[name].find(tmp_path, settings_of(name, {}))

    def test_the_source_states_its_terms(self, name: str) -> None:
        card = SOURCES[name].card
        assert all((card.title, card.version, card.licence, card.citation, card.url, card.layout))
        assert card.has_audio
        assert card.commercial is (name in {"groove_midi", "egmd", "slakh2100"})


class TestMdbDrums:
    def test_subclasses_give_label_technique_and_place(self, tmp_path: Path) -> None:
        events, _ = read("mdb_drums", TREES["mdb_drums"](tmp_path))
        first = at(events, "mdb_drums:MusicDelta_A")
        assert [event.labels for event in first] == [
            ("kick", "hihat_closed"), ("snare",), ("snare",), ("ride_bell",),
        ]  # fmt: skip
        assert [event.techniques for event in first] == [None, ["ghost_note"], ["flam"], None]
        # 0.49 s is just before the first beat (0.5 s), 2.51 s just after the fifth.
        assert [(event.bar_index, event.beat_index) for event in first] == [(0, 0), (0, 1), (0, 2), (1, 0)]
        assert {(event.tempo_bpm, event.meter) for event in first} == {(120.0, "4/4")}
        assert first[0].sample_id == "mdb_drums:MusicDelta_A:000490000"
        assert first[0].metadata_ref == "provenance:annotations/subclass/MusicDelta_A_subclass.txt"
        assert first[0].audio_path == "audio/drum_only/MusicDelta_A_Drum.wav"

    def test_without_beats_there_is_no_place(self, tmp_path: Path) -> None:
        events, _ = read("mdb_drums", TREES["mdb_drums"](tmp_path))
        second = at(events, "mdb_drums:MusicDelta_B")
        assert [event.labels[0] for event in second] == ["tom_low", "snare_off", "snare", "tambourine"]
        variants = [event.components[0].instrument_variant for event in second]
        assert variants == ["low floor tom", None, "brushes", None]
        assert all(event.tempo_bpm is event.meter is event.bar_index is None for event in second)

    def test_classes_are_marked_and_fold_to_themselves(self, tmp_path: Path) -> None:
        events, _ = read("mdb_drums", TREES["mdb_drums"](tmp_path), annotations="class", audio="full_mix")
        folded = [taxonomy.fold(label, "five") for event in events for label in event.labels]
        assert folded == ["KD", "HH", "SD", "SD", "CY", "TT", "SD", "SD", None]
        assert all(event.tags == ["label_level:class"] and event.notes for event in events)
        assert {event.audio_path for event in events} == {"audio/full_mix/MusicDelta_A_MIX.wav", None}
        assert {event.mix_context for event in events} == {"full_mix"}

    def test_every_subclass_folds_to_its_class(self) -> None:
        # The first letters of the 21 names, and the two that the set puts under OT.
        classes = {"KD": "KD", "SD": "SD", "HH": "HH"} | dict.fromkeys(("HIT", "MHT", "HFT", "LFT"), "TT")
        for name, (label, _, technique) in mdb_drums._SUBCLASSES.items():
            expected = classes.get(name) or ("SD" if name[:2] == "SD" else "HH" if name[1:] == "HH" else "CY")
            assert taxonomy.fold(label, "five") == {"SST": "SD", "TMB": None}.get(name, expected)
            assert technique is None or taxonomy.resolve_technique(technique) == technique
        assert len(mdb_drums._SUBCLASSES) == 21

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("0.5", "_subclass.txt:2: '0.5' is not a time and a name"),
            ("half KD", "_subclass.txt:2: 'half' is not a time in seconds"),
            ("-1 KD", "_subclass.txt:2: time -1 s is not in the recording"),
            ("nan KD", "_subclass.txt:2: time nan s is not in the recording"),
        ],
    )
    def test_a_damaged_line_is_named(self, line: str, message: str, tmp_path: Path) -> None:
        root = TREES["mdb_drums"](tmp_path)
        write(root / "annotations/subclass/MusicDelta_B_subclass.txt", f"0.1 KD\n{line}\n")
        refused("mdb_drums", root, 1, message)

    @pytest.mark.parametrize(
        ("beats", "message"),
        [
            ("0.5 one\n", ".beats:1: 'one' is not a beat number"),
            ("0.5 0\n", ".beats:1: '0' is not a beat number"),
            ("0.5 999\n", ".beats:1: '999' is not a beat number"),
            ("1.0 1\n0.5 2\n", ".beats: the beats are not in order of time"),
            ("\n", ".beats: holds no beats"),
        ],
    )
    def test_damaged_beats_are_named(self, beats: str, message: str, tmp_path: Path) -> None:
        root = TREES["mdb_drums"](tmp_path)
        write(root / "annotations/beats/MusicDelta_A_MIX.beats", beats)
        refused("mdb_drums", root, 0, message)

    def test_a_pickup_and_an_unfinished_bar_do_not_change_the_meter(self, tmp_path: Path) -> None:
        root = TREES["mdb_drums"](tmp_path)
        numbers = [3, 1, 2, 3, 1, 2, 3, 1]
        beats = "".join(f"{index:.2f} {number}\n" for index, number in enumerate(numbers))
        write(root / "annotations/beats/MusicDelta_A_MIX.beats", beats)
        hits = "".join(f"{index + 0.1} KD\n" for index in range(8))
        write(root / "annotations/subclass/MusicDelta_A_subclass.txt", hits)
        events = at(read("mdb_drums", root)[0], "mdb_drums:MusicDelta_A")
        assert [event.bar_index for event in events] == [-1, 0, 0, 0, 1, 1, 1, 2]
        assert [event.beat_index for event in events] == [2, 0, 1, 2, 0, 1, 2, 0]
        assert {event.meter for event in events} == {"3/4"}

    def test_the_repository_checkout_is_read_too(self, tmp_path: Path) -> None:
        root = TREES["mdb_drums"](tmp_path)
        root.rename(tmp_path / "MDB Drums")
        events, _ = read("mdb_drums", tmp_path)
        assert events[0].audio_path == "MDB Drums/audio/drum_only/MusicDelta_A_Drum.wav"

    def test_the_development_tracks(self, shared: Path) -> None:
        root = shared / "data" / "mdb"
        events, report = read("mdb_drums", root)
        lines = [
            line.split()[1]
            for path in (root / "annotations" / "subclass").iterdir()
            for line in path.read_text().splitlines()
        ]
        labels = Counter(label for event in events for label in event.labels)
        doubled = report.unmapped_names.get("doubled hit")
        assert sum(labels.values()) + (doubled.count if doubled else 0) == len(lines) == 666
        assert labels["kick"] == lines.count("KD") == 205
        assert labels["snare"] == lines.count("SD") == 143
        assert labels["ride_bow"] == lines.count("RDC") == 106
        assert len({event.audio_path for event in events}) == 5
        assert all(event.bar_index is not None and event.meter == "4/4" for event in events)
        by_class, _ = read("mdb_drums", root, annotations="class")
        assert [event.onset_time for event in by_class] == [event.onset_time for event in events]


class TestEnstDrums:
    def test_labels_variants_and_drummers(self, tmp_path: Path) -> None:
        events, report = read("enst_drums", TREES["enst_drums"](tmp_path))
        take = at(events, "enst_drums:drummer_1/162_MIDI-minus-one_fusion-125_sticks")
        assert [event.labels for event in take] == [
            ("kick", "crash"), ("hihat_open",), ("tom_low",), ("ride_bow",),
        ]  # fmt: skip
        assert [event.components[-1].instrument_variant for event in take] == ["cr2", None, "ltr", "rc3"]
        assert take[2].components[0].strike_position == "rim"
        assert {event.tempo_bpm for event in take} == {125.0}
        assert take[0].tags == ["take:MIDI-minus-one", "style:fusion", "beater:sticks"]
        assert take[0].drummer_id == take[0].kit_id == "enst_drums:drummer_1"
        assert report.unmapped_names["gong"].first.endswith("_sticks.txt:6")

    def test_snare_strokes(self, tmp_path: Path) -> None:
        events, _ = read("enst_drums", TREES["enst_drums"](tmp_path))
        hits = at(events, "enst_drums:drummer_1/001_hits_snare-drum_sticks_x6")
        assert [event.labels[0] for event in hits] == ["snare", "snare_off", "rimshot"]
        assert hits[0].tags == ["take:hits", "beater:sticks"]

    def test_mallets_are_a_technique_of_the_hands(self, tmp_path: Path) -> None:
        events, report = read("enst_drums", TREES["enst_drums"](tmp_path))
        take = [event for event in events if event.drummer_id == "enst_drums:drummer_2"]
        assert [event.labels[0] for event in take] == ["kick", "tom_low"]
        assert [event.techniques for event in take] == [None, ["mallet_playing"]]
        assert take[0].tags == ["take:phrase", "style:afro", "beater:mallets"]
        # What is no strike of a known drum is counted, with the reason.
        assert "no strike" in report.unmapped_names["sweep"].why
        assert "no drum" in report.unmapped_names["sticks"].why
        assert "not stated" in report.unmapped_names["c4"].why

    def test_a_microphone_instead_of_the_mix(self, tmp_path: Path) -> None:
        events, _ = read("enst_drums", TREES["enst_drums"](tmp_path), audio="overhead_L")
        overhead = "drummer_1/audio/overhead_L/001_hits_snare-drum_sticks_x6.wav"
        assert {event.audio_path for event in events} == {overhead, None}
        assert {event.mix_context for event in events} == {"overheads"}

    def test_every_label_of_the_paper_is_mapped_or_explained(self) -> None:
        # Gillet and Richard 2006, table 2.
        table = {
            "bd", "sd", "sweep", "sticks", "rs", "cs", "chh", "ohh", "cb", "c",
            "lmt", "mt", "mtr", "lt", "ltr", "lft", "rc", "ch", "cr", "spl",
        }  # fmt: skip
        assert table == (set(enst_drums._LABELS) | set(enst_drums._NO_LABEL)) - {"sd-"}

    def test_a_damaged_line_is_named(self, tmp_path: Path) -> None:
        root = TREES["enst_drums"](tmp_path)
        write(root / "drummer_1/annotation/001_hits_snare-drum_sticks_x6.txt", "0.1 sd\n\n0.2\n")
        refused("enst_drums", root, 0, "x6.txt:3: '0.2' is not a time and a name")


class TestIdmtSmtDrums:
    def test_loops(self, tmp_path: Path) -> None:
        events, report = read("idmt_smt_drums", TREES["idmt_smt_drums"](tmp_path))
        real = at(events, "idmt_smt_drums:RealDrum01_00")
        # The onset before the start is moved to it, and joins the hat of the same instant.
        assert [(event.onset_time, set(event.labels)) for event in real] == [
            (0.0, {"kick", "hihat_closed"}),
            (0.5, {"snare"}),
        ]
        assert real[0].kit_id == "idmt_smt_drums:RealDrum01" and real[0].is_synthetic is False
        assert real[0].audio_path == "audio/RealDrum01_00#MIX.wav"
        wave = at(events, "idmt_smt_drums:WaveDrum02_07")
        assert all(event.is_synthetic and event.tags == ["part:WaveDrum"] for event in wave)
        assert [event.onset_time for event in wave] == [0.001, 0.4, 0.8]
        hats = [one for event in events for one in event.components if one.label == "hihat_closed"]
        assert {hat.instrument_variant for hat in hats} == {"HH, openness not stated"}
        # Line 9 begins the events; each has six lines.
        assert report.unmapped_names["TT"].first == "annotation_xml/RealDrum01_00#MIX.xml:26"

    def test_stems(self, tmp_path: Path) -> None:
        root = TREES["idmt_smt_drums"](tmp_path)
        events = at(read("idmt_smt_drums", root, audio="stems")[0], "idmt_smt_drums:WaveDrum02_07")
        found = [(event.audio_path, event.onset_time, event.labels) for event in events]
        assert found == [
            ("audio/WaveDrum02_07#HH.wav", 0.001, ("hihat_closed",)),
            ("audio/WaveDrum02_07#HH.wav", 0.8, ("hihat_closed",)),
            ("audio/WaveDrum02_07#KD.wav", 0.001, ("kick",)),
            (None, 0.4, ("snare",)),
        ]
        assert [event.sample_id.rpartition(":")[2] for event in events] == [
            "000001000", "000800000", "000001000-2", "000400000-3",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("xml", "message"),
        [
            ("<a><event>", "#MIX.xml:1: is not valid XML: no element found"),
            ('<?xml version="1.0" encoding="moon"?><a/>', "#MIX.xml: is not valid XML: unknown encoding"),
            (idmt_xml([("soon", "KD")]), "#MIX.xml:8: onsetSec 'soon' is not a time in seconds"),
            (idmt_xml([("-0.3", "KD")]), "#MIX.xml:8: onsetSec -0.3 s is not in the recording"),
            (idmt_xml([("inf", "KD")]), "#MIX.xml:8: onsetSec inf s is not in the recording"),
            ("<a>\n<event><onsetSec>1</onsetSec></event></a>", "#MIX.xml:2: the event has no instrument"),
            ("<a>\n<event><instrument>KD</instrument></event></a>", "#MIX.xml:2: the event has no onsetSec"),
            ('<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>\n<a>&d;</a>', "declares a document type"),
        ],
    )
    def test_damaged_xml_is_named(self, xml: str, message: str, tmp_path: Path) -> None:
        root = TREES["idmt_smt_drums"](tmp_path)
        write(root / "annotation_xml" / "RealDrum01_00#MIX.xml", xml)
        refused("idmt_smt_drums", root, 0, message)

    def test_a_document_type_in_another_encoding_is_refused_too(self, tmp_path: Path) -> None:
        root = TREES["idmt_smt_drums"](tmp_path)
        path = root / "annotation_xml" / "RealDrum01_00#MIX.xml"
        path.write_bytes('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a><a/>'.encode("utf-16"))
        refused("idmt_smt_drums", root, 0, "#MIX.xml:1: declares a document type")


class TestGroove:
    def test_a_beat(self, tmp_path: Path) -> None:
        events, _ = read("groove_midi", TREES["groove_midi"](tmp_path))
        take = at(events, "groove_midi:drummer1/session1/1")
        # At 80 bpm a quarter lasts 0.75 s.
        assert [event.onset_time for event in take] == [0.0, 0.75, 4.125]
        assert [event.labels for event in take] == [
            ("kick", "hihat_closed"), ("rimshot",), ("hihat_open", "crash"),
        ]  # fmt: skip
        assert [(event.bar_index, event.beat_index) for event in take] == [(0, 0), (0, 1), (1, 1)]
        assert {(event.tempo_bpm, event.meter) for event in take} == {(80.0, "4/4")}
        closed, opened = take[0].components[1], take[2].components[0]
        assert (closed.openness_raw, closed.openness, closed.strike_position) == (90, 0.0, "bow")
        assert (opened.openness_raw, opened.openness, opened.strike_position) == (45, 0.5, "edge")
        assert take[0].components[0].velocity == 1.0 and take[0].components[0].openness_raw is None
        assert take[0].tags == [
            "style:funk", "beat_type:beat", "session:groove_midi:drummer1/session1", "split:train",
        ]  # fmt: skip
        assert take[0].drummer_id == "groove_midi:drummer1"
        assert (take[0].device_vendor, take[0].device_model) == ("Roland", "TD-11")
        assert {event.notes for event in take} == {None}

    def test_a_fill_in_six_eight(self, tmp_path: Path) -> None:
        events, _ = read("groove_midi", TREES["groove_midi"](tmp_path))
        take = at(events, "groove_midi:drummer7/session2/9")
        # Quarter 3.5 is eighth 7: the second beat of the second bar of six.
        assert [(event.bar_index, event.beat_index) for event in take] == [(0, 0), (1, 1)]
        assert {event.meter for event in take} == {"6/8"} and take[0].audio_path is None
        assert all(event.techniques == ["drum_fill"] and "split:validation" in event.tags for event in take)

    def test_the_table_may_disagree_with_the_file(self, tmp_path: Path) -> None:
        root = TREES["groove_midi"](tmp_path)
        table = root / "info.csv"
        table.write_text(table.read_text().replace(",80,beat,4-4,", ",90,beat,3-4,"))
        take = at(read("groove_midi", root)[0], "groove_midi:drummer1/session1/1")
        assert {(event.tempo_bpm, event.meter) for event in take} == {(80.0, "4/4")}
        assert take[0].notes == "info.csv says 90 bpm and 3/4"

    def test_missing_and_unnamed_files_are_refused_one_by_one(self, tmp_path: Path) -> None:
        root = TREES["groove_midi"](tmp_path)
        first = root / "drummer1/session1/1_funk_80_beat_4-4.mid"
        first.rename(first.with_name("other.mid"))
        refused("groove_midi", root, 0, "1_funk_80_beat_4-4.mid: is not there, though info.csv names it")
        refused("groove_midi", root, 2, "other.mid: no row of info.csv names it")

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (",80,", ",fast,", "info.csv:2: bpm 'fast' is not a tempo"),
            (",80,", ",0,", "info.csv:2: bpm '0' is not a tempo"),
            (",4-4,", ",44,", "info.csv:2: time_signature '44' is not of the form 4-4"),
            ("drummer1/session1/1_funk_80_beat_4-4.mid", "../x.mid", "../x.mid: leaves its root folder"),
            ("drummer1/session1/1_funk_80_beat_4-4.wav", "../x.wav", "../x.wav: leaves its root folder"),
        ],
    )
    def test_a_damaged_row_is_named(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        root = TREES["groove_midi"](tmp_path)
        table = root / "info.csv"
        table.write_text(table.read_text().replace(old, new))
        refused("groove_midi", root, 0, message)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("split", "part", "info.csv: has no column 'split'"),
            (",train", "", "info.csv:2: has 10 cells, the header has 11"),
        ],
    )
    def test_a_damaged_table_is_refused(self, old: str, new: str, message: str, tmp_path: Path) -> None:
        root = TREES["groove_midi"](tmp_path)
        table = root / "info.csv"
        table.write_text(table.read_text().replace(old, new))
        with pytest.raises(InputError, match=re.escape(message)):
            SOURCES["groove_midi"].find(root, {})

    def test_one_take_on_two_kits_is_one_session(self, tmp_path: Path) -> None:
        events, _ = read("egmd", TREES["egmd"](tmp_path))
        assert {event.session_id for event in events} == {"egmd:drummer1/session1/1"}
        assert [(event.kit_id, event.sample_id.rpartition(":")[2]) for event in events] == [
            ("egmd:Acoustic Kit", "000000000"),
            ("egmd:Acoustic Kit", "000750000"),
            ("egmd:Heavy Metal", "000000000-2"),
            ("egmd:Heavy Metal", "000750000-2"),
        ]
        assert {event.drummer_id for event in events} == {"egmd:drummer1"}
        assert {event.device_model for event in events} == {"TD-17"}

    def test_the_first_kit_may_be_missing(self, tmp_path: Path) -> None:
        root = TREES["egmd"](tmp_path)
        whole, _ = read("egmd", root)
        (root / "drummer1/session1/1_funk_80_beat_4-4_1.midi").unlink()
        chosen = settings_of("egmd", {})
        take = SOURCES["egmd"].find(root, chosen)[1]
        events = list(SOURCES["egmd"].read(take, Report(root), chosen))
        assert [event.sample_id for event in events] == [event.sample_id for event in whole[2:]]

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.integers(0, 40), st.sampled_from([22, 26, 36, 38, 42, 55, 3]), st.integers(1, 127)),
            min_size=1,
            max_size=20,
            unique_by=lambda hit: hit[:2],
        )
    )
    def test_no_hit_is_lost(
        self, tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[int, int, int]]
    ) -> None:
        root = TREES["groove_midi"](tmp_path_factory.mktemp("groove"))
        path = root / "drummer1/session1/1_funk_80_beat_4-4.mid"
        midi(path, [(step / 4, note, velocity) for step, note, velocity in hits], bpm=80)
        chosen, report = settings_of("groove_midi", {}), Report(root)
        take = SOURCES["groove_midi"].find(root, chosen)[0]
        events = list(SOURCES["groove_midi"].read(take, report, chosen))
        unmapped = sum(found.count for found in report.unmapped_names.values())
        assert sum(len(event.components) for event in events) + unmapped == len(hits)
        assert [event.onset_time for event in events] == sorted({event.onset_time for event in events})

    def test_times_agree_with_pretty_midi(self, shared: Path) -> None:
        root = shared / "data" / "grooves"
        chosen, report = settings_of("groove_midi", {}), Report(root)
        for take in SOURCES["groove_midi"].find(root, chosen)[:5]:
            events = list(SOURCES["groove_midi"].read(take, report, chosen))
            song = pretty_midi.PrettyMIDI(str(take.path))
            starts = np.sort([note.start for one in song.instruments for note in one.notes])
            # Each event begins with a note; each note begins with an event or up to 2 ms after one.
            onsets = np.array([event.onset_time for event in events])
            assert np.abs(starts[np.searchsorted(starts, onsets - 1e-6)] - onsets).max() < 1e-6
            behind = starts - onsets[np.searchsorted(onsets, starts + 1e-6) - 1]
            assert behind.min() > -1e-6 and behind.max() < 0.002 + 1e-6
            assert np.diff(onsets).min() > 0.002

    def test_the_development_files(self, shared: Path) -> None:
        root = shared / "data" / "grooves"
        with (root / "info.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        chosen, report = settings_of("groove_midi", {}), Report(root)
        takes = SOURCES["groove_midi"].find(root, chosen)
        assert len(takes) == len(rows) == 958
        assert Counter(row["split"] for row in rows) == {"train": 839, "validation": 119}
        components = written = 0
        for take in takes[::20]:
            events = list(SOURCES["groove_midi"].read(take, report, chosen))
            components += sum(len(event.components) for event in events)
            written += sum(
                message.type == "note_on" and message.velocity > 0
                for track in mido.MidiFile(take.path).tracks
                for message in track
            )
            assert {event.notes for event in events} == {None}
        doubled = report.unmapped_names.get("doubled hit")
        assert components + (doubled.count if doubled else 0) == written > 10_000
        assert set(report.unmapped_names) <= {"doubled hit"}


class TestSlakh2100:
    def test_the_song_joins_its_drum_stems(self, tmp_path: Path) -> None:
        events, _ = read("slakh2100", TREES["slakh2100"](tmp_path))
        song = at(events, "slakh2100:Track00001")
        assert [event.labels for event in song] == [("kick", "crash"), ("snare",), ("tambourine",)]
        assert {event.audio_path for event in song} == {"train/Track00001/mix.flac"}
        assert all(event.is_synthetic and event.mix_context == "full_mix" for event in song)
        assert song[0].kit_id == "slakh2100:funk_kit.nkm+pop_kit.nkm"
        assert song[0].track_id == "slakh2100:1a81ae092884234f3264e2f45927f00a"
        assert [event.tags for event in events] == [["split:train"]] * 3 + [["split:validation"]]

    def test_a_stem_that_was_not_rendered_is_counted(self, tmp_path: Path) -> None:
        events, report = read("slakh2100", TREES["slakh2100"](tmp_path))
        assert "cowbell" not in {label for event in events for label in event.labels}
        unheard = report.unmapped_names["hit of a stem that was not rendered"]
        assert (unheard.count, unheard.first) == (2, "train/Track00001/MIDI/S03.mid")

    def test_each_stem_alone(self, tmp_path: Path) -> None:
        root = TREES["slakh2100"](tmp_path)
        song = at(read("slakh2100", root, audio="stem")[0], "slakh2100:Track00001")
        assert [(event.audio_path, event.labels, event.kit_id) for event in song] == [
            ("train/Track00001/stems/S01.flac", ("kick",), "slakh2100:funk_kit.nkm"),
            ("train/Track00001/stems/S01.flac", ("snare",), "slakh2100:funk_kit.nkm"),
            ("train/Track00001/stems/S02.flac", ("crash",), "slakh2100:pop_kit.nkm"),
            ("train/Track00001/stems/S02.flac", ("tambourine",), "slakh2100:pop_kit.nkm"),
        ]
        assert song[2].sample_id == "slakh2100:Track00001:000000000-2"
        assert {event.mix_context for event in song} == {None}

    def test_a_tree_without_splits(self, tmp_path: Path) -> None:
        root = (TREES["slakh2100"](tmp_path) / "train").rename(tmp_path / "babyslakh_16k")
        mix = root / "Track00001" / "mix.flac"
        mix.rename(mix.with_suffix(".wav"))
        events, _ = read("slakh2100", root)
        assert [event.audio_path for event in events] == ["Track00001/mix.wav"] * 3
        assert events[0].tags is None

    def test_a_missing_midi_file_is_listed(self, tmp_path: Path) -> None:
        root = TREES["slakh2100"](tmp_path)
        (root / "train/Track00001/MIDI/S02.mid").unlink()
        events, report = read("slakh2100", root)
        assert "crash" not in {label for event in events for label in event.labels}
        assert list(report.skipped) == ["train/Track00001/MIDI/S02.mid"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("stems: [", "metadata.yaml:1: is not valid YAML: "),
            ("stems:\n  S00: 5\n", "metadata.yaml: stem S00 is not a table"),
            ("- 1\n", "metadata.yaml: holds no table of stems"),
            ("UUID: 2021-99-99\nstems: {}\n", "metadata.yaml: is not valid YAML: "),
            ("stems:\n  ../S00: {is_drum: true}\n", "metadata.yaml: '../S00' is not the name of a stem"),
            ("stems:\n" + stem_yaml("S00", is_drum=False), "metadata.yaml: has no stem with is_drum: true"),
            ("stems: !!python/object/apply:os.getcwd []\n", "metadata.yaml:1: is not valid YAML: "),
        ],
    )
    def test_damaged_metadata_is_named(self, text: str, message: str, tmp_path: Path) -> None:
        root = TREES["slakh2100"](tmp_path)
        write(root / "train/Track00001/metadata.yaml", text)
        refused("slakh2100", root, 0, message)

    def test_missing_metadata_is_named(self, tmp_path: Path) -> None:
        root = TREES["slakh2100"](tmp_path)
        (root / "train/Track00001/metadata.yaml").unlink()
        refused("slakh2100", root, 0, "metadata.yaml: cannot be read")
