"""Performances: exact times, pedal values by tick, bars and beats; against pretty_midi and by invariants."""

from __future__ import annotations

from pathlib import Path

import mido
import pretty_midi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beatsight.charts import read_midi, read_performance
from beatsight.errors import InputError
from beatsight.taxonomy import from_note


def saved(path: Path, *tracks: list[mido.Message | mido.MetaMessage], ticks: int = 480) -> Path:
    song = mido.MidiFile(type=1, ticks_per_beat=ticks)
    song.tracks += [mido.MidiTrack(track) for track in tracks]
    song.save(path)
    return path


def on(note: int, time: int = 0, velocity: int = 100, channel: int = 9) -> mido.Message:
    return mido.Message("note_on", note=note, velocity=velocity, time=time, channel=channel)


def pedal(value: int, time: int = 0, channel: int = 9) -> mido.Message:
    return mido.Message("control_change", control=4, value=value, time=time, channel=channel)


def meter(numerator: int, denominator: int, time: int = 0) -> mido.MetaMessage:
    return mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator, time=time)


def test_a_pedal_value_belongs_to_hits_at_and_after_its_tick_on_its_channel(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.mid",
        [
            on(42, 10),
            pedal(90, 10),
            on(42, 10),
            pedal(3, 0, channel=2),
            on(46, 10),
            pedal(20),  # on the tick of the hit before it, as some modules send it
            pedal(25),
            mido.Message("control_change", control=16, value=1, channel=9),
            on(46, 10),
        ],
        [pedal(70, 45), mido.MetaMessage("end_of_track", time=480)],
    )
    performance = read_performance(path)
    assert [note.cc4 for note in performance.notes] == [None, 90, 25, 70]
    assert performance.duration_s == pytest.approx(525 / 480 * 0.5)
    assert (performance.has_tempo, performance.has_meter, performance.title) == (False, False, "a")


def test_bars_and_beats_over_changes_of_metre_and_tempo(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.mid",
        [
            meter(3, 4),
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(100)),
            meter(3, 4, 960),  # repeated within a bar: no new bar
            meter(7, 8, 1920),  # after two bars of 3/4
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(50), time=240),
            meter(4, 4, 240),  # cuts the 7/8 bar short
        ],
        [on(36, tick) for tick in (0, 1439, 1, 1440, 240, 239, 1, 1920)],
    )
    notes = read_performance(path).notes
    assert [(note.bar, note.meter) for note in notes] == [
        (0, "3/4"), (0, "3/4"), (1, "3/4"), (2, "7/8"), (2, "7/8"), (2, "7/8"), (3, "4/4"), (4, "4/4"),
    ]  # fmt: skip
    assert [note.beat for note in notes] == pytest.approx([0, 1439 / 480, 0, 0, 1, 1 + 239 / 240, 0, 0])
    assert [note.bpm for note in notes] == [100, 100, 100, 100, 50, 50, 50, 50]
    assert notes[-1].time_s == pytest.approx(3120 / 480 * 0.6 + 2160 / 480 * 1.2)


def test_channels_are_kept_apart_or_read_together(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mid", [on(36, 0), on(60, 10, channel=0), on(61, 10, channel=0)])
    drums = read_performance(path)
    assert [note.note for note in drums.notes] == [36] and drums.skipped == {"channel 1": 2}
    both = read_performance(path, channels="all")
    assert [(note.note, note.channel) for note in both.notes] == [(36, 9), (60, 0), (61, 0)]
    assert both.skipped == {}
    other = saved(tmp_path / "b.mid", [on(60, channel=3)])
    with pytest.raises(
        InputError, match=r"b\.mid: holds no notes on the drum channel \(10\), only on channel 4"
    ):
        read_performance(other)
    assert len(read_performance(other, channels="all").notes) == 1


def test_a_metre_of_no_beats_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.mid", [meter(4, 4), on(36)])
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\xff\x58\x04\x04", b"\xff\x58\x04\x00"))
    with pytest.raises(InputError, match=r"a\.mid: holds a time signature of 0/4"):
        read_performance(path)


@given(
    steps=st.lists(st.tuples(st.integers(0, 2000), st.integers(20, 300)), min_size=1, max_size=20),
    numerator=st.integers(1, 12),
    power=st.integers(0, 5),
    ticks=st.sampled_from([96, 480, 960]),
)
def test_bar_and_beat_count_every_tick(steps, numerator, power, ticks, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "bars.mid"
    tempi = [mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=step) for step, bpm in steps]
    saved(path, [meter(numerator, 2**power), *tempi], [on(36, step) for step, _ in steps], ticks=ticks)
    notes = read_performance(path).notes
    tick, last = 0, -1.0
    for note, (step, _) in zip(notes, steps, strict=True):
        tick += step
        assert 0 <= note.beat < numerator
        assert (note.bar * numerator + note.beat) * 4 * ticks / 2**power == pytest.approx(tick, abs=1e-6)
        assert note.time_s >= last
        last = note.time_s
    # Independent: mido's own clock.
    now, times = 0.0, []
    for message in mido.MidiFile(path):
        now += message.time
        if message.type == "note_on":
            times.append(now)
    assert [note.time_s for note in notes] == pytest.approx(times, abs=1e-9)


def test_real_performances_agree_with_pretty_midi_and_with_the_chart(shared: Path) -> None:
    files = sorted((shared / "data" / "grooves").rglob("*.mid"))[::60]
    assert len(files) >= 12
    closed, opened = [], []
    for path in files:
        performance = read_performance(path)
        song = pretty_midi.PrettyMIDI(str(path))
        (drums,) = song.instruments
        for heard in drums.notes[::20]:
            same = [
                note.time_s
                for note in performance.notes
                if (note.note, note.velocity) == (heard.pitch, heard.velocity)
            ]
            assert min(abs(time - heard.start) for time in same) < 1e-6
        chart = read_midi(path, device="roland")
        assert sorted(hit.time for hit in chart.hit_objects) == [
            round(note.time_s * 1000) for note in performance.notes
        ]
        # pretty_midi's downbeats; the first bar of a file begins at 0.
        downbeats = song.get_downbeats()
        for note in performance.notes[::50]:
            assert downbeats[note.bar] <= note.time_s + 1e-6
            assert note.bar + 1 == len(downbeats) or note.time_s < downbeats[note.bar + 1] + 1e-6
        for note in performance.notes:
            if note.cc4 is not None and from_note(note.note, "roland") in ("hihat_closed", "hihat_open"):
                (opened if from_note(note.note, "roland") == "hihat_open" else closed).append(note.cc4)
    # The pairing holds what is known of the set: strikes on the closed keys meet a closed pedal (90).
    assert sum(value == 90 for value in closed) > 0.8 * len(closed) > 0
    assert sum(value < 90 for value in opened) > 0.8 * len(opened) > 0
