"""Songs: the audio holds what the labels say, where they say it, and the same seed gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal

from beatsight.audio.io import load, probe
from beatsight.errors import InputError, UsageError
from beatsight.events import Event, dynamic_bucket, from_builtins, read_events, to_builtins
from beatsight.synth.grooves import Hit
from beatsight.synth.kit import make_kit
from beatsight.synth.room import compress, convolve, make_room, soft_clip
from beatsight.synth.song import MOMENT_S, SAMPLE_RATE, Song, make_song, render_drums, write_song
from beatsight.taxonomy import is_hihat, is_known


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    """Drums only, several styles and meters."""
    wishes = [
        ("rock", "4/4"),
        ("jazz", "3/4"),
        ("metal", "7/8"),
        ("funk", "5/4"),
        ("ballad", "6/8"),
        ("hiphop", "4/4"),
    ]
    return [
        make_song(seed, duration_s=12.0, style=style, meter=meter, accompaniment_db=None)
        for seed, (style, meter) in enumerate(wishes)
    ]


ATTACKS = {"kick", "snare", "rimshot", "tom_high", "hihat_closed", "crash", "crash2", "china"}
RINGING = {"crash", "crash2", "china", "ride_edge", "ride_bell", "hihat_open"}


def energy_db(audio: np.ndarray, start: int, length: int) -> float:
    part = audio[max(0, start) : start + length].astype(np.float64)
    return float(10.0 * np.log10(np.mean(part**2) + 1e-12))


def test_same_seed_same_bytes_other_seed_other_song() -> None:
    one, again, other = (make_song(seed, duration_s=5.0) for seed in (7, 7, 8))
    assert one.audio.tobytes() == again.audio.tobytes()
    assert one.drums.tobytes() == again.drums.tobytes()
    assert one.events == again.events
    assert one.audio.tobytes() != other.audio.tobytes()
    assert one.kit_id != other.kit_id


def test_global_random_state_does_not_matter() -> None:
    np.random.seed(1)
    one = make_song(3, duration_s=4.0)
    np.random.seed(2)
    assert make_song(3, duration_s=4.0).audio.tobytes() == one.audio.tobytes()


def test_shape_peak_and_stem() -> None:
    for level in (-9.0, None, "random"):
        song = make_song(11, duration_s=6.0, accompaniment_db=level)
        assert song.audio.shape == song.drums.shape == (6 * SAMPLE_RATE,)
        assert song.audio.dtype == song.drums.dtype == np.float32
        assert 0.5 < np.abs(song.audio).max() <= 0.9
        if level is None:
            assert np.array_equal(song.audio, song.drums)
        if level == -9.0:
            band = song.audio - song.drums
            ratio = np.sqrt(np.mean(band**2)) / np.sqrt(np.mean(song.drums**2))
            assert 20 * np.log10(ratio) == pytest.approx(-9.0, abs=0.1)


def test_energy_rises_at_every_loud_isolated_hit(songs: list[Song]) -> None:
    """Independent of the synthesis: 5 ms after the stated sample against 5 ms before it."""
    window = round(0.005 * SAMPLE_RATE)
    checked = 0
    for song in songs:
        treble = np.diff(song.drums, n=2, prepend=[0.0, 0.0])
        onsets = np.array([event.onset_time for event in song.events])
        for index, event in enumerate(song.events):
            quiet_s = event.onset_time - (onsets[index - 1] if index else -1.0)
            recent = [e for e in song.events[:index] if event.onset_time - e.onset_time < 1.5]
            ringing = any(set(e.labels) & RINGING for e in recent)
            # Of the drums struck at this moment, the one that came first.
            loud = {h.label for h in song.hits if h.onset_s == event.onset_time and h.velocity > 0.6}
            kick = loud == {"kick"}
            if quiet_s < (0.3 if kick else 0.12) or ringing or not loud & ATTACKS:
                continue
            start = round(event.onset_time * SAMPLE_RATE)
            # A stick over the tail of a kick or tom rises in the treble; a kick needs silence before it.
            heard = song.drums if kick else treble
            gap = energy_db(heard, start, window) - energy_db(heard, start - window, window)
            assert gap > 3.0, (song.name, event.onset_time, event.labels)
            checked += 1
    assert checked > 40


def test_onset_is_exact_to_the_sample() -> None:
    """A dry render is exactly silent up to the sample that the label names, and sounds from it on."""
    kit = make_kit(5)
    for start, label in ((1000, "kick"), (4567, "hihat_open"), (22051, "crash"), (0, "snare")):
        dry = render_drums(kit, (Hit(start / SAMPLE_RATE, label, 0.8),), SAMPLE_RATE)
        assert np.flatnonzero(dry)[0] == start


def test_every_hit_is_in_the_dry_render(songs: list[Song]) -> None:
    """Taking one hit away changes nothing before its onset, and something right after."""
    song = songs[0]
    kit = make_kit(int(song.kit_id.removeprefix("synth-"), 16))
    for index in (3, 17, len(song.hits) - 2):
        hit = song.hits[index]
        upto = song.hits[:index]
        whole = render_drums(kit, (*upto, hit), len(song.audio))
        rest = render_drums(kit, upto, len(song.audio))
        start = round(hit.onset_s * SAMPLE_RATE)
        assert np.array_equal(whole[:start], rest[:start])
        assert np.abs(whole - rest)[start : start + 44].max() > 1e-4


def test_librosa_finds_the_hits(songs: list[Song]) -> None:
    """An onset detector that knows nothing of the synthesis agrees with the labels of loud hits."""
    right = found_count = heard = loud_count = 0
    for song in songs:
        found = librosa.onset.onset_detect(y=song.drums, sr=SAMPLE_RATE, hop_length=256, units="time")
        onsets = np.array([event.onset_time for event in song.events])
        loud = [e.onset_time for e in song.events if max(c.velocity or 0 for c in e.components) > 0.6]
        right += sum(np.abs(onsets - time).min() < 0.03 for time in found)
        heard += sum(np.abs(found - onset).min() < 0.03 for onset in loud)
        found_count += len(found)
        loud_count += len(loud)
    print(right / found_count, heard / loud_count)
    assert right > 0.95 * found_count
    assert heard > 0.7 * loud_count


def test_open_hat_is_choked_by_the_next_hat() -> None:
    kit = make_kit(9)
    at = SAMPLE_RATE // 4
    opened = Hit(0.0, "hihat_open", 0.8, 0.9)
    free = render_drums(kit, (opened,), SAMPLE_RATE)
    for closer in ("hihat_closed", "hihat_pedal"):
        both = render_drums(kit, (opened, Hit(at / SAMPLE_RATE, closer, 0.5, 0.0)), SAMPLE_RATE)
        later = at + round(0.25 * SAMPLE_RATE)
        assert energy_db(free, later, 4410) > energy_db(both, later, 4410) + 20
        assert np.array_equal(both[:at], free[:at])
    unrelated = render_drums(kit, (opened, Hit(at / SAMPLE_RATE, "snare", 0.5)), SAMPLE_RATE)
    assert energy_db(unrelated, at + 11025, 4410) > energy_db(free, at + 11025, 4410) - 6


def test_events_are_valid_and_complete(songs: list[Song]) -> None:
    for song in songs:
        ids = set()
        for event in song.events:
            assert from_builtins(to_builtins(event), Event, "event") == event
            assert event.session_id == song.name and event.audio_path == f"{song.name}.wav"
            assert event.is_synthetic and event.source_set == "beatsight-synth"
            assert event.kit_id == song.kit_id and event.meter == song.meter
            assert event.sample_rate == SAMPLE_RATE and event.channels == 1
            assert event.onset_time == round(event.onset_time * SAMPLE_RATE) / SAMPLE_RATE
            assert len(set(event.labels)) == len(event.labels)
            assert event.tempo_bpm == pytest.approx(song.tempo_bpm, rel=0.06)
            for component in event.components:
                assert is_known(component.label)
                assert component.dynamic_bucket == dynamic_bucket(component.velocity or 0.0)
                assert (component.openness is not None) == is_hihat(component.label)
            ids.add(event.sample_id)
        assert len(ids) == len(song.events)


def test_moments_hold_all_hits_and_stay_short(songs: list[Song]) -> None:
    for song in songs:
        starts = np.array([event.onset_time for event in song.events])
        assert np.all(np.diff(starts) > MOMENT_S)
        for hit in song.hits:
            index = int(np.searchsorted(starts, hit.onset_s, side="right")) - 1
            assert 0.0 <= hit.onset_s - starts[index] <= MOMENT_S
            assert hit.label in song.events[index].labels
        assert set(starts) <= {hit.onset_s for hit in song.hits}


def test_bar_and_beat_of_events_match_the_beat_grid(songs: list[Song]) -> None:
    for song in songs:
        for event in song.events[:-20]:
            assert event.bar_index is not None and event.beat_index is not None
            assert 0 <= event.beat_index < song.beats_per_bar
            place = event.bar_index * song.beats_per_bar + event.beat_index
            expected = np.interp(place, np.arange(len(song.beats_s)), song.beats_s)
            # A stroke up to a tenth of a beat early counts as on the bar line.
            assert abs(expected - event.onset_time) < 0.1 * 60.0 / song.tempo_bpm + 0.001


def test_ghosts_stay_above_the_noise() -> None:
    """The quietest snares are far below the loudest, and still above what lies between the hits."""
    song = make_song(21, duration_s=20.0, style="funk", meter="4/4", accompaniment_db=None)
    floor = energy_db(song.drums, 0, round(0.1 * SAMPLE_RATE))
    ghosts = [h for h in song.hits if h.label == "snare" and h.velocity < 0.25]
    accents = [h for h in song.hits if h.label in ("snare", "rimshot") and h.velocity > 0.8]

    def level(hits: list[Hit]) -> float:
        return float(np.median([energy_db(song.drums, round(h.onset_s * SAMPLE_RATE), 882) for h in hits]))

    assert len(ghosts) > 5
    assert level(ghosts) > floor + 12
    assert level(accents) > level(ghosts) + 8


def test_room_keeps_the_attack_in_place() -> None:
    room = make_room(np.random.default_rng(2))
    assert np.argmax(np.abs(room)) == 0
    click = np.zeros(20_000, dtype=np.float32)
    click[5000] = 1.0
    wet = convolve(click, room)
    assert np.abs(wet[:4999]).max() < 1e-5 < np.abs(wet[5000])
    expected = scipy.signal.oaconvolve(click.astype(np.float64), room.astype(np.float64))[: len(click)]
    assert np.allclose(wet, expected, atol=1e-5)


def test_compressor_holds_steady_level_and_never_looks_ahead() -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = np.where(time < 0.5, 0.01, 0.8).astype(np.float32) * np.sin(2 * np.pi * 220 * time).astype(
        np.float32
    )
    out = compress(tone, threshold=0.1, ratio=2.0, release_s=0.1)
    half = SAMPLE_RATE // 2
    assert np.array_equal(out[:half], tone[:half])  # quiet part untouched, right up to the loud one
    rms = np.sqrt(np.mean(out[-4410:] ** 2))
    expected = 0.1 * np.sqrt(0.8 / np.sqrt(2) / 0.1)  # 2:1 over the threshold
    assert rms == pytest.approx(expected, rel=0.03)
    assert np.abs(soft_clip(tone * 3)).max() <= 1.0


def test_written_files_read_back(tmp_path: Path) -> None:
    song = make_song(2, duration_s=5.0, style="rock", meter="3/4")
    files = write_song(song, tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        f"{song.name}{suffix}" for suffix in (".wav", ".events.jsonl", ".beats")
    )
    assert probe(files.audio).frames == len(song.audio)
    assert np.abs(load(files.audio) - song.audio).max() < 2 / 32768
    assert read_events(files.events) == song.events
    rows = [line.split("\t") for line in files.beats.read_text().splitlines()]
    assert [float(time) for time, _ in rows] == pytest.approx(song.beats_s.tolist(), abs=1e-6)
    assert [int(beat) for _, beat in rows][:4] == [1, 2, 3, 1]


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed of a song must not be negative, but is -2"):
        make_song(-2)
    with pytest.raises(UsageError, match="unknown style 'polka'"):
        make_song(1, style="polka")
    with pytest.raises(UsageError, match="a song must last at least 3 s, not 2"):
        make_song(1, duration_s=2)
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(InputError, match=r"file.*cannot be written"):
        write_song(make_song(1, duration_s=3.0), blocked)
