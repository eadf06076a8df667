"""``transcribe --page`` and ``--separate``: files, answers, refusals; the separator is a planted one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from beatsight.charts import read_chart
from beatsight.cli.main import run
from beatsight.files import sha256_file

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "groove.ogg", tmp_path / "groove.ogg")
    return Path("groove.ogg")


@pytest.fixture
def demucs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")

    class Separator:
        def __init__(self, model: str, device: str, shifts: int) -> None:
            self.model, self.samplerate = SimpleNamespace(sources=["drums"]), 44_100

        def separate_tensor(self, wav: Any) -> tuple[Any, dict[str, Any]]:
            return wav, {"drums": 0.5 * wav}

    package, api = ModuleType("demucs"), ModuleType("demucs.api")
    package.__path__ = []
    package.api, api.Separator = api, Separator  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "demucs", package)
    monkeypatch.setitem(sys.modules, "demucs.api", api)


def exit_code(words: list[str]) -> object:
    try:
        run(words)
    except SystemExit as stop:
        return stop.code or 0
    return 0


def test_a_page_is_written_and_named(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["transcribe", str(song), "-o", "out.bsm", "--page", "out/heard.html", "--no-ml", "--json"]
    assert exit_code(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["charts"] == ["out.bsm", "out/heard.html"]
    text = Path("out/heard.html").read_text()
    assert f"<dd>{answer['hits']}<small>" in text and 'class="listening"' in text
    data = json.loads(text.split('application/json">')[1].split("</script>")[0])
    found = sum(len(lane["hits"]) for lane in data["lanes"])
    assert found == answer["hits"] == len(read_chart("out.bsm").hit_objects) > 10


def test_a_separated_song_keeps_its_name_and_notes_its_stem(
    song: Path, demucs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "transcribe",
        str(song),
        "-o",
        "a.bsm",
        "--no-ml",
        "--separate",
        "--keep-stem",
        "drums.flac",
        "--json",
    ]
    assert exit_code(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["recogniser"].endswith(", on the drums of htdemucs")
    chart = read_chart("a.bsm")
    assert chart.audio is not None and chart.metadata.title == "groove"
    assert (chart.audio.filename, chart.audio.hash) == ("groove.ogg", f"sha256:{sha256_file(song)}")
    assert (chart.audio.drum_stem, chart.audio.drum_stem_hash) == (
        "drums.flac", f"sha256:{sha256_file('drums.flac')}",
    )  # fmt: skip


REFUSED = [
    (["groove.ogg", "groove.ogg", "-o", "out", "--page", "p.html"], "--page is for one song"),
    (["groove.ogg", "-o", "a.bsm", "--page", "p.html", "--resume"], "--page and --resume exclude each other"),
    (["groove.ogg", "--keep-stem", "a.wav"], "--keep-stem keeps what --separate makes; add that"),
    (["groove.ogg", "--separate", "--keep-stem", "a.mp3"], "a.mp3: a stem is written as .wav or .flac"),
    (["groove.ogg", "--separate", "--workers", "2"], "--separate takes all cores by itself"),
    (["groove.ogg", "--page", "groove.ogg"], "groove.ogg: is the song itself, which --page would replace"),
    (["groove.ogg", "--page", "p.pdf"], "p.pdf: a page is written as .html or .htm"),
    (
        ["groove.ogg", "--separate", "--keep-stem", "groove.ogg"],
        "is the song itself, which --keep-stem would",
    ),
    (["groove.ogg", "-o", "groove.ogg"], "groove.ogg: unknown chart format"),
    (["groove.ogg", "-o", "groove.ogg", "--format", "csv"], "groove.ogg: unknown chart format"),
    (["groove.ogg", "--stream", "--page", "p.html"], "--stream prints lines of JSON"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED)
def test_what_does_not_go_together_is_refused(
    song: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if words[:2] == ["groove.ogg", "groove.ogg"]:
        shutil.copy("groove.ogg", "other.ogg")
        words = ["groove.ogg", "other.ogg", *words[2:]]
    assert exit_code(["transcribe", *words]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
    assert not Path("p.html").exists()
    assert Path("groove.ogg").read_bytes() == (EXAMPLES / "groove.ogg").read_bytes()


def test_a_link_to_the_song_is_not_followed(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("link.html").symlink_to(song)
    assert exit_code(["transcribe", str(song), "--page", "link.html"]) == 2
    assert "link.html: is the song itself" in capsys.readouterr().err
    assert exit_code(["transcribe", "gone.ogg", "--page", "link.html", "--no-ml"]) == 3
    assert "gone.ogg: no such audio file" in capsys.readouterr().err
    assert Path("groove.ogg").read_bytes() == (EXAMPLES / "groove.ogg").read_bytes()
