"""Every command line in docs/commands.md runs as it stands, in its order, in a copy of examples/."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from beatsight.charts import read_chart
from beatsight.cli.main import COMMANDS, run
from beatsight.sources import Collection

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\$ beatsight (.+)$", PAGE, re.MULTILINE)
OUTPUT_OPTIONS = (
    "-o", "--output", "--metrics-json", "--write", "--report", "--junit", "--summary", "--json-output",
    "--page",
)  # fmt: skip


def outputs(words: list[str]) -> list[Path]:
    """The files and folders that a command line names as its outputs."""
    return [Path(words[i + 1]) for i, word in enumerate(words) if word in OUTPUT_OPTIONS]


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of examples/ as the current folder, and an environment that says nothing."""
    for name in ("BEATSIGHT_TRAINING_DATA", "BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path / "examples")
    return tmp_path / "examples"


def succeed(words: list[str]) -> None:
    """Run one command; it must exit with 0."""
    try:
        run(words)
    except SystemExit as stop:
        assert stop.code in (0, None), f"beatsight {shlex.join(words)} exited with {stop.code}"


def test_every_command_is_on_the_page() -> None:
    assert len(LINES) >= 15
    for name in COMMANDS:
        assert re.search(rf"\bbeatsight {name}\b", PAGE), f"{name} is not in docs/commands.md"
    # The demo takes minutes; its own test runs it small.
    assert {line.split()[0] for line in LINES} == set(COMMANDS) - {"demo"}


def test_every_line_runs(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    for line in LINES:
        words = shlex.split(line)
        succeed(words)
        out, _ = capsys.readouterr()
        assert out.strip(), f"beatsight {line} answered nothing"
        if "--json" in words:
            json.loads(out)
        for path in outputs(words):
            assert path.is_file() or any(path.iterdir()), f"beatsight {line} did not write {path}"
    assert len(Collection("training_data").events()) > 50
    for name in ("groove", "waltz"):
        charts = [read_chart(examples / "charts" / f"{name}{suffix}") for suffix in (".bsm", ".mid", ".csv")]
        assert len({len(chart.hit_objects) for chart in charts}) == 1


def test_every_file_of_the_examples_is_used_or_explained() -> None:
    text = PAGE + (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for path in (*(ROOT / "examples").iterdir(), *(ROOT / "examples" / "gates").iterdir()):
        if path.name not in ("README.md", "__pycache__"):
            assert path.name in text or f"{path.stem}." in text, f"examples/{path.name} is not mentioned"
