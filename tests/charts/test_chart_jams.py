"""JAMS: what the jams library makes of the files, and what comes back."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings

from beatsight.charts import Chart, HitObject, Timing, TimingPoint, read_jams, write_jams
from beatsight.errors import InputError
from beatsight.taxonomy import resolve, to_note

TIMING = Timing(
    bpm=100.0,
    offset=600,
    time_signature="3/4",
    timing_points=[TimingPoint(time=6000, bpm=150.0, time_signature="7/8")],
)
SONG = planted(
    HitObject(0, "kick", 0.25), HitObject(600, "snare_ghost", 0.1), HitObject(7001, "ride", duration=300),
    timing=TIMING,
)  # fmt: skip


def by_namespace(path) -> dict:
    jams = pytest.importorskip("jams")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library calls jsonschema the old way
        loaded = jams.load(str(path), validate=True, strict=True)
    assert loaded.validate(strict=True)
    return {annotation.namespace: annotation for annotation in loaded.annotations} | {"": loaded}


def test_the_jams_library_reads_hits_beats_and_tempo(tmp_path) -> None:
    write_jams(SONG, tmp_path / "a.jams")
    found = by_namespace(tmp_path / "a.jams")
    metadata = found[""].file_metadata
    assert (metadata.title, metadata.artist, metadata.duration) == ("Planted", "Nobody", 60.0)
    assert [(one.time, one.value) for one in found["tag_open"].data] == [
        (0.0, "kick"), (0.6, "snare"), (7.001, "ride_bow"),
    ]  # fmt: skip
    assert [(one.time, one.value) for one in found["note_midi"].data] == [(0.0, 36), (0.6, 38), (7.001, 51)]
    assert found["note_midi"].sandbox.velocity == [0.25, 0.1, 0.8]
    assert [(one.time, one.value) for one in found["beat"].data][:4] == [(0, 3), (0.6, 1), (1.2, 2), (1.8, 3)]
    assert [(one.time, one.duration, one.value) for one in found["tempo"].data] == [
        (0.0, 6.0, 100.0), (6.0, 54.0, 150.0),
    ]  # fmt: skip
    places = [one.value for one in found["beat_position"].data]
    assert places[0] == {"position": 3, "measure": 0, "num_beats": 3, "beat_units": 4}
    assert places[10] == {"position": 1, "measure": 4, "num_beats": 7, "beat_units": 8}


def test_mir_eval_scores_the_beats(tmp_path) -> None:
    mir_eval = pytest.importorskip("mir_eval")
    write_jams(SONG, tmp_path / "a.jams")
    times, _ = by_namespace(tmp_path / "a.jams")["beat"].to_event_values()
    truth = np.r_[0.6 * np.arange(10), 6 + 0.2 * np.arange(271)]
    assert mir_eval.beat.f_measure(mir_eval.beat.trim_beats(times), mir_eval.beat.trim_beats(truth)) == 1.0


@settings(max_examples=25, deadline=None)
@given(chart=charts)
def test_hits_and_timing_survive(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jams"
    write_jams(chart, path)
    back = read_jams(path)
    assert (back.metadata.title, back.metadata.artist) == (
        chart.metadata.title or "round",
        chart.metadata.artist,
    )
    before, after = (
        sorted((hit.time, resolve(hit.component), hit.duration or 0, hit.velocity) for hit in one.hit_objects)
        for one in (chart, back)
    )
    assert [hit[:3] for hit in after] == [hit[:3] for hit in before]
    assert [hit[3] for hit in after] == pytest.approx([hit[3] for hit in before], abs=1e-4)
    assert back.timing is not None and chart.timing is not None
    assert back.timing.offset == chart.timing.offset
    # Points that nothing lies behind are beyond the song, and one before the audio is its beginning.
    wanted = {point.time: point for point in chart.timing.resolved()}
    for point in back.timing.resolved():
        if point.time > max(0, chart.timing.offset) and point.time in wanted:
            assert point.bpm == pytest.approx(wanted[point.time].bpm, rel=0.1)
    assert write_then_read(back, path).timing == back.timing


def write_then_read(chart: Chart, path) -> Chart:
    write_jams(chart, path)
    return read_jams(path)


@settings(max_examples=5, deadline=None)
@given(chart=charts)
def test_any_chart_is_valid_by_the_schema(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "valid.jams"
    chart.audio.duration = min(chart.audio.duration, 20_000)
    write_jams(chart, path)
    by_namespace(path)


def test_the_same_timing_comes_back(tmp_path) -> None:
    timing = write_then_read(SONG, tmp_path / "a.jams").timing
    assert timing is not None
    assert (timing.bpm, timing.offset, timing.time_signature) == (100.0, 600, "3/4")
    assert [(point.time, point.bpm, point.time_signature) for point in timing.resolved()] == [
        (0, 100.0, "3/4"), (6000, 150.0, "7/8"),
    ]  # fmt: skip


def test_bars_of_other_programs_are_read_from_their_beats(tmp_path) -> None:
    write_jams(SONG, tmp_path / "a.jams")
    content = json.loads((tmp_path / "a.jams").read_text())
    for annotation in content["annotations"]:
        annotation["sandbox"] = {}
    (tmp_path / "b.jams").write_text(json.dumps(content))
    assert read_jams(tmp_path / "b.jams").timing == read_jams(tmp_path / "a.jams").timing


def test_notes_of_other_programs_are_read(tmp_path) -> None:
    jams = pytest.importorskip("jams")
    made = jams.JAMS()
    made.file_metadata.duration = 5
    notes = jams.Annotation(namespace="note_midi")
    for time, key in ((0.5, 36), (1.0, 38.0), (2.0, 3), (2.5, 38.4)):
        notes.append(time=time, duration=0.1, value=key)
    made.annotations += [jams.Annotation(namespace="chord"), notes]
    made.save(str(tmp_path / "a.jams"))
    chart = read_jams(tmp_path / "a.jams")
    assert [(hit.time, hit.component, hit.velocity) for hit in chart.hit_objects] == [
        (500, "kick", 0.8), (1000, "snare", 0.8),
    ]  # fmt: skip
    assert chart.skipped == {"note 3": 1, "note 38.4": 1}
    assert chart.timing is None and chart.metadata.title == "a"


def test_an_empty_chart_and_one_without_tempo(tmp_path) -> None:
    assert write_then_read(planted(), tmp_path / "a.jams").hit_objects == []
    chart = planted(HitObject(1234, "kick"))
    chart.timing = chart.audio = None
    back = write_then_read(chart, tmp_path / "a.jams")
    assert back.timing is None and [hit.time for hit in back.hit_objects] == [1234]
    assert by_namespace(tmp_path / "a.jams")[""].file_metadata.duration == pytest.approx(1.284)


def test_keys_are_those_of_the_midi_writer(tmp_path) -> None:
    write_jams(SONG, tmp_path / "a.jams")
    (notes,) = (
        one["data"]
        for one in json.loads((tmp_path / "a.jams").read_text())["annotations"]
        if one["namespace"] == "note_midi"
    )
    assert [one["value"] for one in notes] == [to_note(hit.component) for hit in SONG.hit_objects]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a JAMS file: "),
        ("[]", "is not a JAMS file: Expected `object`"),
        ("{}", "is not a JAMS file: Object missing required field `annotations`"),
        ('{"annotations": []}', "holds no drums: neither tag_open with drum labels nor note_midi"),
        (
            '{"annotations": [{"namespace": "tag_open", "data": [{"time": 1, "value": "dog"}]}]}',
            "holds no drums",
        ),
        (
            '{"annotations": [{"namespace": "note_midi", "data": [{"time": -1, "value": 36}]}]}',
            "is not a JAMS file: Expected `float` >= 0",
        ),
        (
            '{"annotations": [{"namespace": "note_midi", "data": [{"time": 1, "value": 36}],'
            ' "sandbox": {"velocity": [2]}}]}',
            "note_midi: the hit at 1000 ms has velocity 2.0, outside 0..1",
        ),
        (
            '{"annotations": [{"namespace": "note_midi"},'
            ' {"namespace": "tempo", "data": [{"time": 1, "value": 0}]}]}',
            "is not a JAMS file: Expected `float` > 0",
        ),
    ],
)
def test_what_is_no_jams_is_one_sentence(tmp_path, text: str, message: str) -> None:
    (tmp_path / "a.jams").write_text(text)
    with pytest.raises(InputError, match=r"a\.jams: " + re.escape(message)):
        read_jams(tmp_path / "a.jams")
