"""Events and audio in, dataset folder out: what is in it, what is refused, and nothing is half written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beatsight import taxonomy
from beatsight.audio.io import SAMPLE_RATE, load
from beatsight.cli.main import run
from beatsight.dataset.build import build_dataset
from beatsight.dataset.building import partial
from beatsight.dataset.store import Dataset, open_dataset
from beatsight.errors import InputError, UsageError
from beatsight.events import Component, Event, write_records
from tiny_dataset import events_of, pattern, tiny_songs, write_song

COLUMN = {label: index for index, label in enumerate(taxonomy.CLASSIFIER)}


def event(onset_s: float, *labels: str, path: str = "a.wav", session: str = "s", **more: Any) -> Event:
    parts = [Component(label=label, **more) for label in labels]
    return Event(
        sample_id=f"{path}@{onset_s}",
        session_id=session,
        onset_time=onset_s,
        components=parts,
        audio_path=path,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a.wav, two seconds of strokes."""
    write_song(tmp_path / "audio" / "a.wav", pattern(6, ("kick", "snare")), 2.0)
    return tmp_path / "audio"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def named(dataset: Dataset, row: int) -> set[str]:
    return {label for label, on in zip(dataset.labels, dataset.moments.labels[row], strict=True) if on}


def test_labels_at_one_moment_are_one_row(root: Path) -> None:
    events = [
        event(0.2, "kick"),
        event(0.2, "hihat_closed"),
        event(0.215, "snare"),
        event(0.5, "kick", "crash"),
    ]
    dataset = build_dataset(events, root, root.parent / "d")
    assert [named(dataset, row) for row in range(2)] == [
        {"kick", "hihat_closed", "snare"},
        {"kick", "crash"},
    ]
    assert dataset.moments.onset_s.tolist() == [0.2, 0.5]
    assert len(dataset.moments) == 2


def test_moments_do_not_chain(root: Path) -> None:
    dataset = build_dataset([event(t, "kick") for t in (0.2, 0.215, 0.23)], root, root.parent / "d")
    assert dataset.moments.onset_s.tolist() == [0.2, 0.23]


def test_label_columns_follow_the_taxonomy_not_the_events(root: Path) -> None:
    dataset = build_dataset([event(0.2, "china"), event(0.5, "kick")], root, root.parent / "d")
    assert dataset.labels == taxonomy.CLASSIFIER
    assert dataset.moments.labels[0].tolist() == [label == "china" for label in taxonomy.CLASSIFIER]
    assert dataset.metadata.label_counts["train"]["china"] == 1
    assert set(dataset.metadata.untrained_labels) == set(taxonomy.CLASSIFIER) - {"china", "kick"}


def test_aliases_fold_and_labels_without_a_class_are_rows_without_one(root: Path) -> None:
    dataset = build_dataset([event(0.2, "Cross Stick"), event(0.5, "tambourine")], root, root.parent / "d")
    assert [named(dataset, row) for row in range(2)] == [{"snare"}, set()]


def test_velocity_and_openness_keep_their_class(root: Path) -> None:
    events = [
        event(0.2, "snare", velocity=0.3),
        event(0.2, "rimshot", velocity=0.8),
        event(0.5, "hihat_open", openness=0.7),
    ]
    moments = build_dataset(events, root, root.parent / "d").moments
    assert moments.velocity[0, COLUMN["snare"]] == np.float32(0.8)
    assert np.isnan(np.delete(moments.velocity[0], COLUMN["snare"])).all()
    assert np.isnan(moments.openness[0]) and moments.openness[1] == np.float32(0.7)


def test_the_shard_holds_the_samples_of_the_file(root: Path) -> None:
    dataset = build_dataset([event(0.0, "kick"), event(1.999, "snare")], root, root.parent / "d")
    audio, moments = load(root / "a.wav"), dataset.moments
    for row, onset in enumerate((0, round(1.999 * SAMPLE_RATE))):
        first = moments.onset[row] - onset  # where the file would begin in the shard
        stored = dataset.shards[0][moments.start[row] : moments.end[row]] / np.float32(32768)
        np.testing.assert_array_equal(stored, audio[moments.start[row] - first : moments.end[row] - first])
        assert moments.start[row] <= moments.onset[row] < moments.end[row]


def test_an_event_after_the_end_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"a\.wav: an event lies at 2\.000 s, after the end .*2\.000 s"):
        build_dataset([event(0.2, "kick"), event(2.0, "kick")], root, root.parent / "d")
    assert not (root.parent / "d").exists()


@pytest.mark.parametrize("path", ["../a.wav", "sub/../../a.wav"])
def test_audio_outside_the_root_is_refused(root: Path, path: str) -> None:
    write_song(root.parent / "a.wav", [], 1.0)
    with pytest.raises(InputError, match="leaves its root folder"):
        build_dataset([event(0.2, "kick", path=path)], root, root.parent / "d")
    with pytest.raises(InputError, match="is an absolute path"):
        build_dataset([event(0.2, "kick", path=str(root / "a.wav"))], root, root.parent / "d")


def test_faulty_events_are_refused_before_any_audio_is_read(root: Path) -> None:
    out = root.parent / "d"
    with pytest.raises(InputError, match="no events to build a dataset from"):
        build_dataset([], root, out)
    with pytest.raises(InputError, match=r"event nowhere\.wav@0\.2: unknown drum label 'snair'; .*'snare'"):
        build_dataset([event(0.2, "snair", path="nowhere.wav")], root, out)
    with pytest.raises(InputError, match=r"nowhere\.wav: no such audio file"):
        build_dataset([event(0.2, "snare", path="nowhere.wav")], root, out)
    no_audio = event(0.2, "kick")
    no_audio.audio_path = None
    with pytest.raises(InputError, match=r"event a\.wav@0\.2: has no audio_path"):
        build_dataset([no_audio], root, out)
    with pytest.raises(InputError, match="test session 'nobody' is not among"):
        build_dataset([event(0.2, "kick", path="nowhere.wav")], root, out, test_sessions=["nobody"])
    with pytest.raises(InputError, match=r"must lie in 0\.\.1 and leave something"):
        build_dataset([event(0.2, "kick")], root, out, val_fraction=0.6, test_fraction=0.4)
    with pytest.raises(InputError, match="seed must not be negative"):
        build_dataset([event(0.2, "kick")], root, out, seed=-1)


@pytest.mark.parametrize("other", ["a.wav", "./a.wav", ".//a.wav"])
def test_one_file_in_two_sessions_is_refused(root: Path, other: str) -> None:
    events = [event(0.2, "kick", session="one"), event(0.5, "kick", path=other, session="two")]
    with pytest.raises(InputError, match=r"a\.wav: belongs to several sessions: one, two"):
        build_dataset(events, root, root.parent / "d")


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_killed_build_leaves_the_old_dataset(root: Path) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    before = contents(out)

    def die(done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        build_dataset([event(0.5, "snare")], root, out, progress=die)
    assert contents(out) == before
    # What was done is kept beside it, until the next build.
    assert sorted(path.name for path in root.parent.iterdir()) == ["audio", "d", "d.partial"]
    build_dataset([event(0.5, "snare")], root, out)
    assert named(open_dataset(out), 0) == {"snare"}
    assert sorted(path.name for path in root.parent.iterdir()) == ["audio", "d"]


def test_only_a_dataset_is_ever_replaced(root: Path) -> None:
    calls: list[int] = []
    with pytest.raises(InputError, match="audio: exists and is not a dataset; choose another folder"):
        build_dataset([event(0.2, "kick")], root, root, progress=lambda done, total: calls.append(done))
    with pytest.raises(InputError, match=r"a\.wav: is a file, not a folder"):
        build_dataset([event(0.2, "kick")], root, root / "a.wav")
    with pytest.raises(InputError, match="cannot be written: "):
        build_dataset([event(0.2, "kick")], root, root / "a.wav" / "below")
    assert calls == []
    assert [path.name for path in root.iterdir()] == ["a.wav"]
    (root.parent / "empty").mkdir()
    assert len(build_dataset([event(0.2, "kick")], root, root.parent / "empty").moments) == 1


def test_the_same_input_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 3, ("kick", "snare"), beats=9)
    build_dataset(events, tmp_path / "audio", tmp_path / "one", val_fraction=0.3, seed=4)
    build_dataset(events[::-1], tmp_path / "audio", tmp_path / "two", val_fraction=0.3, seed=4)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == {"audio-000.i16", "metadata.json", "moments.npz"}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(val=st.floats(0, 0.4), test=st.floats(0, 0.4), seed=st.integers(0, 3))
def test_sessions_stay_whole(tmp_path: Path, val: float, test: float, seed: int) -> None:
    events = tiny_songs(tmp_path / "audio", 5, ("kick", "snare"), beats=2)
    dataset = build_dataset(
        events, tmp_path / "audio", tmp_path / "d", val_fraction=val, test_fraction=test, seed=seed
    )
    members = dataset.metadata.sessions
    assert sorted(name for names in members.values() for name in names) == [f"session-{i}" for i in range(5)]
    assert sum(dataset.metadata.moments.values()) == len(dataset.moments) == 10
    for split, names in members.items():
        rows = dataset.rows(split)
        assert {f"session-{i}" for i in dataset.moments.session[rows]} == set(names)


def test_test_sessions_are_the_test_split(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 4, ("kick",), beats=2)
    dataset = build_dataset(events, tmp_path / "audio", tmp_path / "d", test_sessions=["session-2"])
    assert dataset.metadata.sessions["test"] == ["session-2"]
    assert dataset.metadata.moments["test"] == 2
    with pytest.raises(InputError, match="unknown split 'holdout'; known: train, val, test"):
        dataset.rows("holdout")


def test_kits_stay_on_one_side(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 8, ("kick", "snare"), beats=2)
    for item in events:
        item.kit_id = f"kit-{int(item.session_id[-1]) % 4}"
    for seed in range(4):
        dataset = build_dataset(
            events, tmp_path / "audio", tmp_path / "d", val_fraction=0.25, test_fraction=0.25, seed=seed
        )
        kits = {
            split: {int(name[-1]) % 4 for name in names} for split, names in dataset.metadata.sessions.items()
        }
        assert [len(kits[split]) for split in ("train", "val", "test")] == [2, 1, 1]
        assert not (kits["train"] & kits["val"] or kits["train"] & kits["test"] or kits["val"] & kits["test"])
        assert dataset.metadata.notes == []


def test_songs_of_one_kit_are_split_all_the_same_and_a_note_says_so(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 5, ("kick", "snare"), beats=2)
    for item in events:
        item.kit_id = "the only kit"
    dataset = build_dataset(events, tmp_path / "audio", tmp_path / "d", val_fraction=0.2)
    assert dataset.metadata.moments == {"train": 8, "val": 2, "test": 0}
    assert [note.partition(":")[2] for note in dataset.metadata.notes] == [
        " in whole groups, nothing is left for val"
    ]


def test_test_sessions_bind_nobody(tmp_path: Path) -> None:
    """As in the demo: the test songs are played on the kits of training, because they were asked for."""
    events = tiny_songs(tmp_path / "audio", 3, ("kick",), beats=2)
    for item in events:
        item.kit_id = item.session_id
    # The test session plays the kits of both others; were it counted, all three would be one group.
    for number, item in enumerate(item for item in events if item.session_id == "session-2"):
        item.kit_id = f"session-{number}"
    dataset = build_dataset(
        events, tmp_path / "audio", tmp_path / "d", val_fraction=0.5, test_sessions=["session-2"]
    )
    assert dataset.metadata.notes == []
    assert len(dataset.metadata.sessions["val"]) == 1


def test_a_given_split_is_taken(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 4, ("kick", "snare"), beats=2)
    splits = {"session-0": "val", "session-1": None, "session-2": "train", "session-3": "test"}
    (tmp_path / "audio" / "song1.wav").unlink()  # what is left out is not even opened
    dataset = build_dataset(events, tmp_path / "audio", tmp_path / "d", splits=splits)
    assert dataset.metadata.sessions == {"train": ["session-2"], "val": ["session-0"], "test": ["session-3"]}
    assert dataset.metadata.notes == ["1 of 4 sessions are left out, as the given split says"]
    assert dataset.session_names == ["session-0", "session-2", "session-3"]
    for split, names in dataset.metadata.sessions.items():
        rows = dataset.rows(split)
        assert [dataset.session_names[i] for i in np.unique(dataset.moments.session[rows])] == names


def test_the_command_takes_a_split_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tiny_songs(tmp_path, 3, ("kick", "snare"), beats=2)
    write_records(tmp_path / "events.jsonl", events)
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"sessions": {"session-0": "val", "session-1": "train", "session-2": None}}))
    words = [
        "dataset",
        "build",
        str(tmp_path / "events.jsonl"),
        "-o",
        str(tmp_path / "d"),
        "--split",
        str(split),
    ]
    with pytest.raises(SystemExit, match=r"^0$"):
        run(words)
    assert "1 of 3 sessions are left out" in capsys.readouterr().out
    assert open_dataset(tmp_path / "d").metadata.sessions == {
        "train": ["session-1"], "val": ["session-0"], "test": [],
    }  # fmt: skip
    split.write_text(json.dumps({"sessions": {"session-0": "val"}}))
    with pytest.raises(SystemExit, match=r"^3$"):
        run(words)
    assert f"{split}: has no split for 2 of the sessions" in capsys.readouterr().err


def test_a_given_split_must_fit(root: Path) -> None:
    out = root.parent / "d"
    with pytest.raises(InputError, match="splits: has no split for 1 of the sessions, such as 's'"):
        build_dataset([event(0.2, "kick")], root, out, splits={})
    with pytest.raises(UsageError, match="test_sessions cannot be given as well"):
        build_dataset([event(0.2, "kick")], root, out, splits={"s": "train"}, test_sessions=["s"])


def test_every_moment_knows_its_file(tmp_path: Path) -> None:
    write_song(tmp_path / "b.wav", [], 1.0)
    write_song(tmp_path / "sub" / "a.wav", [], 1.0)
    events = [event(0.2, "kick", path="b.wav"), event(0.3, "kick", path="./sub/a.wav")]
    dataset = build_dataset(events, tmp_path, tmp_path / "d")
    files = [dataset.metadata.files[i] for i in dataset.moments.audio_file]
    assert dict(zip(files, dataset.moments.onset_s, strict=True)) == {"b.wav": 0.2, "sub/a.wav": 0.3}


def test_the_first_version_is_refused_by_its_number(root: Path) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    path = out / "metadata.json"
    old = json.loads(path.read_text()) | {"format_version": 1}
    del old["files"]  # version 1 had none
    path.write_text(json.dumps(old))
    with pytest.raises(InputError, match="format version 1, this program reads 2; build it again"):
        open_dataset(out)


def test_durations_by_split_and_source_add_up(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 4, ("kick",), beats=4)
    metadata = build_dataset(events, tmp_path / "audio", tmp_path / "d", val_fraction=0.25).metadata
    # Each song is shorter than what is kept around its strokes, so all of it is.
    assert sum(metadata.split_durations_seconds.values()) == pytest.approx(4 * 1.4, abs=0.01)
    assert metadata.duration_seconds_by_source == {"tiny": pytest.approx(4 * 1.4, abs=0.01)}


def test_negatives_are_unlabelled_and_far_from_every_hit(tmp_path: Path) -> None:
    hits = pattern(24, ("kick", "snare"))
    # A stroke that nobody wrote down, 72 ms after a moment but only 54 ms after the moment's second drum.
    write_song(tmp_path / "audio" / "a.wav", [*hits, (3.272, ("snare",))], 7.0)
    labelled = [hit for hit in hits if hit[0] not in (1.2, 2.7)]  # two more of that kind
    # A second drum 18 ms later belongs to the same moment, and keeps negatives away as well.
    labelled += [(round(time + 0.018, 6), ("china",)) for time, _ in labelled]
    dataset = build_dataset(events_of(labelled, "a.wav", "s"), tmp_path / "audio", tmp_path / "d")
    moments = dataset.moments
    negative = ~moments.labels.any(axis=1)
    assert (~negative).sum() == 22 and negative.any()
    times = np.array([time for time, _ in labelled])
    distance = np.abs(moments.onset_s[negative][:, None] - times).min(axis=1)
    assert distance.min() > 0.06
    found = moments.onset_s[negative]
    for time in (1.2, 2.7):
        assert np.abs(found - time).min() < 0.005  # what the detector hears and no label explains


def test_one_shots_get_no_negatives_and_are_isolated(root: Path) -> None:
    dataset = build_dataset([event(0.2, "kick")], root, root.parent / "d")
    assert dataset.moments.isolated.tolist() == [True]
    dataset = build_dataset([event(0.2, "kick"), event(0.7, "kick")], root, root.parent / "d")
    assert dataset.moments.isolated.tolist() == [False, False]


def test_equal_file_names_in_two_roots_share_nothing(tmp_path: Path) -> None:
    for name, label in (("one", "kick"), ("two", "snare")):
        write_song(tmp_path / name / "a.wav", [(0.2, (label,))], 1.0, seed=len(label))
    first, second = (
        build_dataset([event(0.2, "kick")], tmp_path / name, tmp_path / f"d-{name}")
        for name in ("one", "two")
    )
    for dataset, name in ((first, "one"), (second, "two")):
        np.testing.assert_array_equal(dataset.shards[0] / np.float32(32768), load(tmp_path / name / "a.wav"))


def test_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tiny_songs(tmp_path / "audio", 3, ("kick",), beats=2)
    whole = build_dataset(events, tmp_path / "audio", tmp_path / "one")
    monkeypatch.setattr(partial, "SHARD_SAMPLES", 45_000)
    parts = build_dataset(events, tmp_path / "audio", tmp_path / "many")
    assert (len(whole.shards), len(parts.shards)) == (1, 3)
    for row in range(len(whole.moments)):
        clips = [
            d.shards[d.moments.shard[row]][d.moments.start[row] : d.moments.end[row]] for d in (whole, parts)
        ]
        np.testing.assert_array_equal(*clips)


def test_distant_moments_are_segments_with_the_silence_between_left_out(tmp_path: Path) -> None:
    write_song(tmp_path / "a.wav", [(0.5, ("kick",)), (8.0, ("kick",))], 9.0)
    dataset = build_dataset([event(0.5, "kick"), event(8.0, "kick")], tmp_path, tmp_path / "d")
    assert len(dataset.shards[0]) == 2 * round(1.1 * SAMPLE_RATE)
    assert dataset.moments.end[0] == dataset.moments.start[1]


def test_sound_past_full_scale_is_turned_down_not_clipped(tmp_path: Path) -> None:
    audio = 2.0 * np.sin(np.arange(20_000) / 20)
    soundfile.write(tmp_path / "a.wav", audio, SAMPLE_RATE, subtype="FLOAT")
    stored = build_dataset([event(0.1, "kick")], tmp_path, tmp_path / "d").shards[0] / 32768
    np.testing.assert_allclose(stored, audio / np.abs(audio).max(), atol=1e-4)


def test_verify_finds_one_flipped_byte(root: Path) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    for name in ("audio-000.i16", "moments.npz"):
        good = (out / name).read_bytes()
        open_dataset(out, verify=True)
        (out / name).write_bytes(good[:50] + bytes([good[50] ^ 1]) + good[51:])
        with pytest.raises(InputError, match=rf"{name}: content does not match its checksum"):
            open_dataset(out, verify=True)
        (out / name).write_bytes(good)


@pytest.mark.parametrize("keep", [1000, 1001, 0])
def test_a_truncated_shard_is_refused(root: Path, keep: int) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    shard = out / "audio-000.i16"
    shard.write_bytes(shard.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"d: .*(shorter than its moments|is damaged).*build it again"):
        open_dataset(out)


@pytest.mark.parametrize("keep", [0, 10, 1500])
def test_a_truncated_table_is_refused(root: Path, keep: int) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    table = out / "moments.npz"
    table.write_bytes(table.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"the dataset is damaged .*build it again"):
        open_dataset(out)


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("onset", [10**9], "row 0 lies outside its segment"),
        ("start", [-1], "row 0 lies outside its segment"),
        ("shard", [7], "an audio shard is missing"),
        ("labels", [[1, 0]], r"column labels is not \(1, 12\)"),
        ("session", [0, 1], r"column session is not \(1,\)"),
        ("session", [1], "unknown session in a row"),
        ("audio_file", [-1], "unknown audio_file in a row"),
    ],
)
def test_columns_that_do_not_fit_are_refused(root: Path, column: str, value: list[int], why: str) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    with np.load(out / "moments.npz") as table:
        columns = dict(table)
    np.savez(out / "moments.npz", **{**columns, column: np.array(value)})
    with pytest.raises(InputError, match=why):
        open_dataset(out)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("format_version", 99, "format version 99, this program reads 2; build it again"),
        ("taxonomy_digest", "0", "was built with another label taxonomy"),
        ("labels", 3, "is not a dataset's metadata"),
    ],
)
def test_metadata_of_another_kind_is_refused(root: Path, key: str, value: object, why: str) -> None:
    out = root.parent / "d"
    build_dataset([event(0.2, "kick")], root, out)
    path = out / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(InputError, match=why):
        open_dataset(out)
    with pytest.raises(InputError, match=r"audio: is not a dataset folder \(it has no metadata"):
        open_dataset(root)
