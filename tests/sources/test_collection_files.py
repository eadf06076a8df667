"""Charts and Audacity tracks into a collection and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from beatsight.charts import AudioRef, Timing, TimingPoint, build_chart, write_chart
from beatsight.errors import InputError
from beatsight.sources import AddResult, Collection, Origin
from beatsight.sources.pairs import find_pairs

RATE = 44_100


def moments_of(collection: Collection) -> list[tuple[float, tuple[str, ...]]]:
    return [(event.onset_time, event.labels) for event in collection.events()]


def chart_file(folder: Path, hits: list[tuple[float, str, float]], name: str = "song.bsm") -> Path:
    path = folder / name
    reference = AudioRef(filename="song.wav", hash="sha256:" + "0" * 64, duration=4000, sample_rate=RATE)
    timing = Timing(bpm=120.0, timing_points=[TimingPoint(time=0, bpm=120.0, time_signature="7/8")])
    write_chart(
        build_chart(hits, title="t", artist="a", audio=reference, timing=timing, difficulty=1.0), path
    )
    return path


def test_a_beatmap_gives_its_hits_and_names_those_after_the_end(collection: Collection, song: Path) -> None:
    hits = [
        (0.5, "kick", 0.9),
        (0.5, "crash", 0.7),
        (1.0, "snare", 0.1),
        (3.999, "kick", 0.8),
        (4.5, "kick", 1),
    ]
    chart = chart_file(song.parent, hits)
    result = collection.add_chart(chart, song, origin=Origin(drummer="ann"))
    assert (result.added, result.already_there, len(result.skipped)) == (4, 0, 1)
    assert result.skipped[0] == f"{chart}: kick: time 4.5 s is beyond the end of the audio (4.000 s)"
    found = [(event.onset_time, set(event.labels)) for event in collection.events()]
    assert found == [(0.5, {"kick", "crash"}), (1.0, {"snare"}), (3.999, {"kick"})]
    ghost = collection.events()[1]
    assert (ghost.components[0].velocity, ghost.components[0].dynamic_bucket) == (0.1, "ghost")
    assert (ghost.tempo_bpm, ghost.meter) == (120.0, "7/8")
    assert (ghost.drummer_id, ghost.session_id, ghost.source_set) == ("ann", "song", "chart")
    assert ghost.metadata_ref == {"original_path": str(song), "chart": str(chart)}
    assert collection.add_chart(chart, song).already_there == 4


def test_a_midi_file_names_what_is_no_drum(collection: Collection, song: Path) -> None:
    import mido

    track = mido.MidiTrack()
    for channel, note in ((9, 36), (0, 60)):
        track.append(mido.Message("note_on", channel=channel, note=note, velocity=90, time=240))
    midi = mido.MidiFile(type=0, ticks_per_beat=480)
    midi.tracks.append(track)
    midi.save(song.with_suffix(".mid"))
    result = collection.add_chart(song.with_suffix(".mid"), song)
    assert (result.added, result.skipped) == (1, ())
    assert len(result.left_out) == 1 and "channel 1" in result.left_out[0]
    assert moments_of(collection) == [(0.25, ("kick",))]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", r"song\.bsm: "),
        ('{"version": "1.0.0"}', r"song\.bsm: .*is missing"),
        ("not json", r"song\.bsm: "),
    ],
)
def test_a_damaged_beatmap(collection: Collection, song: Path, content: str, why: str) -> None:
    chart = song.with_suffix(".bsm")
    chart.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=why) as caught:
        collection.add_chart(chart, song)
    assert "\n" not in str(caught.value)
    assert not collection.root.exists()


def test_a_beatmap_without_its_hit_objects(collection: Collection, song: Path) -> None:
    chart = chart_file(song.parent, [(0.5, "kick", 0.9)])
    content = json.loads(chart.read_text(encoding="utf-8"))
    del content["hitObjects"]
    chart.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=r"song\.bsm: hitObjects: is missing"):
        collection.add_chart(chart, song)


def test_label_track_round_trip(collection: Collection, song: Path, tmp_path: Path) -> None:
    track = song.with_suffix(".txt")
    track.write_text("0.5\t0.5\tkick+snare:0.6\n1.25\t1.25\tfloor tom\n", encoding="utf-8")
    assert collection.add_labels(track, song).added == 3
    out = tmp_path / "out.txt"
    assert collection.write_labels(out, song) == 2
    assert out.read_text(encoding="utf-8") == (
        "0.500000\t0.500000\tkick+snare:0.6\n1.250000\t1.250000\ttom_low\n"
    )
    assert collection.add_labels(out, song) == AddResult(already_there=3)
    other = Collection(tmp_path / "other")
    other.add_labels(out, song)
    assert moments_of(other) == moments_of(collection)


def test_labels_with_faults_are_refused_whole(collection: Collection, song: Path) -> None:
    track = song.with_suffix(".txt")
    track.write_text("0.5\t0.5\tkick\n9.5\t9.5\tkick\n1.0\t1.0\tsnoar\n2.0 2.0\n", encoding="utf-8")
    with pytest.raises(InputError, match="because 3 hits are faulty") as caught:
        collection.add_labels(track, song)
    for fault in (r"song\.txt:2: time 9\.5 s is beyond", r"song\.txt:3: .*'snare'", r"song\.txt:4: is not"):
        assert caught.match(fault)
    assert collection.events() == []


def test_writing_labels_of_a_recording_that_is_not_there(collection: Collection, song: Path) -> None:
    with pytest.raises(InputError, match=r"song\.wav: the collection .* has no hits of this recording"):
        collection.write_labels(song.with_suffix(".txt"), song)


def test_pairs_in_a_folder(tmp_path: Path) -> None:
    for name in ("a.bsm", "sub dir/b.bsm", "lonely.bsm", "twice.bsm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("a.wav", "sub dir/b.mp3", "twice.wav", "twice.flac", "c.wav"):
        (tmp_path / name).touch()
    pairs, faults = find_pairs(tmp_path, ".bsm")
    assert pairs == [
        (tmp_path / "a.bsm", tmp_path / "a.wav"),
        (tmp_path / "sub dir/b.bsm", tmp_path / "sub dir/b.mp3"),
    ]
    assert [fault.split(": ")[1][:26] for fault in faults] == [
        "no recording of the same n",
        "several recordings have it",
    ]
    with pytest.raises(InputError, match=r"holds no \.mid files"):
        find_pairs(tmp_path, ".mid")
