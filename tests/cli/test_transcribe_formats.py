"""``beatsight transcribe``: every chart format, by name of file and by ``--format``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from beatsight.charts import SUFFIXES, read_chart
from beatsight.cli.main import run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "groove.ogg", tmp_path / "groove.ogg")
    return tmp_path / "groove.ogg"


def code_of(*words: str) -> int:
    try:
        run(["transcribe", *words, "--no-ml"])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_every_format_is_written_into_a_folder(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [word for suffix in SUFFIXES for word in ("--format", suffix[1:])]
    assert code_of("groove.ogg", "-o", "charts", *options, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["charts"] == [str(Path("charts") / f"groove{suffix}") for suffix in SUFFIXES]
    assert set(answer["changed"]) <= {str(Path("charts/groove.chart")), str(Path("charts/groove.musicxml"))}
    lost = sum(answer["changed"].get(str(Path("charts/groove.chart")), {}).values())
    for suffix in SUFFIXES:
        path = Path("charts") / f"groove{suffix}"
        if suffix == ".musicxml":
            assert path.read_text(encoding="utf-8").count("<instrument id") > 0
        else:
            assert answer["hits"] - lost <= len(read_chart(path).hit_objects) <= answer["hits"]


def test_a_game_chart_by_name(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("groove.ogg", "-o", "My Song/notes.chart", "-o", "groove.jams") == 0
    assert "wrote My Song/notes.chart, groove.jams" in capsys.readouterr().out
    assert 'MusicStream = "groove.ogg"' in Path("My Song/notes.chart").read_text(encoding="utf-8")
    assert read_chart("groove.jams").metadata.title == "groove"


def test_an_unknown_format_is_refused_with_the_known_ones(
    song: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of("groove.ogg", "-o", "charts", "--format", "xml") == 2
    assert "known: .bsm, .mid, .midi, .csv, .jams, .chart, .musicxml" in capsys.readouterr().err
