"""Gate ``latency``: exact figures by a clock that tests set, one small real run, and every sentence."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from beatsight.audio.io import probe, save
from beatsight.cli.main import run
from beatsight.errors import BeatSightError, InputError, UsageError
from beatsight.gates.latency import (
    LatencyReport,
    LatencySettings,
    Machine,
    Measured,
    SongTiming,
    latency_gate,
)
from beatsight.gates.result import read_report, write_report
from beatsight.report.gates import write_gate_page
from beatsight.synth.song import make_song
from beatsight.transcription import latency as measuring
from beatsight.transcription.latency import measure_latency, transcribe_afresh

MACHINE = Machine(processor="abacus <b>", cores=2, system="Linux x86_64", python="3.11.0")


@pytest.fixture(autouse=True)
def no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a model, and an environment that names none."""
    for name in ("BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "my song.ogg"
    save(path, make_song(duration_s=12.0, seed=3, style="rock", meter="4/4", tempo_bpm=110.0).audio)
    return path


def timing(path: str, duration_s: float, *runs_s: float, hits: int = 9, silent: bool = False) -> SongTiming:
    return SongTiming(path=path, duration_s=duration_s, runs_s=list(runs_s), hits=hits, silent=silent)


def measured(
    *songs: SongTiming, first: tuple[float, ...] = (4.0, 2.0, 3.0), is_model: bool = True
) -> Measured:
    return Measured(
        machine=MACHINE, recogniser="net", is_model=is_model, load_s=1.5, excerpt_s=10.0,
        first_results_s=[4.0, 2.0, 3.0], songs=list(songs),
    )  # fmt: skip


def judge(content: Measured, **settings: float) -> LatencyReport:
    chosen = LatencySettings(audio=[Path("a.wav")], **settings)  # type: ignore[arg-type]
    return latency_gate(chosen, lambda given, progress: content)


def test_the_medians_of_all_songs_together_decide() -> None:
    # 2 s + 10 s of work for 60 s of sound; neither the mean of the factors (.15) nor the slowest run counts.
    report = judge(measured(timing("a", 20.0, 9.0, 1.0, 2.0), timing("b", 40.0, 10.0, 10.0, 11.0)))
    assert (report.rtf, report.processing_s, report.audio_s) == (0.2, 12.0, 60.0)
    assert report.passed and report.gating_results[0].margin == 0.0
    assert "slowest of 2: b (0.250)" in report.gating_results[0].detail
    assert report.first_result_s == 3.0
    slower = judge(measured(timing("a", 20.0, 9.0, 1.0, 2.1), timing("b", 40.0, 10.0, 10.0, 11.0)))
    assert slower.passed is False


def test_the_first_result_is_judged_where_a_limit_is_given() -> None:
    content = measured(timing("a", 10.0, 1.0))
    assert [result.gate for result in judge(content).gating_results] == ["rtf"]
    assert judge(content, max_first_result_s=3.0).passed is True
    late = judge(content, max_first_result_s=2.9)
    assert late.passed is False
    assert [(one.gate, one.value, one.unit) for one in late.gating_results if not one.passed] == [
        ("first_result", 3.0, "s")
    ]


def test_silence_is_not_a_measurement() -> None:
    quiet = timing("quiet.wav", 100.0, 0.1, hits=0, silent=True)
    both = judge(measured(timing("a", 10.0, 3.0), quiet))
    # Were the silent song counted, .3 would have become .028.
    assert both.rtf == 0.3 and both.passed is False
    assert any("silent: 1 song ('quiet.wav')" in note for note in both.notes)
    alone = judge(measured(quiet))
    assert alone.rtf is None and alone.passed is False
    assert alone.gating_results[0].detail == "every song is silent, so no speed could be measured"


def test_what_the_reader_must_know() -> None:
    report = judge(measured(timing("a", 10.0, 1.0, hits=0), is_model=False))
    assert "not reproducible" in report.notes[0]
    assert "No model was given or found" in report.notes[1]
    assert "No hit was found in 1 song ('a')" in report.notes[2]
    assert len(judge(measured(timing("a", 10.0, 1.0))).notes) == 1


def test_the_report_is_read_back_and_drawn(tmp_path: Path) -> None:
    songs = [timing(f"song <{index}>.wav", 10.0, 1.0 + index, 2.0) for index in range(3)]
    report = judge(measured(*songs, timing("quiet.wav", 5.0, 0.1, 0.1, hits=0, silent=True)))
    write_report(report, tmp_path / "r.json")
    assert read_report(tmp_path / "r.json", LatencyReport) == report
    write_gate_page(report, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "abacus &lt;b&gt;" in page and "song &lt;2&gt;.wav" in page
    assert "<b>" not in page and "nan" not in page.lower().split("<body")[1].split("<script")[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"audio": []}, "audio: at least one song is needed"),
        ({"repeats": 0}, "repeats: must be at least 1, not 0"),
        ({"max_rtf": 0.0}, "max_rtf: must be a positive number, not 0"),
        ({"max_rtf": math.nan}, "max_rtf: must be a positive number, not nan"),
        ({"max_first_result_s": -1.0}, "max_first_result_s: must be a positive number, not -1"),
    ],
)
def test_senseless_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        LatencySettings(**{"audio": [Path("a.wav")], **settings})  # type: ignore[arg-type]
    assert str(error.value) == message


def ticking() -> Iterator[float]:
    """A clock whose every call is one tick of growing length: intervals are 1, 2, 3 …"""
    total = 0.0
    for step in itertools.count():
        # Called in pairs: each second call ends an interval, one longer than the one before.
        total += (step + 1) / 2 if step % 2 else 0.0
        yield total


def test_what_is_timed_and_in_which_order(song: Path) -> None:
    excerpts: list[tuple[str, float]] = []
    clock = ticking()

    def cold(path: Path, settings: LatencySettings) -> None:
        excerpts.append((path.name, probe(path).duration_s))

    steps: list[tuple[int, int]] = []
    found = measure_latency(
        LatencySettings(audio=[song], repeats=2),
        lambda done, total: steps.append((done, total)),
        clock=lambda: next(clock),
        cold=cold,
    )
    # Loading is interval 1, the cold runs are 2 and 3, the warm ones 4 and 5; the run between is not timed.
    assert (found.load_s, found.first_results_s) == (1.0, [2.0, 3.0])
    assert found.songs[0].runs_s == [4.0, 5.0]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert excerpts == [("excerpt.wav", 10.0)] * 2 and found.excerpt_s == 10.0
    assert found.songs[0].duration_s == pytest.approx(12.0, abs=0.01)
    assert not found.songs[0].silent
    assert found.recogniser.startswith("beatsight transcriber ") and found.is_model
    assert (found.machine.device, found.machine.torch) == ("cpu", "")
    assert found.machine.cores >= 1 and found.machine.processor


def test_songs_that_cannot_be_timed(tmp_path: Path) -> None:
    save(tmp_path / "short.wav", np.full(40_000, 0.1, np.float32))
    with pytest.raises(InputError, match=r"short\.wav: is 0\.91 s long; at least 1 s are needed to time it"):
        measure_latency(LatencySettings(audio=[tmp_path / "short.wav"]))
    with pytest.raises(InputError, match=r"gone\.wav: no such audio file"):
        measure_latency(LatencySettings(audio=[tmp_path / "gone.wav"]))
    save(tmp_path / "still.wav", np.zeros(100_000, np.float32))
    settings = LatencySettings(audio=[tmp_path / "still.wav"], repeats=1)
    found = measure_latency(settings, cold=lambda path, settings: None)
    assert found.songs[0].silent and found.excerpt_s == pytest.approx(100_000 / 44_100)


def test_a_cold_run_that_fails_is_said(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring.sys, "executable", "/bin/false")
    with pytest.raises(BeatSightError, match=r"my song\.ogg: its first seconds .* new process: exit code 1"):
        transcribe_afresh(Path("excerpt.wav"), LatencySettings(audio=[song]))


def cli(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        run(["gate", "latency", *words])
    return int(stop.value.code or 0)


def test_a_real_run_passes_and_fails(song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "reports" / "latency.json"
    words = ["--audio", str(song), "--repeats", "1", "--strict"]
    # Slower than the sound itself would be a fault of ours, on any machine.
    assert cli(*words, "--max-rtf", "1", "--report", str(report)) == 0
    found = read_report(report, LatencyReport)
    assert found.rtf is not None and 0 < found.rtf < 1
    # A new process takes longer than the same work in this one.
    assert found.first_result_s > found.measured.songs[0].runs_s[0]
    assert "beatsight transcriber" in report.with_suffix(".html").read_text()
    capsys.readouterr()
    assert cli(*words, "--max-rtf", "0.000001", "--json") == 1
    assert json.loads(capsys.readouterr().out)["passed"] is False


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--audio", "gone.wav"], 3, "gone.wav: no such audio file"),
        (["--audio", "gone.wav", "--repeats", "0"], 2, "repeats: must be at least 1"),
        (["--audio", "{song}", "--model", "gone.pth"], 3, "gone.pth"),
    ],
)
def test_the_sentence_and_the_exit_code(
    song: Path, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    assert cli(*[word.format(song=song) for word in words]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
