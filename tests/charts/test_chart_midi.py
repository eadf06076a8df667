"""MIDI: onsets kept to the millisecond, the tempo map kept, damaged files refused."""

from __future__ import annotations

import io
import itertools
import math
import re
from pathlib import Path

import mido
import numpy as np
import pytest
from chart_strategies import charts, hits, planted, signatures, timings
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.charts import Chart, HitObject, Timing, TimingPoint, read_midi, write_midi
from beatsight.errors import InputError
from beatsight.taxonomy import from_note, to_note

# A hand-made file, byte by byte: type 0, 96 ticks a quarter, no tempo event (so 120 bpm), running status.
HAND_MADE = (
    b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60MTrk\x00\x00\x00\x15"
    b"\x00\x99\x24\x7f"  # tick 0: note on, channel 10, key 36, velocity 127
    b"\x30\x24\x00"  # tick 48, running status: velocity 0 ends it
    b"\x30\x26\x40"  # tick 96: key 38, velocity 64
    b"\x00\x03\x40"  # tick 96: key 3, which has no label
    b"\x60\x90\x3c\x40"  # tick 192: a note on channel 1
    b"\x00\xff\x2f\x00"  # end of track
)


def saved(
    path: Path, *tracks: list[mido.Message | mido.MetaMessage], kind: int = 1, ticks: int = 480
) -> Path:
    song = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    song.tracks += [mido.MidiTrack(track) for track in tracks]
    song.save(path)
    return path


def on(note: int, velocity: int = 100, time: int = 0, channel: int = 9) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, time=time, channel=channel)


def tempo(bpm: float, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=time)


def onsets(chart: Chart) -> list[tuple[int, str]]:
    return sorted((hit.time, from_note(to_note(hit.component)) or "") for hit in chart.hit_objects)


def test_a_hand_made_file_is_read_byte_by_byte(tmp_path) -> None:
    path = tmp_path / "take.mid"
    path.write_bytes(HAND_MADE)
    chart = read_midi(path)
    assert [(hit.time, hit.component, hit.velocity) for hit in chart.hit_objects] == [
        (0, "kick", 1.0), (500, "snare", 64 / 127),
    ]  # fmt: skip
    assert chart.skipped == {"note 3": 1, "channel 1": 1}
    assert chart.metadata.title == "take" and chart.audio is None
    assert chart.timing == Timing(bpm=120.0, timing_points=[])


def test_tempo_and_metre_changes_of_any_track_hold_for_all(tmp_path) -> None:
    path = saved(
        tmp_path / "a.mid",
        [
            mido.MetaMessage("track_name", name="Song"),
            mido.MetaMessage("time_signature", numerator=7, denominator=8),
            tempo(60),
        ],
        [on(36, time=480), on(36, 0, time=10), on(38, time=470)],
        [tempo(240, time=480), on(49, time=960, channel=9)],
    )
    chart = read_midi(path)
    # One quarter at 60 bpm, then quarters of 250 ms.
    assert [(hit.time, hit.component) for hit in chart.hit_objects] == [
        (1000, "kick"), (1250, "snare"), (1500, "crash"),
    ]  # fmt: skip
    assert chart.metadata.title == "Song"
    assert chart.timing == Timing(
        bpm=60.0,
        time_signature="7/8",
        timing_points=[
            TimingPoint(time=0, bpm=60.0, time_signature="7/8"),
            TimingPoint(time=1000, bpm=240.0, time_signature="7/8"),
        ],
    )


def test_the_device_decides_what_a_key_means(tmp_path) -> None:
    path = saved(tmp_path / "a.mid", [on(40)], kind=0)
    assert read_midi(path).hit_objects[0].component == "snare"
    assert read_midi(path, device="roland").hit_objects[0].component == "rimshot"
    with pytest.raises(InputError, match="unknown MIDI note map 'korg'; known: gm, roland"):
        read_midi(path, device="korg")


@pytest.mark.parametrize("name", ["Åsa ☃", "plain"])
def test_the_title_is_the_track_name(tmp_path, name: str) -> None:
    chart = planted(HitObject(0, "kick"))
    chart.metadata.title = name
    write_midi(chart, tmp_path / "a.mid")
    assert read_midi(tmp_path / "a.mid").metadata.title == name
    assert [track.name for track in mido.MidiFile(tmp_path / "a.mid", charset="utf-8").tracks] == [name, name]


def test_a_title_in_latin_1_is_read(tmp_path) -> None:
    path = saved(tmp_path / "a.mid", [mido.MetaMessage("track_name", name="Ça"), on(36)], kind=0)
    assert read_midi(path).metadata.title == "Ça"


def sounding(timing: Timing, probes: list[int]) -> list[tuple[int, str]]:
    """Tempo (in microseconds per quarter) and metre at some times."""
    points = timing.resolved()
    in_force = [[point for point in points if point.time <= probe][-1] for probe in probes]
    return [(round(60e6 / point.bpm), point.time_signature or "") for point in in_force]


def agree(one: list[tuple[int, str]], other: list[tuple[int, str]], probes: list[int]) -> bool:
    """The same metres, and tempi that are apart by no more than moves the next change by 3 ms."""
    lengths = [b - a for a, b in itertools.pairwise(probes)] + [10**9]
    return [metre for _, metre in one] == [metre for _, metre in other] and all(
        abs(a - b) <= 1 + 3.1 * b / length for (a, _), (b, _), length in zip(one, other, lengths, strict=True)
    )


def apart(timing: Timing) -> Timing:
    """The same timing with at least 10 ms between its points, so that no two fall on one MIDI tick."""
    timing.timing_points = list({point.time // 10: point for point in timing.timing_points}.values())
    for point in timing.timing_points:
        point.time = point.time // 10 * 10
    timing.offset = timing.offset // 10 * 10
    return timing


@settings(max_examples=80, deadline=None)
@given(chart=charts)
def test_onsets_velocities_and_count_survive(chart, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "round.mid"
    write_midi(chart, path)
    back = read_midi(path)
    assert onsets(back) == onsets(chart)
    assert back.skipped == {}
    loud = [
        sorted((hit.time, to_note(hit.component), hit.velocity) for hit in one.hit_objects)
        for one in (chart, back)
    ]
    for (*_, before), (*_, after) in zip(*loud, strict=True):
        assert abs(before - after) <= 1 / 127


@settings(max_examples=80, deadline=None)
@given(timing=timings.map(apart), late=hits)
def test_the_tempo_map_survives(timing, late, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "tempo.mid"
    write_midi(planted(late, timing=timing), path)
    back = read_midi(path).timing
    assert back is not None and back.offset == timing.offset
    first_bar = max(timing.offset, 0) + 1
    changes = sorted(point.time + 1 for point in timing.timing_points if point.time >= first_bar)
    probes = [first_bar, *changes]
    assert agree(sounding(back, probes), sounding(timing, probes), probes)


def test_bars_stay_on_bar_lines_over_many_changes_of_tempo(tmp_path) -> None:
    # A drummer who drifts between 110 and 130 bpm, the chart made as transcription makes it: a point on every
    # second bar, its time rounded to the millisecond and its tempo to three decimals.
    times, tempi = [0.25], []
    for bar in range(120):
        tempi.append(120 + 10 * math.sin(bar / 7))
        times.append(times[-1] + 8 * 60 / tempi[-1])
    timing = Timing(
        bpm=round(tempi[0], 3),
        offset=250,
        timing_points=[
            TimingPoint(time=round(time * 1000), bpm=round(bpm, 3))
            for time, bpm in zip(times, tempi, strict=False)
        ],
    )
    wanted = [HitObject(round(time * 1000), "kick") for time in times]
    write_midi(planted(*wanted, timing=timing), tmp_path / "a.mid")
    song = mido.MidiFile(tmp_path / "a.mid")
    tick, starts = 0, []
    for message in song.tracks[1]:
        tick += message.time
        if message.type == "note_on":
            starts.append(tick)
    away = [(tick - starts[0]) % (8 * song.ticks_per_beat) for tick in starts]
    assert set(away[:-1]) == {0}  # the last hit has no timing point to lie on
    back = read_midi(tmp_path / "a.mid")
    assert [hit.time for hit in back.hit_objects] == [hit.time for hit in wanted]
    pretty_midi = pytest.importorskip("pretty_midi")
    heard = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    assert [note.start for note in heard.instruments[0].notes] == pytest.approx(times, abs=0.001)
    downbeats = np.array(heard.get_downbeats())
    assert max(abs(downbeats - time).min() for time in times[:-1]) < 0.001


@settings(max_examples=40, deadline=None)
@given(offset=st.integers(260, 30_000), bpm=st.floats(40, 250), signature=signatures)
def test_the_first_bar_lies_on_a_bar_line_of_the_file(offset, bpm, signature, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "bars.mid"
    timing = Timing(bpm=bpm, offset=offset, time_signature=signature)
    write_midi(planted(HitObject(offset, "kick"), timing=timing), path)
    song = mido.MidiFile(path)
    tick, bar_starts_at, bar_ticks = 0, 0, 0.0
    for message in song.tracks[0]:
        tick += message.time
        if message.type == "time_signature":
            assert bar_ticks == 0 or (tick - bar_starts_at) % bar_ticks == 0
            bar_starts_at = tick
            bar_ticks = song.ticks_per_beat * 4 * message.numerator / message.denominator
    kick = sum(message.time for message in song.tracks[1][:2])
    if kick != bar_starts_at:
        assert (kick - bar_starts_at) % bar_ticks == 0


def test_pretty_midi_hears_the_written_file_the_same(tmp_path) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    timing = Timing(
        bpm=97.3,
        offset=333,
        timing_points=[
            TimingPoint(time=5111, bpm=171.7, time_signature="7/8"),
            TimingPoint(time=9013, bpm=40.0),
        ],
    )
    wanted = [HitObject(time, label, 0.5) for time in range(1, 20_000, 137) for label in ("kick", "ride")]
    write_midi(planted(*wanted, HitObject(77, "crash", duration=900), timing=timing), tmp_path / "a.mid")
    song = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    (drums,) = song.instruments
    assert drums.is_drum and drums.name == "Planted"
    heard = sorted((note.start, note.pitch) for note in drums.notes)
    expected = sorted([*((hit.time / 1000, to_note(hit.component)) for hit in wanted), (0.077, 49)])
    assert [note for _, note in heard] == [note for _, note in expected]
    assert max(abs(a - b) for (a, _), (b, _) in zip(heard, expected, strict=True)) < 0.0005
    (crash,) = (note for note in drums.notes if note.pitch == 49)
    assert crash.end - crash.start == pytest.approx(0.9, abs=0.001)
    assert all(
        note.end - note.start == pytest.approx(0.05, abs=0.001) for note in drums.notes if note.pitch != 49
    )
    times, tempi = song.get_tempo_changes()
    assert tempi[-3:] == pytest.approx([97.3, 171.7, 40.0], rel=1e-5)
    assert times[-3:] == pytest.approx([0.333, 5.111, 9.013], abs=0.0005)


def test_real_grooves_are_read_as_other_readers_read_them(shared) -> None:
    pretty_midi = pytest.importorskip("pretty_midi")
    files = sorted((shared / "data" / "grooves").rglob("*.mid"), key=lambda path: (path.stat().st_size, path))
    sample = files[::48]
    assert len(sample) >= 20
    for path in sample:
        chart = read_midi(path, device="roland")
        heard = sorted((hit.component, round(hit.velocity * 127), hit.time) for hit in chart.hit_objects)
        played, now = [], 0.0
        for message in mido.MidiFile(path):
            now += message.time
            if message.type == "note_on" and message.velocity:
                played.append((from_note(message.note, "roland"), message.velocity, now * 1000))
        played.sort()
        assert [hit[:2] for hit in heard] == [hit[:2] for hit in played], path
        assert max(abs(a[2] - b[2]) for a, b in zip(heard, played, strict=True)) < 0.501, path
        assert chart.skipped == {}
        # pretty_midi leaves out a stroke that begins as its key is released, so its notes are a part of ours.
        song = pretty_midi.PrettyMIDI(str(path))
        drums = [note for instrument in song.instruments if instrument.is_drum for note in instrument.notes]
        assert len(heard) - max(2, 0.01 * len(heard)) <= len(drums) <= len(heard)
        for note in drums:
            label = from_note(note.pitch, "roland")
            same = [time for *key, time in heard if key == [label, note.velocity]]
            assert min(abs(time - note.start * 1000) for time in same) < 0.501, path
        assert chart.timing is not None
        assert chart.timing.bpm == pytest.approx(song.get_tempo_changes()[1][0], rel=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"time,label\n0.5,kick\n", r"is not a MIDI file \(it does not begin with MThd\)"),
        (HAND_MADE[:30], "the MIDI file is cut short"),
        (HAND_MADE[:10], "the MIDI file is cut short"),
        (HAND_MADE.replace(b"MTrk", b"MTrX"), "the MIDI file is damaged: no MTrk header"),
        (HAND_MADE.replace(b"\x99\x24\x7f", b"\x24\x24\x7f"), "damaged: running status without last_status"),
        (HAND_MADE.replace(b"\x26\x40", b"\x26\xff"), "damaged: data byte must be in range 0..127"),
        (HAND_MADE.replace(b"\x00\x60MTrk", b"\xe7\x28MTrk"), "counts time in SMPTE frames"),
        (
            HAND_MADE.replace(b"\x06\x00\x00", b"\x06\x00\x02"),
            "is a MIDI file of type 2; types 0 and 1 can be read",
        ),
        (
            HAND_MADE.replace(b"\x99", b"\x95"),
            r"no notes on the drum channel \(10\), only on channel 1, channel 6$",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_one_sentence(tmp_path, data: bytes, message: str) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: .*{message}") as caught:
        read_midi(path)
    assert "\n" not in str(caught.value)


def test_a_tempo_of_zero_and_a_length_of_days_are_refused(tmp_path) -> None:
    zero = saved(tmp_path / "zero.mid", [mido.MetaMessage("set_tempo", tempo=0), on(36)])
    with pytest.raises(InputError, match=r"zero\.mid: holds a tempo of 0"):
        read_midi(zero)
    long = saved(tmp_path / "long.mid", [tempo(4), on(36, time=0x0FFFFFFF)], ticks=1)
    with pytest.raises(
        InputError, match=r"long\.mid: the MIDI file is damaged: it lasts longer than 11 days"
    ):
        read_midi(long)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.booleans())
def test_any_broken_byte_gives_a_chart_or_an_input_error(place, value, cut, tmp_path_factory) -> None:
    buffer = io.BytesIO()
    song = mido.MidiFile(type=1)
    events = [on(36, time=10), on(38, time=300), on(36, 0, time=200), mido.Message("pitchwheel", pitch=5)]
    meta = [
        mido.MetaMessage("key_signature", key="C"),
        mido.MetaMessage("smpte_offset"),
        mido.MetaMessage("time_signature"),
        mido.MetaMessage("sequencer_specific", data=(1, 2)),
        tempo(100),
    ]
    song.tracks += [mido.MidiTrack(meta), mido.MidiTrack(events * 4)]
    song.save(file=buffer)
    data = bytearray(buffer.getvalue())
    place %= len(data)
    data[place] = value
    path = tmp_path_factory.getbasetemp() / "broken.mid"
    path.write_bytes(data[:place] if cut else data)
    try:
        assert isinstance(read_midi(path), Chart)
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("timing", "message"),
    [
        (Timing(bpm=1.0), "timing: this format cannot hold a tempo of 1 bpm"),
        (Timing(bpm=1e9), r"timing: this format cannot hold a tempo of 1e\+09 bpm"),
        (Timing(bpm=100.0, time_signature="4/3"), "timing: this format cannot hold the time signature 4/3"),
        (
            Timing(bpm=100.0, timing_points=[TimingPoint(time=900_000_000, bpm=90)]),
            "900000 s, too late for a MIDI",
        ),
    ],
)
def test_what_midi_cannot_hold_is_refused_and_the_old_file_stays(
    tmp_path, timing: Timing, message: str
) -> None:
    (tmp_path / "a.mid").write_bytes(b"old")
    with pytest.raises(InputError, match=rf"a\.mid: .*{message}"):
        write_midi(planted(HitObject(0, "kick"), timing=timing), tmp_path / "a.mid")
    assert (tmp_path / "a.mid").read_bytes() == b"old"


def test_a_chart_without_tempo_is_written_and_read_on_time(tmp_path) -> None:
    chart = planted(HitObject(1234, "kick", 0.0))
    chart.timing = None
    write_midi(chart, tmp_path / "a.mid")
    (hit,) = read_midi(tmp_path / "a.mid").hit_objects
    assert (hit.time, hit.velocity) == (1234, 1 / 127)
