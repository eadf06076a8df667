"""What a dataset is built from: several manifests and roots, limits, workers, and every fault of them."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight import taxonomy
from beatsight.audio.io import SAMPLE_RATE
from beatsight.cli.main import run
from beatsight.dataset.build import BuildSettings, Labelled, build, build_dataset
from beatsight.dataset.building import cut
from beatsight.dataset.building.gather import Gatherer
from beatsight.dataset.building.verify import verify_inputs
from beatsight.dataset.store import MOMENT_S, open_dataset
from beatsight.errors import InputError
from beatsight.events import Component, Event, write_records
from tiny_dataset import drum, events_of, pattern, tiny_songs, write_song


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def command(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``beatsight dataset build``."""
    with pytest.raises(SystemExit) as done:
        run(["dataset", "build", *map(str, words)])
    out, err = capsys.readouterr()
    assert isinstance(done.value.code, int)
    return done.value.code, out, err


# -- columns -------------------------------------------------------------------------------------------------

HITS = st.lists(
    st.tuples(
        st.sampled_from(["a.wav", "b.wav", "./a.wav"]),
        st.integers(0, 60).map(lambda ms: ms / 200),
        st.lists(st.sampled_from(["kick", "Snare", "hihat_open", "tambourine", "ride"]), max_size=3),
        st.sampled_from([None, 0.0, 0.3, 1.0]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(hits=HITS, order=st.randoms())
def test_columns_are_those_of_a_plain_loop(hits: list, order: object) -> None:
    events = [
        Event(
            sample_id=f"e{number}",
            session_id=Path(path).name,
            onset_time=time,
            components=[Component(label=label, velocity=level, openness=level) for label in labels],
            audio_path=path,
        )
        for number, (path, time, labels, level) in enumerate(hits)
    ]
    # An event object at a time: first hits open a moment, which takes what is near enough.
    wanted: dict[str, list[tuple[float, set[str], dict[str, float], list[float]]]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.onset_time):
        assert event.audio_path is not None
        moments = wanted[Path(event.audio_path).as_posix()]
        if not moments or event.onset_time - moments[-1][0] > MOMENT_S:
            moments.append((event.onset_time, set(), {}, []))
        for part in event.components:
            name = taxonomy.fold(part.label)
            if name is None:
                continue
            moments[-1][1].add(name)
            if part.velocity is not None:
                moments[-1][2][name] = max(part.velocity, moments[-1][2].get(name, 0.0))
                if "hihat" in name:
                    moments[-1][3].append(part.velocity)
    shuffled = list(events)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    gatherer = Gatherer()
    gatherer.add(Labelled(shuffled, Path("/nowhere")))
    table = gatherer.table()
    assert [file.name for file in table.files] == sorted(wanted)
    for number, name in enumerate(sorted(wanted)):
        times, _ = table.times_of(number)
        assert times.tolist() == [moment[0] for moment in wanted[name]]
        first = table.first_moment[number]
        for row, (_, labels, levels, openness) in enumerate(wanted[name], start=int(first)):
            on = table.labels[row].astype(bool)
            assert {label for label, yes in zip(taxonomy.CLASSIFIER, on, strict=True) if yes} == labels
            for label, level in zip(taxonomy.CLASSIFIER, table.velocity[row], strict=True):
                assert (np.float32(levels[label]) == level) if label in levels else np.isnan(level)
            heard = table.openness[row]
            assert (np.float32(max(openness)) == heard) if openness else np.isnan(heard)


# -- manifests and roots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_every_format_gives_the_same_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard")
    events = tiny_songs(tmp_path, 3, ("kick", "snare"), beats=2)
    build_dataset(events, tmp_path, tmp_path / "one")
    write_records(tmp_path / f"events{suffix}", events)
    assert command(capsys, tmp_path / f"events{suffix}", "-o", tmp_path / "two")[0] == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_several_manifests_each_beside_its_audio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file name in two folders is two files."""
    for name, label in (("one", "kick"), ("two", "china")):
        write_song(tmp_path / name / "a.wav", [(0.2, (label,))], 1.0, seed=len(label))
        write_records(tmp_path / name / "e.jsonl", events_of([(0.2, (label,))], "a.wav", name))
    manifests = [tmp_path / name / "e.jsonl" for name in ("one", "two")]
    assert command(capsys, *manifests, "-o", tmp_path / "d", "--val-fraction", 0)[0] == 0
    dataset = open_dataset(tmp_path / "d", verify=True)
    assert dataset.metadata.files == ["a.wav", "a.wav"]
    assert dataset.metadata.sessions["train"] == ["one", "two"]
    for row, label in enumerate(("kick", "china")):
        assert dataset.labels[int(dataset.moments.labels[row].argmax())] == label
        alone = build_dataset(
            events_of([(0.2, (label,))], "a.wav", "s"), manifests[row].parent, tmp_path / label
        )
        start, end = dataset.moments.start[row], dataset.moments.end[row]
        np.testing.assert_array_equal(dataset.shards[0][start:end], alone.shards[0])


def test_a_root_by_source_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, label in (("kits", "kick"), ("songs", "china")):
        write_song(tmp_path / place / "a.wav", [(0.2, (label,))], 1.0, seed=len(label))
    events = events_of([(0.2, ("kick",))], "a.wav", "k") + events_of([(0.2, ("china",))], "a.wav", "s")
    for event, name in zip(events, ("Kits", "Songs"), strict=True):
        event.source_set = name
    write_records(tmp_path / "kits" / "e.jsonl", events)
    words = (tmp_path / "kits" / "e.jsonl", "-o", tmp_path / "d", "--audio-root-map")
    code, _, err = command(capsys, *words, f"Songs={tmp_path / 'songs'}")
    assert code == 0, err
    dataset = open_dataset(tmp_path / "d")
    assert (
        len(np.unique([dataset.shards[0][:40000].tobytes(), dataset.shards[0][44100:84100].tobytes()])) == 2
    )
    assert set(dataset.metadata.duration_seconds_by_source) == {"Kits", "Songs"}
    code, _, err = command(capsys, *words, f"Song={tmp_path / 'songs'}")
    assert code == 3 and "a source_set that no event has; there are: Kits, Songs" in err
    code, _, err = command(capsys, *words, "Songs")
    assert code == 2 and "--audio-root-map Songs: is not SET=DIR" in err
    events[1].audio_path = "../kits/a.wav"
    write_records(tmp_path / "kits" / "e.jsonl", events)
    code, _, err = command(capsys, *words, f"Songs={tmp_path / 'songs'}")
    assert code == 3 and "leaves its root folder" in err


def test_a_limit_takes_the_first_files_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tiny_songs(tmp_path, 4, ("kick",), beats=2)
    write_records(tmp_path / "e.jsonl", events)
    (tmp_path / "song3.wav").unlink()  # beyond the limit: not even looked at
    code, out, _ = command(capsys, tmp_path / "e.jsonl", "-o", tmp_path / "d", "--limit", 2)
    assert code == 0 and "only the first 2 of 4 audio files, as was asked" in out
    metadata = open_dataset(tmp_path / "d").metadata
    assert metadata.files == ["song0.wav", "song1.wav"]
    assert sum(metadata.moments.values()) == 4
    assert metadata.build["limit"] == 2
    settings = BuildSettings(limit=1, test_sessions=["session-0", "session-2"])
    metadata = build([Labelled(events, tmp_path)], tmp_path / "d", settings).metadata
    assert metadata.sessions["test"] == ["session-0"]


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 6, ("kick", "snare"), beats=12)
    made = []
    for workers in (1, 2, 3):
        output = tmp_path / f"d{workers}"
        build([Labelled(events, tmp_path / "audio")], output, BuildSettings(workers=workers))
        made.append(contents(output))
    assert made[0] == made[1] == made[2]
    assert json.loads(made[0]["metadata.json"])["moments"]["train"] > 12 * 5  # with negatives


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="limit must be at least 1, not 0"):
        BuildSettings(limit=0)
    with pytest.raises(InputError, match="workers must be at least 1, not -2"):
        BuildSettings(workers=-2)


def test_the_run_durations_are_those_of_the_whole(tmp_path: Path) -> None:
    """As in the old system's metadata, which dataset health reads: seconds by split, and by source."""
    events = tiny_songs(tmp_path, 4, ("kick",), beats=4)
    build_dataset(events, tmp_path, tmp_path / "d", val_fraction=0.25)
    data = json.loads((tmp_path / "d" / "metadata.json").read_text())
    assert data["split_durations_seconds"] == {"train": 4.2, "val": 1.4, "test": 0.0}
    assert data["run_split_durations_seconds"] == data["split_durations_seconds"]
    assert data["duration_seconds_by_source"] == {"tiny": 5.6}
    assert data["run_duration_seconds_by_source"] == data["duration_seconds_by_source"]


# -- faults --------------------------------------------------------------------------------------------------


def faulty(root: Path) -> Path:
    """A manifest with one of every fault, and three good hits; their sentences stand below."""
    write_song(root / "good.wav", pattern(3, ("kick",)), 1.0)
    events = events_of(pattern(3, ("kick",)), "good.wav", "good")
    for name in ("cut", "nan", "short", "two", "text", "empty"):
        write_song(root / f"{name}.wav", [], 0.5)
        events += events_of([(0.1, ("snare",))], f"{name}.wav", name)
    (root / "cut.wav").write_bytes((root / "cut.wav").read_bytes()[:5000])
    audio = np.zeros(4410, np.float32)
    audio[100] = np.nan
    soundfile.write(root / "nan.wav", audio, SAMPLE_RATE, subtype="FLOAT")
    (root / "text.wav").write_text("not a sound at all, but long enough to be looked at")
    (root / "empty.wav").write_bytes(b"")
    events += events_of([(0.5, ("kick",)), (0.75, ("kick",))], "short.wav", "short")
    events += events_of([(0.2, ("kick",))], "two.wav", "three")
    events += events_of([(0.1, ("snair",)), (0.2, ("snair",))], "good.wav", "good")
    events += events_of([(0.1, ("kick",))], "missing.wav", "missing")
    events += events_of([(0.1, ("kick",))], "../out.wav", "out")
    events += events_of([(0.1, ("kick",))], "", "none")
    write_records(root / "e.jsonl", events)
    with (root / "e.jsonl").open("a") as stream:
        stream.write('{"sample_id": "x", "session_id": 3}\nnonsense\n')
    return root / "e.jsonl"


FAULTS = (
    r"e\.jsonl:18: session_id: Expected str, got int",
    r"e\.jsonl:18: onset_time: is missing",
    r"e\.jsonl:19: ",
    r"good\.wav:0\.1:snair: unknown drum label 'snair'",
    r"good\.wav:0\.2:snair: unknown drum label 'snair'",
    r"event :0\.1:kick: has no audio_path",
    r"out\.wav: leaves its root folder",
    r"two\.wav: belongs to several sessions: three, two",
    r"cut\.wav: is cut short",
    r"empty\.wav: is an empty file",
    r"missing\.wav: no such audio file",
    r"nan\.wav: sample 100 .* is not a finite number",
    r"short\.wav: an event lies at 0\.500 s, after the end of the audio \(0\.500 s\)",
    r"short\.wav: an event lies at 0\.750 s",
    r"text\.wav: cannot be decoded as audio",
)


def test_verify_only_lists_every_fault_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = faulty(tmp_path / "audio")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = command(capsys, manifest, "-o", tmp_path / "d", "--verify-only")
    assert code == 3
    for fault in FAULTS:
        assert re.search(fault, out), fault
    said = [line for line in out.splitlines()[:-1] if "components: is missing" not in line]
    assert len(said) == len(FAULTS), said
    assert re.search(r"faults in what the dataset would be built from", err)
    assert sorted(tmp_path.rglob("*")) == before
    code, out, _ = command(capsys, manifest, "--verify-only", "--json", "--workers", 2)
    assert code == 3 and len(json.loads(out)["faults"]) >= len(FAULTS)


def test_verify_only_of_good_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = tiny_songs(tmp_path, 3, ("kick", "snare"), beats=4)
    write_records(tmp_path / "e.jsonl", events)
    code, out, _ = command(capsys, tmp_path / "e.jsonl", "--verify-only")
    assert (code, out) == (0, "3 audio files with 12 moments, 0.1 min: 0 faults.\n")
    found = verify_inputs([Labelled(events, tmp_path)], BuildSettings(splits={"session-0": "train"}))
    assert found.duration_s == pytest.approx(3 * 1.4, abs=1e-3)
    assert found.faults == ["splits: has no split for 2 of the sessions, such as 'session-1'"]


def test_a_build_refuses_each_of_those_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = faulty(tmp_path / "audio")
    code, _, err = command(capsys, manifest, "-o", tmp_path / "d")
    assert code == 3 and len(err.splitlines()) == 1
    assert not (tmp_path / "d").exists()


def test_missing_audio_is_noticed_before_anything_is_decoded(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path / "audio", 3, ("kick",), beats=2)
    (tmp_path / "audio" / "song2.wav").unlink()
    calls: list[int] = []
    with pytest.raises(InputError, match=r"song2\.wav: no such audio file"):
        build_dataset(
            events, tmp_path / "audio", tmp_path / "d", progress=lambda done, total: calls.append(1)
        )
    assert not calls
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio"]


def test_output_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_records(tmp_path / "e.jsonl", tiny_songs(tmp_path, 1, ("kick",)))
    code, _, err = command(capsys, tmp_path / "e.jsonl")
    assert code == 2 and "--output is missing" in err


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
from beatsight.cli.main import run
run(sys.argv[1:])
"""


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    """The limit on file sizes stands for a disk on which a shard does not fit."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    events = tiny_songs(tmp_path / "audio", 4, ("kick", "snare"), beats=9)
    write_records(tmp_path / "audio" / "e.jsonl", events)
    build_dataset(events[:4], tmp_path / "audio", tmp_path / "d")
    old = contents(tmp_path / "d")
    words = ["dataset", "build", str(tmp_path / "audio" / "e.jsonl"), "-o", str(tmp_path / "d")]
    done = subprocess.run([sys.executable, "-c", FULL, *words], capture_output=True, text=True)
    assert done.returncode == 3
    assert f"{tmp_path / 'd'}: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert f"kept in {tmp_path / 'd.partial'}; --resume goes on from there" in done.stderr
    assert contents(tmp_path / "d") == old
    with pytest.raises(SystemExit, match=r"^0$"):
        run([*words, "--resume"])
    build_dataset(events, tmp_path / "audio", tmp_path / "e")
    assert contents(tmp_path / "d") == contents(tmp_path / "e")


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tiny_songs(tmp_path / "audio", 1, ("kick",))

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # A read-only folder does not stop the superuser, whom tests may run as.
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(InputError, match=r"d: cannot be written: Permission denied"):
        build_dataset(events, tmp_path / "audio", tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio"]


def test_a_split_without_moments(tmp_path: Path) -> None:
    events = tiny_songs(tmp_path, 2, ("kick",), beats=2)
    dataset = build_dataset(events, tmp_path, tmp_path / "d", splits={"session-0": "val", "session-1": "val"})
    assert dataset.metadata.moments == {"train": 0, "val": 4, "test": 0}
    assert dataset.metadata.split_durations_seconds["train"] == 0.0
    assert len(dataset.rows("train")) == 0


def test_a_long_recording_is_heard_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The borders neither lose an onset nor double one, wherever they lie."""
    rng = np.random.default_rng(5)
    times = np.arange(1, 38) * 0.33
    audio = 1e-4 * rng.standard_normal(13 * SAMPLE_RATE)
    for time in times:
        stroke = drum("snare", rng)
        audio[round(time * SAMPLE_RATE) :][: len(stroke)] += stroke
    whole = cut._detected(audio.astype(np.float32))
    monkeypatch.setattr(cut, "STRETCH_S", 4)
    parts = cut._detected(audio.astype(np.float32))
    assert len(whole) == len(times)
    np.testing.assert_allclose(parts, whole, atol=1e-6)
