"""The Chart record: lanes, order, the tempo in force, building from hits and turning into events."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from chart_strategies import charts, planted
from hypothesis import given, settings

from beatsight.charts import (
    LANES,
    AudioRef,
    GenerationMetadata,
    HitObject,
    Timing,
    TimingPoint,
    audio_ref,
    build_chart,
    chart_to_events,
    lane_of,
    read_bsm,
    write_bsm,
)
from beatsight.errors import InputError
from beatsight.events import Event, decode, encode
from beatsight.taxonomy import CANONICAL, UnknownLabelError, resolve

AUDIO = AudioRef(filename="song.ogg", hash="sha256:ab", duration=60_000, sample_rate=44100)


def test_every_canonical_label_has_one_of_the_seven_lanes() -> None:
    assert set(LANES) == set(CANONICAL)
    assert set(LANES.values()) == set(range(7))


@pytest.mark.parametrize(
    ("label", "lane"),
    [("kick", 0), ("hihat_pedal", 1), ("Snare Center", 2), ("hihat_open", 3), ("tom_high", 4),
     ("tom_mid", 5), ("floor_tom", 5), ("crash_2", 6), ("ride", 6), ("china", 6)],
)  # fmt: skip
def test_lanes_are_those_of_the_format(label: str, lane: int) -> None:
    assert lane_of(label) == lane


def test_an_unknown_label_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownLabelError, match=r"unknown drum label 'snaer'; did you mean 'snare'\?"):
        HitObject(0, "snaer")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1, "kick"), "time is -1"), ((1.5, "kick"), "time is 1.5"), ((10**12, "kick"), "time is 1000000"),
     ((0, "kick", 1.01), "velocity 1.01, outside"), ((0, "kick", float("nan")), "velocity nan, outside")],
)  # fmt: skip
def test_a_hit_out_of_range_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        HitObject(*arguments)


def test_hits_are_sorted_by_time_then_lane_then_label() -> None:
    chart = planted(
        HitObject(500, "crash"), HitObject(0, "snare"), HitObject(500, "kick"), HitObject(500, "china")
    )
    assert [(hit.time, hit.component) for hit in chart.hit_objects] == [
        (0, "snare"), (500, "kick"), (500, "china"), (500, "crash"),
    ]  # fmt: skip


def test_resolved_timing_inherits_signatures_and_lets_the_later_of_two_points_win() -> None:
    timing = Timing(
        bpm=100.0,
        time_signature="3/4",
        timing_points=[
            TimingPoint(time=9000, bpm=140.0),
            TimingPoint(time=2000, bpm=110.0),
            TimingPoint(time=2000, bpm=120.0, time_signature="7/8"),
        ],
    )
    assert [(point.time, point.bpm, point.time_signature) for point in timing.resolved()] == [
        (0, 100.0, "3/4"), (2000, 120.0, "7/8"), (9000, 140.0, "7/8"),
    ]  # fmt: skip


def test_events_join_hits_of_one_moment_under_the_tempo_in_force() -> None:
    timing = Timing(bpm=100.0, timing_points=[TimingPoint(time=1000, bpm=150.0, time_signature="7/8")])
    chart = planted(
        HitObject(999, "kick", 0.5),
        HitObject(1000, "ride", 0.4),
        HitObject(1000, "bd", 0.9),
        HitObject(1000, "kick", 0.3),
        timing=timing,
    )
    first, second = chart_to_events(chart, session_id="take 1", audio_path="audio/a.wav")
    assert (first.sample_id, first.onset_time, first.tempo_bpm, first.meter) == (
        "take 1:00000999", 0.999, 100.0, "4/4",
    )  # fmt: skip
    assert (second.onset_time, second.tempo_bpm, second.meter) == (1.0, 150.0, "7/8")
    assert [(part.label, part.velocity) for part in second.components] == [("kick", 0.9), ("ride_bow", 0.4)]
    assert (second.session_id, second.audio_path, second.sample_rate) == ("take 1", "audio/a.wav", 44100)


def test_events_of_a_chart_without_tempo_claim_none() -> None:
    chart = planted(HitObject(0, "kick"))
    chart.timing = chart.audio = None
    (event,) = chart_to_events(chart, session_id="s")
    assert event.tempo_bpm is None and event.meter is None and event.sample_rate is None


def test_events_refuse_a_label_that_was_changed_to_an_unknown_one() -> None:
    chart = planted(HitObject(0, "kick"))
    chart.hit_objects[0].component = "kik"
    with pytest.raises(InputError, match="did you mean 'kick'"):
        chart_to_events(chart, session_id="s")


@settings(max_examples=30, deadline=None)
@given(charts)
def test_events_hold_every_moment_and_drum_and_survive_their_file_format(chart) -> None:
    events = chart_to_events(chart, session_id="s")
    assert [decode(encode(event), Event, "line") for event in events] == events
    assert len({event.sample_id for event in events}) == len(events)
    heard = {(event.onset_time, label) for event in events for label in event.labels}
    assert heard == {(hit.time / 1000, resolve(hit.component)) for hit in chart.hit_objects}


def test_build_chart_fills_every_field(tmp_path) -> None:
    moment = datetime(2025, 11, 2, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    chart = build_chart(
        [(1.0004, "snare", 1.0), (0.0, "kick", 0.25), (1.0, "hihat_closed", 0.5)],
        title="Song",
        artist="Band",
        audio=AUDIO,
        timing=Timing(bpm=120.0),
        difficulty=7.5,
        generation=GenerationMetadata(model_version="1", confidence=0.5),
        created_at=moment,
    )
    assert [(hit.time, hit.component, hit.velocity, hit.lane) for hit in chart.hit_objects] == [
        (0, "kick", 0.25, 0), (1000, "snare", 1.0, 2), (1000, "hihat_closed", 0.5, 3),
    ]  # fmt: skip
    assert chart.metadata.created_at == chart.metadata.modified_at == "2025-11-02T10:30:00Z"
    assert chart.metadata.difficulty == 7.5
    assert chart.drum_kit.components == ["kick", "snare", "hihat_closed"]
    assert chart.editor is not None and chart.editor.visual_lanes == 7
    write_bsm(chart, tmp_path / "a.bsm")
    assert read_bsm(tmp_path / "a.bsm") == chart


def test_the_id_of_a_built_chart_follows_from_the_audio() -> None:
    def built(audio: AudioRef, **given: str) -> str:
        chart = build_chart(
            [],
            title="",
            artist="",
            audio=audio,
            timing=Timing(bpm=100.0),
            difficulty=5.0,
            created_at=datetime.now(UTC),
            **given,
        )
        return chart.metadata.beatmap_id

    other = AudioRef(filename="song.ogg", hash="sha256:cd", duration=60_000, sample_rate=44100)
    assert built(AUDIO) == built(AUDIO) != built(other)
    assert uuid.UUID(built(AUDIO)).version == 5
    wanted = "550e8400-e29b-41d4-a716-446655440000"
    assert built(AUDIO, beatmap_id=wanted) == wanted


@pytest.mark.parametrize(
    ("hit", "message"),
    [((-0.1, "kick", 1.0), "-0.1 s, before the audio begins"), ((float("nan"), "kick", 1.0), "is nan, not"),
     ((0.0, "kick", 2.0), "velocity 2.0"), ((0.0, "gong!", 1.0), "unknown drum label 'gong!'")],
)  # fmt: skip
def test_build_chart_refuses_a_hit_out_of_range(hit: tuple, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        build_chart([hit], title="", artist="", audio=AUDIO, timing=Timing(bpm=100.0), difficulty=1.0)


def test_audio_ref_names_and_hashes_the_file(tmp_path) -> None:
    (tmp_path / "song.ogg").write_bytes(b"sound")
    reference = audio_ref(tmp_path / "song.ogg", duration_s=1.2346, sample_rate=48000)
    assert reference.filename == "song.ogg" and reference.duration == 1235
    assert reference.hash == "sha256:" + hashlib.sha256(b"sound").hexdigest()
    with pytest.raises(InputError, match=r"no\.ogg: cannot be read"):
        audio_ref(tmp_path / "no.ogg", duration_s=1.0, sample_rate=48000)
