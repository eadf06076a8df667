"""Damaged files through the whole program: named in one sentence, exit code 3, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.charts import AudioRef, Timing, build_chart, read_chart, write_chart
from beatsight.cli.main import run
from beatsight.events import Component, Event, write_records
from beatsight.sources import Collection

RATE = 44_100
GOOD = "ma chanson é.wav"


def code_of(*words: str) -> int:
    """The exit code of a command run in this process."""
    with pytest.raises(SystemExit) as caught:
        run(list(words))
    return int(caught.value.code or 0)


def _noise(seconds: float) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal(int(seconds * RATE))


def _write_damaged() -> None:
    Path("empty.wav").write_bytes(b"")
    Path("text.wav").write_text("not sound", encoding="utf-8")
    soundfile.write("cut.flac", _noise(3.0), RATE)
    whole = Path("cut.flac").read_bytes()
    Path("cut.flac").write_bytes(whole[: len(whole) // 2])
    samples = _noise(1.0)
    samples[1234] = np.nan
    soundfile.write("nan.wav", samples, RATE, subtype="FLOAT")
    soundfile.write("none.wav", np.zeros(0), RATE)


DAMAGED = {
    "empty.wav": "is an empty file, not audio",
    "text.wav": "cannot be decoded as audio",
    "cut.flac": "",  # libsndfile's own words differ with its version
    "nan.wav": "sample 1234 (0.028 s) is not a finite number",
    "none.wav": "holds no audio samples",
    "absent.wav": "no such audio file",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good song, damaged ones, and a chart of an older run."""
    monkeypatch.chdir(tmp_path)
    for name in ("BEATSIGHT_TRAINING_DATA", "BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    _write_damaged()
    song = 0.001 * _noise(2.0)
    for first in (0.5, 1.0, 1.5):
        at = int(first * RATE)
        song[at : at + 4000] += 0.5 * _noise(1.0)[:4000] * np.exp(-np.arange(4000) / 900)
    soundfile.write(GOOD, song, RATE)
    Path("old.bsm").write_text("the older result", encoding="utf-8")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder and its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


def refused(capsys: pytest.CaptureFixture[str], name: str, why: str, *words: str) -> None:
    """The command fails with one sentence that names the file, and leaves every file as it was."""
    before = tree(Path.cwd())
    assert code_of(*words) == 3
    out, err = capsys.readouterr()
    assert out in ("", "Added 0 hits to training_data.\n")
    assert err.startswith("beatsight: ") and err.count("\n") == 1 and "Traceback" not in err
    assert name in err and why in err
    assert tree(Path.cwd()) == before


@pytest.mark.parametrize(("name", "why"), DAMAGED.items())
def test_transcribe(capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    refused(capsys, name, why, "transcribe", name, "--no-ml", "-o", "old.bsm")


@pytest.mark.parametrize(("name", "why"), DAMAGED.items())
def test_collect_add(capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    refused(capsys, name, why, "collect", "add", name, "0.5", "kick")


@pytest.mark.parametrize(("name", "why"), DAMAGED.items())
def test_collect_beatmap(capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    _chart("map.bsm")
    refused(capsys, name, why, "collect", "beatmap", "map.bsm", name)


@pytest.mark.parametrize(("name", "why"), DAMAGED.items())
def test_dataset_build(capsys: pytest.CaptureFixture[str], name: str, why: str) -> None:
    _events(name)
    refused(capsys, name, why, "dataset", "build", "events.jsonl", "-o", "dataset")


def _chart(name: str) -> None:
    reference = AudioRef(filename=GOOD, hash="sha256:" + "0" * 64, duration=2000, sample_rate=RATE)
    chart = build_chart(
        [(0.5, "kick", 0.8)], title="t", artist="a", audio=reference, timing=Timing(bpm=120.0), difficulty=1.0
    )
    write_chart(chart, Path(name))


def _events(audio: str, label: str = "kick") -> None:
    event = Event(
        sample_id="e1", session_id="s", onset_time=0.5, components=[Component(label=label)], audio_path=audio
    )
    write_records("events.jsonl", [event])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "damaged.bsm: "),
        (b"not json", "damaged.bsm: "),
        (b"[]", "damaged.bsm: "),
        (b'{"version": "1.0.0"}', "damaged.bsm: "),
        ("no hitObjects", "hitObjects"),
        ("unknown label", "did you mean 'kick'?"),
        ("negative time", "hitObjects[0]"),
    ],
)
def test_a_damaged_beatmap(capsys: pytest.CaptureFixture[str], content: bytes | str, why: str) -> None:
    _chart("damaged.bsm")
    raw = json.loads(Path("damaged.bsm").read_bytes())
    if content == "no hitObjects":
        del raw["hitObjects"]
    elif content == "unknown label":
        raw["hitObjects"][0]["component"] = "kcik"
    elif content == "negative time":
        raw["hitObjects"][0]["time"] = -1
    Path("damaged.bsm").write_bytes(content if isinstance(content, bytes) else json.dumps(raw).encode())
    refused(capsys, "damaged.bsm", why, "collect", "beatmap", "damaged.bsm", GOOD)


def test_an_unknown_label_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "snrae", "did you mean 'snare'?", "collect", "add", GOOD, "0.5", "snrae")
    _events(GOOD, "snrae")
    refused(capsys, "e1", "did you mean 'snare'?", "dataset", "build", "events.jsonl", "-o", "dataset")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "events.jsonl:1"),
        ('{"sample_id": "a", "session_id": "s", "onset_time": 1}', "events.jsonl:1: components"),
        ('{"sample_id": "a", "session_id": "s", "onset_time": NaN, "components": []}', "events.jsonl:1"),
    ],
)
def test_damaged_events_name_the_line(capsys: pytest.CaptureFixture[str], line: str, why: str) -> None:
    Path("events.jsonl").write_text(line + "\n", encoding="utf-8")
    refused(capsys, "events.jsonl", why, "dataset", "build", "events.jsonl", "-o", "dataset")


def test_a_moment_after_the_end_of_the_audio(capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write("short.wav", _noise(0.2), RATE)
    _events("short.wav")
    why = "short.wav: an event lies at 0.500 s, after the end of the audio (0.200 s)"
    refused(capsys, "short.wav", why, "dataset", "build", "events.jsonl", "-o", "dataset")


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"PK\x03\x04 cut short"])
def test_missing_and_damaged_models(capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    pytest.importorskip("torch")
    if content is not None:
        Path("m.pth").write_bytes(content)
    why = "m.pth: no such model file" if content is None else "m.pth: is"
    refused(capsys, "m.pth", why, "transcribe", GOOD, "--ml-model", "m.pth", "-o", "old.bsm")


def test_train_on_what_is_no_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    refused(capsys, "nowhere", "", "train", "--dataset", "nowhere", "--epochs", "1")
    Path("half").mkdir()
    Path("half/metadata.json").write_text("{}", encoding="utf-8")
    refused(capsys, "half", "metadata.json", "train", "--dataset", "half", "--epochs", "1")


def test_train_on_a_dataset_whose_audio_is_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    _events(GOOD)
    assert code_of("dataset", "build", "events.jsonl", "-o", "dataset") == 0
    capsys.readouterr()
    (shard,) = Path("dataset").glob("audio-*")
    shard.write_bytes(shard.read_bytes()[:1000])
    refused(
        capsys,
        "dataset",
        "an audio shard is shorter",
        "train",
        "--dataset",
        "dataset",
        "--epochs",
        "1",
        "--device",
        "cpu",
    )


def test_names_with_spaces_and_accents_work(capsys: pytest.CaptureFixture[str]) -> None:
    target = Path("où ça") / "la chanson ñ.bsm"
    assert code_of("transcribe", GOOD, "--no-ml", "-o", str(target)) == 0
    out, err = capsys.readouterr()
    assert GOOD in out and str(target) in out and err == ""
    assert len(read_chart(target).hit_objects) > 0
    assert code_of("collect", "beatmap", str(target), GOOD, "--root", "mes données") == 0
    assert len(Collection("mes données").events()) > 0
    assert code_of("dataset", "build", "mes données/events.jsonl", "-o", "jeu de données") == 0
    assert Path("jeu de données/metadata.json").is_file()


def test_one_bad_song_does_not_keep_the_others_out(capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write("other.flac", _noise(1.0), RATE)
    assert code_of("transcribe", GOOD, "text.wav", "other.flac", "--no-ml", "-o", "charts") == 3
    out, err = capsys.readouterr()
    assert sorted(path.name for path in Path("charts").iterdir()) == ["ma chanson é.bsm", "other.bsm"]
    assert GOOD in out and "other.flac" in out and "text.wav" not in out
    assert err.startswith("beatsight: text.wav: cannot be decoded as audio") and err.count("\n") == 1


def test_several_bad_songs_are_all_listed(capsys: pytest.CaptureFixture[str]) -> None:
    songs = ["empty.wav", GOOD, "text.wav"]
    assert code_of("transcribe", *songs, "--no-ml", "-o", "charts", "--format", "csv", "--json") == 3
    out, err = capsys.readouterr()
    assert [answer["song"] for answer in json.loads(out)] == [GOOD]
    assert [path.name for path in Path("charts").iterdir()] == ["ma chanson é.csv"]
    first, *faults = err.splitlines()
    assert first == "beatsight: 2 of 3 songs failed:"
    assert [fault.split(":")[0].strip() for fault in faults] == ["empty.wav", "text.wav"]


def test_a_chart_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    refused(
        capsys, "old.bsm/x.bsm", "cannot be written", "transcribe", GOOD, "--no-ml", "-o", "old.bsm/x.bsm"
    )
