"""Ingest: what is planted in plain files comes out, faults are listed, outputs are safe; the real kits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import generic_trees
import pytest
from generic_trees import chart, strike
from source_trees import midi, silence, write

from beatsight.charts import (
    HitObject,
    Timing,
    TimingPoint,
    read_chart,
    read_performance,
    write_bsm,
    write_midi,
)
from beatsight.errors import InputError, UsageError
from beatsight.events import Component, Event, read_events
from beatsight.sources.contract import Report
from beatsight.sources.ingest import ingest
from beatsight.sources.note_keys import read_keys
from beatsight.sources.strikes import Strike, gather


def told(event: Event) -> tuple[float, dict[str, float | None]]:
    return round(event.onset_time, 6), {part.label: part.velocity for part in event.components}


def read(name: str, root: Path, tmp_path: Path, **settings: str) -> list[Event]:
    ingest(name, root, tmp_path / "events.jsonl", settings)
    return read_events(tmp_path / "events.jsonl")


# -- strikes -------------------------------------------------------------------------------------------------


def test_hits_within_two_milliseconds_join_and_the_louder_of_one_drum_stays(tmp_path: Path) -> None:
    report = Report(tmp_path)
    planted = [
        (0.1025, "snare", 0.5), (0.100, "kick", 0.2), (0.102, "kick", 0.9), (0.1045, "snare", None),
        (0.101, "crash", None), (0.3, "kick", 0.1),
    ]  # fmt: skip
    strikes = [
        Strike(time, Component(label=label, velocity=velocity), f"a.txt:{line}")
        for line, (time, label, velocity) in enumerate(planted, start=1)
    ]
    template = Event(sample_id="-", session_id="t:a", onset_time=0, components=[], tags=["x"])
    events = gather(strikes, template, report)
    assert [told(event) for event in events] == [
        (0.1, {"kick": 0.9, "crash": None}),
        (0.1025, {"snare": 0.5}),
        (0.3, {"kick": 0.1}),
    ]
    assert [event.sample_id for event in events] == ["t:a:000100000", "t:a:000102500", "t:a:000300000"]
    assert all(event.tags == ["x"] for event in events)
    doubled = report.unmapped_names["doubled hit"]
    assert (doubled.count, doubled.first) == (2, "a.txt:3")


def test_techniques_of_an_instant_are_joined_with_those_of_the_recording(tmp_path: Path) -> None:
    template = Event(
        sample_id="-", session_id="t:a", onset_time=0, components=[], techniques=["heel_toe"], meter="3/4"
    )
    strikes = [
        Strike(1.0, Component(label="snare"), "a", techniques=("flam",), bar=3, beat=2.75, bpm=90.0),
        Strike(1.0, Component(label="kick"), "a", techniques=("drag",)),
    ]
    (event,) = gather(strikes, template, Report(tmp_path))
    assert event.techniques == ["heel_toe", "drag", "flam"]
    assert (event.bar_index, event.beat_index, event.tempo_bpm, event.meter) == (3, 2, 90.0, "3/4")


# -- plain files ---------------------------------------------------------------------------------------------


def test_a_chart_keeps_bars_tempo_and_stated_velocities(tmp_path: Path) -> None:
    root = generic_trees.bsm(tmp_path)
    events = read("bsm", root, tmp_path)
    song = [event for event in events if event.session_id == "bsm:a/song"]
    # 120 bpm in 3/4 from 0.5 s on: a bar lasts 1.5 s; the snare lies half a beat before the first bar.
    assert [told(event) for event in song] == [
        (0.25, {"snare": 0.25}),
        (0.5, {"kick": 1.0, "crash": None}),
        (2.499, {"tom_low": None}),
    ]
    assert [(event.bar_index, event.beat_index) for event in song] == [(-1, 2), (0, 0), (1, 1)]
    assert {(event.tempo_bpm, event.meter, event.audio_path) for event in song} == {
        (120.0, "3/4", "a/take 1.wav")
    }
    (other,) = (event for event in events if event.session_id == "bsm:b")
    assert other.audio_path is None


def test_a_chart_and_the_midi_file_written_from_it_have_the_same_bars(tmp_path: Path) -> None:
    timing = Timing(
        bpm=97.3, offset=1333, time_signature="4/4",
        timing_points=[
            TimingPoint(time=8000, bpm=140.0),
            TimingPoint(time=15_000, bpm=90, time_signature="7/8"),
        ],
    )  # fmt: skip
    made = read_chart(write(tmp_path / "in" / "a.bsm", chart([], "x.wav")))
    made.timing = timing
    made.hit_objects = [HitObject(time, "kick", 0.5) for time in range(1400, 22_000, 311)]
    write_bsm(made, tmp_path / "in" / "a.bsm")
    write_midi(made, tmp_path / "in" / "b.mid")
    from_chart, from_midi = (read(name, tmp_path / "in", tmp_path) for name in ("bsm", "midi"))
    assert len(from_chart) == len(from_midi) == len(made.hit_objects)
    for one, other in zip(from_chart, from_midi, strict=True):
        assert abs(one.onset_time - other.onset_time) < 0.001
        assert (one.bar_index, one.meter) == (other.bar_index, other.meter), one.onset_time
        assert one.beat_index == other.beat_index and one.tempo_bpm == pytest.approx(
            other.tempo_bpm, rel=1e-4
        )


def test_a_chart_that_names_audio_outside_the_folder_gets_the_one_beside_it(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "a.bsm", chart([{"time": 1, "component": "kick"}], "../outside.wav"))
    silence(tmp_path / "outside.wav")
    assert [event.audio_path for event in read("bsm", root, tmp_path)] == [None]
    silence(root / "a.flac")
    assert [event.audio_path for event in read("bsm", root, tmp_path)] == ["a.flac"]
    silence(root / "a.wav")
    with pytest.raises(
        InputError, match=r"first: a\.bsm: several recordings have its name \(a\.flac, a\.wav\)"
    ):
        read("bsm", root, tmp_path)


def test_midi_velocity_pedal_bars_and_device(tmp_path: Path) -> None:
    root = generic_trees.midi_files(tmp_path)
    events = [event for event in read("midi", root, tmp_path, device="roland") if event.audio_path == "a.wav"]
    assert [told(event) for event in events] == [
        (0.0, {"kick": 1.0, "hihat_closed": 0.5039}),
        (2.0, {"hihat_open": 0.252}),
        (3.5, {"cross_stick": 0.0079}),
    ]
    assert [(event.bar_index, event.beat_index) for event in events] == [(0, 0), (1, 1), (2, 1)]
    hats = [part for event in events for part in event.components if part.label.startswith("hihat")]
    # A Roland pedal sends 90 when closed: 45 is half open.
    assert [(hat.openness_raw, hat.openness) for hat in hats] == [(90, 0.0), (45, 0.5)]
    plain = [part for event in read("midi", root, tmp_path) for part in event.components]
    assert {(part.openness_raw, part.openness) for part in plain if part.openness_raw} == {
        (90, None), (45, None),
    }  # fmt: skip


def test_a_pedal_stroke_has_no_openness_of_its_own(tmp_path: Path) -> None:
    midi(tmp_path / "in" / "a.mid", [(1, 44, 80)], pedal=[(0, 45)])
    (event,) = read("midi", tmp_path / "in", tmp_path, device="roland")
    (hat,) = event.components
    assert (hat.label, hat.openness_raw, hat.openness) == ("hihat_pedal", 45, None)


@pytest.mark.parametrize(
    ("name", "text"),
    [("keys.toml", '3 = "gong"\n36 = "Floor Tom"\n'), ("keys.json", '{"3": "gong", "36": "tom_low"}')],
)
def test_a_note_file_adds_keys_and_its_faults_are_named(tmp_path: Path, name: str, text: str) -> None:
    midi(tmp_path / "in" / "a.mid", [(0, 3, 80), (1, 36, 80), (2, 38, 80)])
    notes = write(tmp_path / name, text)
    with pytest.raises(InputError, match=rf"{name}: 3: unknown drum label 'gong'"):
        read("midi", tmp_path / "in", tmp_path, notes=str(notes))
    write(notes, text.replace("gong", "cowbell"))
    events = read("midi", tmp_path / "in", tmp_path, notes=str(notes))
    assert [event.labels for event in events] == [("cowbell",), ("tom_low",), ("snare",)]
    said = json.loads((tmp_path / "events.jsonl.provenance.json").read_text(encoding="utf-8"))
    assert list(said["settings_files"]) == ["notes"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('kick = "kick"', "kick: is not a MIDI key from 0 to 127"),
        ('128 = "kick"', "128: is not a MIDI key from 0 to 127"),
        ("36 = 1", "36: is not the name of a drum"),
        ("36 kick", "is not a table of key = label"),
    ],
)
def test_a_faulty_note_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"keys\.toml: {why}"):
        read_keys({"notes": str(write(tmp_path / "keys.toml", text))})
    with pytest.raises(
        UsageError, match="device 'korg' is unknown; known: gm, roland, alesis_nitro, or give"
    ):
        read_keys({"device": "korg"})


def test_a_device_changes_only_its_own_keys() -> None:
    general, nitro = (read_keys({"device": device}).labels for device in ("gm", "alesis_nitro"))
    changed = {key: label for key, label in nitro.items() if general.get(key) != label}
    # Table of pad notes of the Nitro module's user guide; tom 2 (45) and its rim (47) are one drum.
    assert changed == {21: "hihat_foot_splash", 23: "hihat_half", 39: "tom_low", 40: "rimshot"}
    assert nitro[45] == nitro[47] == "tom_mid" and nitro[41] == nitro[39]


def test_labels_and_faulty_lines_of_a_track(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write(root / "a.txt", "0.01\t0.01\tkick\n0.04\t0.04\tsnare:2\nx\t1\tkick\n9.5\t9.5\tkick\n")
    silence(root / "a.wav")
    result = ingest("audacity", root, tmp_path / "events.jsonl")
    assert [told(event) for event in read_events(result.output)] == [(0.01, {"kick": None})]
    assert result.skipped == {
        "a.txt:2": "velocity 2 is outside 0..1",
        "a.txt:3": "start 'x' or end '1' is not a number",
        "a.txt:4": "time 9.5 s is beyond the end of the audio (0.050 s)",
    }


def test_a_table_gives_origins_and_the_reason_of_a_faulty_row(tmp_path: Path) -> None:
    root = generic_trees.csv(tmp_path)
    with (root / "a.csv").open("a", encoding="utf-8") as table:
        table.write("wav/x.wav,late,kick,,,,,,\n../../out.wav,1,kick,,,,,,\nwav/\0,1,kick,,,,,,\n")
    silence(tmp_path.parent / "out.wav")
    result = ingest("csv", root, tmp_path / "events.jsonl")
    first, second, *rest = read_events(result.output)
    assert (first.session_id, first.drummer_id, first.kit_id, first.room_id) == (
        "csv:s1", "csv:d1", "csv:k1", "csv:r1",
    )  # fmt: skip
    assert (first.audio_path, first.sample_rate, first.channels) == ("wav/x.wav", 44_100, 1)
    assert second.components[0].openness == 0.75
    assert [(event.session_id, event.labels) for event in rest] == [
        ("csv:gone", ("snare",)), ("csv:y", ("kick", "ride_bow")),
    ]  # fmt: skip
    assert result.skipped["a.csv:6"] == "time 'late' is not a number"
    assert "lies outside" in result.skipped["a.csv:7"]
    assert "is not a usable path: embedded null byte" in result.skipped["a.csv:8"]


# -- kits ----------------------------------------------------------------------------------------------------


def test_one_shots_have_their_measured_onset(tmp_path: Path) -> None:
    events = read("one_shots", generic_trees.one_shots(tmp_path), tmp_path)
    kick = next(event for event in events if event.labels == ("kick",))
    assert kick.onset_time == pytest.approx(0.0125, abs=1 / 44_100)
    assert kick.session_id == kick.kit_id == "one_shots:Room A"
    assert kick.sample_id == "one_shots:Room A/Room A/kick_01:000012494"
    assert {event.audio_path: event.channels for event in events}["Room A/hat_open_01.wav"] == 2


def test_an_sfz_instrument_gives_velocity_gain_and_labels(tmp_path: Path) -> None:
    events = read("sfz_kits", generic_trees.sfz_kits(tmp_path), tmp_path)
    said = {Path(event.audio_path or "").name: event for event in events}
    # "Head 1" names no drum: the label of its global does, before the key.
    assert {name: event.labels[0] for name, event in said.items()} == {
        "head 1.flac": "snare", "Head 2.wav": "snare", "kick_1.flac": "kick", "x.wav": "crash",
        "hat_closed.wav": "hihat_closed",
    }  # fmt: skip
    assert said["head 1.flac"].components[0].velocity == pytest.approx(32 / 127, abs=1e-4)
    gains = {name: event.processing_chain["gain_db"] for name, event in said.items()}
    assert gains["Head 2.wav"] - gains["head 1.flac"] == pytest.approx(3, abs=1e-3)
    assert gains["head 1.flac"] == pytest.approx(-6 + 40 * -0.59871, abs=0.01)  # log10(32 / 127) = -0.5987
    assert gains["kick_1.flac"] == 0
    assert said["hat_closed.wav"].components[0].openness_raw == 119.5


def test_a_layout_file_counts_as_read(tmp_path: Path) -> None:
    root = tmp_path / "in"
    strike(root / "a-2.wav")
    strike(root / "a-1.wav")
    layout = """name = "Mine"
files = "^(?P<piece>a)-(?P<layer>[12])$"
layers.default = { 1 = 63, 2 = 127 }
pieces.a = { label = "hihat_open", openness = 0.8, choke = true }
"""
    write(root / "kit.toml", layout)
    for name in ("one_shots", "sfz_kits"):
        events = read(name, root, tmp_path)
        assert [part.velocity for event in events for part in event.components] == [32 / 127, 95.5 / 127]
        assert {(event.components[0].openness, event.components[0].choke) for event in events} == {
            (0.8, True)
        }
        said = json.loads((tmp_path / "events.jsonl.provenance.json").read_text(encoding="utf-8"))
        assert set(said["files"]) == {"a-1.wav", "a-2.wav", "kit.toml"}


def test_a_silent_strike_is_listed(tmp_path: Path) -> None:
    root = generic_trees.one_shots(tmp_path)
    silence(root / "Room A" / "kick_02.wav")
    result = ingest("one_shots", root, tmp_path / "events.jsonl")
    assert result.skipped == {"Room A/kick_02.wav": "the hit is silent: it has no attack"}


def test_the_real_sfz_agrees_with_the_hand_made_layout(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "kits" / "salamander"
    by_layout = {event.audio_path: event for event in read("sfz_kits", root, tmp_path, by="layout")}
    result = ingest("sfz_kits", root, tmp_path / "events.jsonl", {"by": "sfz"})
    by_sfz = {event.audio_path: event for event in read_events(result.output)}
    assert result.events + sum(unmapped.count for unmapped in result.unmapped) == 535  # its regions
    missing = [name for name in result.unmapped if name.why == "the sample file is missing"]
    assert len(missing) == 260 and len(by_sfz) == 268
    layered = 0
    for path, event in by_sfz.items():
        other = by_layout[path]
        assert event.labels == other.labels
        if event.components[0].velocity is not None:
            layered += 1
            assert event.components[0].velocity == pytest.approx(other.components[0].velocity, abs=0.005)
            gain = other.processing_chain["gain_db"]
            assert event.processing_chain["gain_db"] == pytest.approx(gain, abs=0.1)
    assert layered > 200


def test_the_real_kits_give_every_strike_once(shared: Path, tmp_path: Path) -> None:
    root = shared / "data" / "kits"
    result = ingest("sfz_kits", root, tmp_path / "events.jsonl")
    events = read_events(result.output)
    assert result.skipped == {} and result.items == 5
    assert len({event.audio_path for event in events}) == len(events)
    assert Counter(event.mix_context for event in events)["overheads"] > 700
    assert all(0 <= event.onset_time < 1 for event in events)
    assert {event.kit_id for event in events} >= {"sfz_kits:salamander", "sfz_kits:avl/red_zeppelin"}


# -- outputs -------------------------------------------------------------------------------------------------


def test_ids_stay_unique_when_two_recordings_share_a_session(tmp_path: Path) -> None:
    rows = "audio,time,label,session\na.wav,1.0,kick,s\nb.wav,1.0,snare,s\nc.wav,1.0,snare,s\n"
    write(tmp_path / "in" / "t.csv", rows)
    events = read("csv", tmp_path / "in", tmp_path)
    assert [event.sample_id for event in events] == [f"csv:s:001000000{end}" for end in ("", "-2", "-3")]


def test_an_unwritable_output_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = generic_trees.midi_files(tmp_path)
    (tmp_path / "file").write_text("x")
    looked: list[Path] = []
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: looked.append(self) or iter(()))
    for output in (tmp_path / "file" / "events.jsonl", tmp_path):
        with pytest.raises(InputError, match=r"cannot be written|is a folder"):
            ingest("midi", root, output)
    assert looked == []


def test_a_file_of_the_source_is_not_overwritten(tmp_path: Path) -> None:
    root = tmp_path / "in"
    table = write(root / "t.csv", "a.wav,1.0,kick\n")
    with pytest.raises(InputError, match=r"t\.csv: is a file of the source itself"):
        ingest("csv", root, table)
    assert table.read_text(encoding="utf-8") == "a.wav,1.0,kick\n"


def test_a_source_without_a_hit_is_an_error_and_keeps_the_old_output(tmp_path: Path) -> None:
    midi(tmp_path / "in" / "a.mid", [(0, 3, 100)])
    output = write(tmp_path / "events.jsonl", "old\n")
    with pytest.raises(
        InputError, match=r"in: holds no drum hit of MIDI files .*first: 'note 3' \(no drum has"
    ):
        ingest("midi", tmp_path / "in", output)
    assert output.read_text(encoding="utf-8") == "old\n"


def test_progress_and_audio_hashes(tmp_path: Path) -> None:
    root = generic_trees.audacity(tmp_path)
    seen: list[tuple[int, int, str]] = []
    result = ingest(
        "audacity", root, tmp_path / "events.jsonl",
        progress=lambda done, total, what: seen.append((done, total, what)), audio_hashes=False,
    )  # fmt: skip
    assert seen[:2] == [(0, 2, "reading"), (1, 2, "reading")]
    assert json.loads(result.provenance.read_text(encoding="utf-8"))["audio"] == {}


def test_audio_paths_of_two_sources_start_at_one_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    root = generic_trees.audacity(tmp_path / "one")
    plain = ingest("audacity", root, tmp_path / "plain.jsonl")
    result = ingest("audacity", root, tmp_path / "events.jsonl", audio_root=tmp_path)
    before, after = (read_events(one.output) for one in (plain, result))
    prefix = root.relative_to(tmp_path).as_posix()
    named = [event.audio_path and f"{prefix}/{event.audio_path}" for event in before]
    assert named == [event.audio_path for event in after]
    assert any(named) and all((tmp_path / name).is_file() for name in named if name)
    assert [event.sample_id for event in before] == [event.sample_id for event in after]
    hashes = [json.loads(one.provenance.read_text(encoding="utf-8"))["audio"] for one in (plain, result)]
    assert {f"{prefix}/{name}": value for name, value in hashes[0].items()} == hashes[1] != {}
    with pytest.raises(UsageError, match=r"does not hold .*, so audio paths cannot start there"):
        ingest("audacity", root, tmp_path / "events.jsonl", audio_root=tmp_path / "two")


def test_a_single_file_is_a_source_too(tmp_path: Path) -> None:
    root = generic_trees.midi_files(tmp_path)
    result = ingest("midi", root / "a.mid", tmp_path / "events.jsonl")
    assert result.items == 1
    said = json.loads(result.provenance.read_text(encoding="utf-8"))
    assert (said["root"], list(said["files"]), list(said["audio"])) == ("midi", ["a.mid"], ["a.wav"])
    assert len(read_performance(root / "a.mid").notes) == result.components + 1
    with pytest.raises(InputError, match=r"a\.mid: holds no \.bsm file; expected charts"):
        ingest("bsm", root / "a.mid", tmp_path / "events.jsonl")
    strike(root / "x.wav")
    with pytest.raises(InputError, match=r"x\.wav: is a file; expected a folder of one-shots"):
        ingest("one_shots", root / "x.wav", tmp_path / "events.jsonl")
