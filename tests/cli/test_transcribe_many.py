"""``beatsight transcribe``: folders, workers, resuming, model choice and engines,
and live sound in a real process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.charts import read_chart
from beatsight.cli.main import run
from beatsight.models.song_model import write_song_model
from song_models import random_model
from tiny_dataset import write_song

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("BEATSIGHT_")}


@pytest.fixture(autouse=True)
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three songs, one of them damaged, as the current folder's ``album``."""
    for name in ("BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    album = tmp_path / "album"
    for number, name in enumerate(("one.wav", "two.wav", "live/one.wav")):
        write_song(album / name, [(0.25 * i, ("snare",)) for i in range(1, 8)], 2.0, seed=number)
    (album / "notes.txt").write_text("no song", encoding="utf-8")
    write_song_model(random_model(), tmp_path / "planted.safetensors")
    return album


def transcribe(*words: str) -> int:
    try:
        run(["transcribe", *words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_folder_keeps_its_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert transcribe("album", "-o", "charts", "--no-ml", "--format", "bsm", "--format", "csv", "--json") == 0
    answers = json.loads(capsys.readouterr().out)
    expected = ["live/one", "one", "two"]
    assert [answer["song"] for answer in answers] == [f"album/{name}.wav" for name in expected]
    assert [answer["charts"][0] for answer in answers] == [f"charts/{name}.bsm" for name in expected]
    assert all(read_chart(path).hit_objects for answer in answers for path in answer["charts"])


def test_workers_give_what_one_gives(capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for folder, workers in (("a", "1"), ("b", "2")):
        assert (
            transcribe(
                "album", "-o", folder, "--ml-model", "planted.safetensors", "--workers", workers, "--json"
            )
            == 0
        )
        answers.append(capsys.readouterr().out.replace(f'"{folder}/', '"'))
    assert answers[0] == answers[1]
    for path in Path("a").rglob("*.bsm"):
        one, other = read_chart(path), read_chart("b" / path.relative_to("a"))
        assert one.hit_objects == other.hit_objects and one.timing == other.timing


def test_resuming_skips_what_is_newer_and_says_so(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("album", "-o", "charts", "--no-ml", "--resume")
    assert transcribe(*words) == 0
    capsys.readouterr()
    later = time.time() + 10
    os.utime(songs / "two.wav", (later, later))
    Path("charts/live/one.bsm").unlink()
    before = Path("charts/one.bsm").stat().st_mtime_ns
    assert transcribe(*words) == 0
    heard = capsys.readouterr()
    assert heard.err == "Skipped 1 song whose charts are newer (--resume).\n"
    assert [line.split(":")[0] for line in heard.out.splitlines()] == ["album/live/one.wav", "album/two.wav"]
    assert Path("charts/one.bsm").stat().st_mtime_ns == before and Path("charts/live/one.bsm").is_file()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_bad_song_does_not_stop_the_others(
    songs: Path, workers: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (songs / "bad.wav").write_bytes(b"RIFF no song")
    (songs / "worse.flac").write_bytes(b"")
    assert transcribe("album", "-o", "charts", "--no-ml", "--workers", workers) == 3
    heard = capsys.readouterr()
    assert len(heard.out.splitlines()) == 3
    first, *faults = heard.err.splitlines()
    assert first == "beatsight: 2 of 5 songs failed:"
    assert sorted(line.strip().split(":")[0] for line in faults) == ["album/bad.wav", "album/worse.flac"]


def test_percussion_that_a_chart_has_no_class_for_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from beatsight.transcription import batch
    from beatsight.transcription.hits import Hit

    class Clapping:
        name, device, is_model = "clapping", "cpu", True

        def find_hits(self, pieces: object) -> object:
            yield [Hit(0.1 * i, "clap", 0.9) for i in range(4)] + [Hit(0.5, "cross_stick", 0.9)]

    monkeypatch.setattr(batch, "choose_transcriber", lambda choice: Clapping())
    assert transcribe("album/one.wav", "-o", "a.bsm", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["labels"], answer["left_out"]) == ({"snare": 1}, {"clap": 4})
    assert transcribe("album/one.wav", "-o", "a.bsm") == 0
    assert "left out, having no class in the vocabulary: clap 4" in capsys.readouterr().out
    assert transcribe("album/one.wav", "-o", "a.bsm", "--vocabulary", "production", "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"aux_percussion": 4, "cross_stick": 1}


@pytest.mark.parametrize("engine", ["numpy", "onnx", "torch"])
def test_engines_find_the_same(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(engine, engine))
    assert transcribe("album/one.wav", "-o", "a.csv", "--ml-model", "planted.safetensors", "--json") == 0
    expected = json.loads(capsys.readouterr().out)
    words = (
        "album/one.wav",
        "-o",
        "a.csv",
        "--ml-model",
        "planted.safetensors",
        "--engine",
        engine,
        "--json",
    )
    assert transcribe(*words) == 0
    assert json.loads(capsys.readouterr().out) == expected and expected["hits"] > 5


def test_a_transcriber_as_onnx(capsys: pytest.CaptureFixture[str]) -> None:
    runtime = pytest.importorskip("onnxruntime")

    def export(*words: str) -> int:
        try:
            run(["export", "planted.safetensors", *words])
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    assert export("-o", "planted.onnx", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"] == ["planted.onnx"] and 0 <= answer["largest_difference"] < 1e-4
    said = runtime.InferenceSession("planted.onnx").get_modelmeta().custom_metadata_map["beatsight"]
    assert json.loads(said)["format"] == "beatsight-transcriber"
    first = Path("planted.onnx").read_bytes()
    assert export("-o", "planted.onnx") == 0 and Path("planted.onnx").read_bytes() == first
    assert export("-o", "planted.pth") == 2
    assert "is a transcriber, which is written as -o FILE.onnx" in capsys.readouterr().err
    assert export("-o", "planted.onnx", "--card", "card.md") == 2


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ([], 2, "no song is named"),
        (
            ["album/one.wav", "album/live/one.wav", "-o", "c"],
            2,
            "album/one.wav and album/live/one.wav: their charts would overwrite each other",
        ),
        (["album", "-o", "a.bsm"], 2, "the songs of the folder album go into one folder: -o FOLDER"),
        (
            ["album/one.wav", "album/two.wav", "-o", "a.bsm"],
            2,
            "several songs, or --format, go into one folder",
        ),
        (["album", "-o", "album/notes.txt"], 2, "album/notes.txt: is a file, not a folder for charts"),
        (["empty", "-o", "c"], 3, "empty: holds no audio files"),
        (["album/one.wav", "--vocabulary", "five"], 2, "unknown vocabulary 'five'"),
        (["album/one.wav", "--engine", "abacus"], 2, "unknown engine 'abacus'"),
        (["-"], 2, "standard input can only be listened to: add --stream"),
        (["album/one.wav", "--rate", "8000"], 2, "--microphone, --rate and --channels are for --stream"),
        (["--stream"], 2, "--stream listens to one thing"),
        (
            ["-", "--stream", "--rate", "8000"],
            2,
            "raw samples need both --rate HZ and --format s16le or f32le",
        ),
        (
            ["-", "--stream", "--rate", "8000", "--format", "mp3"],
            2,
            "raw samples are s16le or f32le, not 'mp3'",
        ),
        (["a.wav", "--stream", "--rate", "8000", "--format", "s16le"], 2, "for sound on standard input"),
        (["-", "--stream", "-o", "a.bsm"], 2, "--stream prints lines of JSON"),
        (["-", "--stream", "--no-ml"], 2, "--stream needs a transcriber's model"),
        (["gone.wav", "--stream"], 3, "gone.wav: no such audio file"),
    ],
)
def test_what_makes_no_sense(
    words: list[str], code: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    assert transcribe(*words) == code
    assert why in capsys.readouterr().err.replace("\n", " ")


def start(*words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "beatsight", "transcribe", *words, "--ml-model", "planted.safetensors"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def hits_of(lines: bytes) -> list[tuple[float, str]]:
    return [(hit["time"], hit["label"]) for hit in map(json.loads, lines.splitlines())]


def test_live_hits_from_a_pipe_are_those_of_the_file(songs: Path) -> None:
    audio, rate = soundfile.read(songs / "one.wav", dtype="int16")
    raw, raw_said = start("-", "--stream", "--rate", str(rate), "--format", "s16le").communicate(
        audio.tobytes()
    )
    wav, wav_said = start("-", "--stream").communicate((songs / "one.wav").read_bytes())
    file, _ = start("album/one.wav", "--stream").communicate()
    assert hits_of(raw) == hits_of(wav) == hits_of(file) and len(hits_of(raw)) > 5
    assert b"standard input, s16le at 44100 Hz, 1 channel; a hit is known 133 ms after it sounds" in wav_said
    assert raw_said.splitlines()[-1].startswith(f"{len(hits_of(raw))} hits (".encode())


def test_ctrl_c_ends_a_stream_with_its_hits(songs: Path) -> None:
    program = start("-", "--stream")
    assert program.stdin is not None and program.stdout is not None and program.stderr is not None
    program.stdin.write((songs / "one.wav").read_bytes())
    program.stdin.flush()  # and it stays open: more may come
    first = program.stdout.readline()
    program.send_signal(signal.SIGINT)
    rest = program.stdout.read()
    assert program.wait(timeout=60) == 0
    said = program.stderr.read()
    program.stdin.close()
    hits = hits_of(first + rest)
    assert f"{len(hits)} hit".encode() in said.splitlines()[-1]
    assert b"Traceback" not in said and len(hits) > 5


def test_nobody_reads_any_more(songs: Path) -> None:
    program = start("-", "--stream")
    assert program.stdin is not None and program.stdout is not None and program.stderr is not None
    header_and_song = (songs / "one.wav").read_bytes()
    program.stdin.write(header_and_song)
    program.stdin.flush()
    program.stdout.readline()
    program.stdout.close()
    for _ in range(20):
        try:
            program.stdin.write(header_and_song[44:])
            program.stdin.flush()
        except BrokenPipeError:
            break
    with contextlib.suppress(BrokenPipeError):
        program.stdin.close()
    assert program.wait(timeout=60) == 0
    assert b"Traceback" not in program.stderr.read()


def test_the_examples_hold_up(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).resolve().parents[2] / "examples" / "groove.ogg", tmp_path / "groove.ogg")
    lines, _ = start("groove.ogg", "--stream", "--vocabulary", "extended").communicate()
    times = [time for time, _ in hits_of(lines)]
    assert times and np.all(np.diff(times) > -0.05)
