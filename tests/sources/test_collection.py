"""A collection: planted hits come back, twice is once, and damaged input leaves everything as it was."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.errors import InputError
from beatsight.events import Component, Event, from_builtins, to_builtins
from beatsight.files import sha256_file
from beatsight.sources import AddResult, Collection, Hit, Origin, lock
from beatsight.sources.moments import SAME_HIT_S, SAME_MOMENT_S, Moments

RATE = 44_100


def moments_of(collection: Collection) -> list[tuple[float, tuple[str, ...]]]:
    return [(event.onset_time, event.labels) for event in collection.events()]


def test_a_hit_comes_back_with_all_that_was_said(collection: Collection, song: Path) -> None:
    origin = Origin(session="mon", kit="ludwig", drummer="ann", room="hall")
    result = collection.add(song, 1.234, "Open Hi-Hat", velocity=0.2, openness=0.9, origin=origin)
    assert result == AddResult(added=1)
    (event,) = collection.events()
    assert event.components == [
        Component(label="hihat_open", velocity=0.2, dynamic_bucket="light", openness=0.9)
    ]
    assert (event.onset_time, event.session_id, event.kit_id) == (1.234, "mon", "ludwig")
    assert (event.drummer_id, event.room_id, event.sample_rate, event.channels) == ("ann", "hall", RATE, 1)
    assert event.metadata_ref == {"original_path": str(song)}
    assert event.audio_path == f"audio/{sha256_file(song)[:16]}.wav"
    assert sha256_file(collection.root / event.audio_path) == sha256_file(song)
    assert event.sample_id == f"{sha256_file(song)[:16]}-1234000"
    assert from_builtins(to_builtins(event), Event, "event") == event


def test_it_is_self_contained(collection: Collection, song: Path, tmp_path: Path) -> None:
    collection.add(song, 1.0, "kick")
    song.unlink()
    moved = tmp_path / "elsewhere"
    shutil.move(collection.root, moved)
    stats = Collection(moved).stats()
    assert (stats.hits, stats.audio_files) == (1, 1)
    assert stats.hours == pytest.approx(4.0 / 3600)


def test_the_same_audio_under_another_name_is_kept_once(collection: Collection, song: Path) -> None:
    copy = Path(shutil.copy(song, song.with_name("Kopie ü.WAV")))
    collection.add(song, 1.0, "kick")
    assert collection.add(copy, 1.0, "kick") == AddResult(already_there=1)
    assert collection.add(copy, 2.0, "kick") == AddResult(added=1)
    assert len(list((collection.root / "audio").iterdir())) == 1
    assert {event.session_id for event in collection.events()} == {"song"}


def test_spaces_and_letters_beyond_ascii_in_a_path(collection: Collection, tmp_path: Path) -> None:
    audio = tmp_path / "mes chansons" / "été à 日本 #1.flac"
    audio.parent.mkdir()
    soundfile.write(audio, np.zeros(RATE), RATE)
    collection.add(audio, 0.5, "kick")
    (event,) = collection.events()
    assert event.session_id == "été à 日本 #1"
    assert event.metadata_ref == {"original_path": str(audio)}
    assert [e.onset_time for e in collection.events_of(audio)] == [0.5]


@pytest.mark.parametrize(
    ("second_s", "label", "added", "moments"),
    [
        (1.0, "kick", 0, 1),
        (1.010, "bass drum", 0, 1),
        (0.990, "kick", 0, 1),
        (1.011, "kick", 1, 2),
        (1.002, "snare", 1, 1),
        (1.003, "snare", 1, 2),
    ],
)
def test_same_hit_same_moment_or_another(
    collection: Collection, song: Path, second_s: float, label: str, added: int, moments: int
) -> None:
    collection.add(song, 1.0, "kick")
    result = collection.add(song, second_s, label)
    assert result == AddResult(added=added, already_there=1 - added)
    assert len(collection.events()) == moments


def test_a_joining_hit_keeps_the_moment_and_fills_in_what_it_lacks(
    collection: Collection, song: Path
) -> None:
    collection.add(song, 1.0, "kick", velocity=0.9, origin=Origin(drummer="ann"))
    collection.add(song, 1.0015, "crash", velocity=0.5, origin=Origin(drummer="bob", kit="pearl"))
    (event,) = collection.events()
    assert event.onset_time == 1.0
    assert [(part.label, part.velocity) for part in event.components] == [("kick", 0.9), ("crash", 0.5)]
    assert (event.drummer_id, event.kit_id) == ("ann", "pearl")


def test_a_hit_does_not_join_a_moment_marked_as_free_of_drums(song: Path) -> None:
    silent = Event(
        sample_id="n", session_id="s", onset_time=1.0, components=[], audio_path="a", negative_example=True
    )
    moments = Moments([silent])
    hit = Event(
        sample_id="h", session_id="s", onset_time=1.0, components=[Component(label="kick")], audio_path="a"
    )
    assert moments.put(hit) == (1, 0)
    assert len(moments.events) == 2 and silent.components == []


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["kick", "snare", "crash"]), st.sampled_from("ab")),
        max_size=40,
    )
)
def test_moments_against_a_plain_reading_of_the_rules(planted: list[tuple[int, str, str]]) -> None:
    """Every pair compared with every other, in milliseconds as integers."""
    same_hit_ms, same_moment_ms = round(SAME_HIT_S * 1000), round(SAME_MOMENT_S * 1000)
    kept: list[tuple[str, int, set[str]]] = []
    moments = Moments([])
    for ms, label, audio in planted:
        event = Event(
            sample_id="x",
            session_id=audio,
            onset_time=ms / 1000,
            components=[Component(label=label)],
            audio_path=audio,
        )
        result = moments.put(event)
        mine = [part for part in kept if part[0] == audio]
        if any(abs(ms - at) <= same_hit_ms and label in labels for _, at, labels in mine):
            assert result == (0, 1)
            continue
        assert result == (1, 0)
        joined = [part for part in mine if abs(ms - part[1]) <= same_moment_ms]
        if joined:
            # The nearest; of two as near, the earlier.
            min(joined, key=lambda part: (abs(ms - part[1]), part[1]))[2].add(label)
        else:
            kept.append((audio, ms, {label}))
    found = [(e.audio_path, round(e.onset_time * 1000), set(e.labels)) for e in moments.events]
    assert found == kept


def test_a_recording_belongs_to_one_session(collection: Collection, song: Path) -> None:
    collection.add(song, 1.0, "kick", origin=Origin(session="monday"))
    before = collection.events_path.read_bytes()
    with pytest.raises(InputError, match=r"song\.wav belongs to session 'monday' and cannot .* 'tuesday'"):
        collection.add(song, 2.0, "kick", origin=Origin(session="tuesday"))
    assert collection.events_path.read_bytes() == before
    collection.add(song, 2.0, "kick")
    assert {event.session_id for event in collection.events()} == {"monday"}


def test_keys_of_another_program_survive_adding(collection: Collection, song: Path) -> None:
    collection.add(song, 1.0, "kick")
    line = json.loads(collection.events_path.read_text(encoding="utf-8"))
    line["future_key"] = {"a": [1, 2]}
    collection.events_path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    collection.add(song, 2.0, "kick")
    assert json.loads(collection.events_path.read_text(encoding="utf-8").splitlines()[0]) == line


def damaged(path: Path, kind: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no sound", encoding="utf-8")
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, np.float32), RATE)
    elif kind == "nan":
        soundfile.write(path, np.array([0.0, np.nan, 0.0] * 100, np.float32), RATE, subtype="FLOAT")
    elif kind == "truncated":
        noise = 0.1 * np.random.default_rng(0).standard_normal(RATE * 2)
        soundfile.write(path, noise, RATE, format="FLAC")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("empty", "bad.wav", "is an empty file, not audio"),
        ("text", "bad.wav", "cannot be decoded as audio"),
        ("no samples", "bad.wav", "holds no audio samples"),
        ("nan", "bad.wav", "sample 1 .* is not a finite number"),
        ("truncated", "bad.flac", "cut short|cannot be decoded"),
        ("folder", "bad.wav", "no such audio file"),
        ("absent", "bad.wav", "no such audio file"),
    ],
)
def test_damaged_audio_is_one_sentence(
    collection: Collection, song: Path, kind: str, name: str, why: str
) -> None:
    collection.add(song, 1.0, "kick")
    before = collection.events_path.read_bytes()
    with pytest.raises(InputError, match=f"bad.*{why}") as caught:
        collection.add(damaged(song.with_name(name), kind), 0.001, "kick")
    assert "\n" not in str(caught.value)
    assert collection.events_path.read_bytes() == before
    assert len(list((collection.root / "audio").iterdir())) == 1


@pytest.mark.parametrize(
    ("hit", "why"),
    [
        (
            {"time_s": 4.0},
            r"song\.wav: time 4 s is beyond the end of the audio \(4\.000 s\); nothing was added$",
        ),
        ({"time_s": -0.5}, r"song\.wav: time -0\.5 s is before the start"),
        ({"time_s": float("nan")}, r"song\.wav: time nan is not a finite number"),
        ({"time_s": float("inf")}, r"song\.wav: time inf is not a finite number"),
        ({"label": "snaer"}, r"song\.wav: unknown drum label 'snaer'; did you mean 'snare'\?"),
        ({"velocity": 1.01}, r"song\.wav: velocity 1\.01 is outside 0\.\.1"),
        ({"velocity": float("nan")}, r"song\.wav: velocity nan is outside 0\.\.1"),
        ({"openness": -0.1}, r"song\.wav: openness -0\.1 is outside 0\.\.1"),
    ],
)
def test_a_faulty_hit_is_one_sentence(collection: Collection, song: Path, hit: dict, why: str) -> None:
    with pytest.raises(InputError, match=why):
        collection.add_many([Hit(**({"audio": song, "time_s": 1.0, "label": "kick"} | hit))])
    assert not collection.root.exists()


def test_a_damaged_collection_is_named_with_its_line(collection: Collection, song: Path) -> None:
    collection.add(song, 1.0, "kick")
    with collection.events_path.open("a", encoding="utf-8") as stream:
        stream.write('{"sample_id": "half a li')
    before = collection.events_path.read_bytes()
    with pytest.raises(InputError, match=r"events\.jsonl:2: is not valid JSON"):
        collection.add(song, 2.0, "kick")
    assert collection.events_path.read_bytes() == before


def test_a_full_disk_leaves_the_old_file(
    collection: Collection, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add(song, 1.0, "kick")
    before = collection.events_path.read_bytes()

    def full(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"events\.jsonl: cannot be written: No space left"):
        collection.add(song, 2.0, "kick")
    assert collection.events_path.read_bytes() == before
    assert sorted(path.name for path in collection.root.iterdir()) == [".lock", "audio", "events.jsonl"]


def test_a_root_that_is_a_file(tmp_path: Path, song: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: cannot hold a collection"):
        Collection(tmp_path / "file").add(song, 1.0, "kick")


def _hold(
    folder: str, ready: multiprocessing.synchronize.Event, done: multiprocessing.synchronize.Event
) -> None:
    with lock.locked(Path(folder)):
        ready.set()
        done.wait(20)
        os._exit(1)  # dies without letting go: the system must


def test_a_second_process_waits_and_then_says_so(
    collection: Collection, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(collection.root), ready, done))
    holder.start()
    try:
        assert ready.wait(20)
        monkeypatch.setattr(lock, "LOCK_WAIT_S", 0.1)
        with pytest.raises(InputError, match="another process is adding to this collection; try again"):
            collection.add(song, 1.0, "kick")
    finally:
        done.set()
        holder.join()
    assert collection.add(song, 1.0, "kick").added == 1


def _add_ten(root: str, song: str, offset: int) -> None:
    for index in range(10):
        Collection(root).add(song, 0.1 + 0.2 * index + 0.1 * offset, "kick")


def test_two_processes_at_once_lose_nothing(collection: Collection, song: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_add_ten, args=(str(collection.root), str(song), n)) for n in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert sorted(round(time, 3) for time, _ in moments_of(collection)) == [
        round(0.1 + 0.1 * n, 3) for n in range(20)
    ]
