"""The workflow for the users' repositories: it parses, asks for no rights, and its command lines run."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from beatsight.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "dataset-readiness.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    yaml = pytest.importorskip("yaml")
    content: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that holds examples/ and is the current folder, in an environment as GitHub's."""
    for name in ("BEATSIGHT_ML_MODEL_PATH", "BEATSIGHT_USE_ML_CLASSIFIER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def lines(workflow: dict[Any, Any]) -> list[list[str]]:
    """The words of every beatsight line."""
    commands = [line for step in steps(workflow) for line in step.get("run", "").splitlines()]
    return [shlex.split(line)[1:] for line in commands if line.startswith("beatsight ")]


def test_it_can_do_no_harm(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job and job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    triggers = workflow[True]  # YAML reads the key `on` as a boolean
    assert set(triggers) == {"push", "pull_request", "workflow_dispatch"}
    assert triggers["push"]["paths"] == triggers["pull_request"]["paths"]
    # Nothing that a pull request may name (its title, its branch) is put into a shell line.
    assert not any("${{" in step.get("run", "") for step in steps(workflow))


def test_reports_are_published_whatever_the_verdict(workflow: dict[Any, Any]) -> None:
    [upload] = [step for step in steps(workflow) if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "${{ !cancelled() }}"
    assert upload["with"]["if-no-files-found"] == "error"
    folder = Path(upload["with"]["path"])
    outputs = ("--report", "--junit", "--json-output", "--html-output")
    written = [Path(a[n + 1]) for a in lines(workflow) for n, word in enumerate(a) if word in outputs]
    assert len(written) >= 3 and all(folder in path.parents for path in written)


def test_its_lines_run(workflow: dict[Any, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = lines(workflow)
    assert [words[:2] for words in commands] == [["gate", "all"], ["gate", "regression"]]
    for words in commands:
        try:
            run(words)
        except SystemExit as stop:
            assert stop.code in (0, None), f"{shlex.join(words)}: {capsys.readouterr()}"
    published = {path.name for path in (folder / "examples" / "gates" / "reports").iterdir()}
    assert published >= {
        "readiness.json", "readiness.html", "junit.xml", "health.json", "health.html", "health-diff.json",
        "health-diff.html",
    }  # fmt: skip
    reports = folder / "examples" / "gates" / "reports"
    report = json.loads((reports / "readiness.json").read_bytes())
    assert report["passed"] is True and report["not_configured"] == []
    assert json.loads((reports / "health-diff.json").read_bytes())["passed"] is True
    assert ET.parse("examples/gates/reports/junit.xml").getroot().get("failures") == "0"
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("## ✅ Ready")


def test_a_loss_of_data_fails_the_job(workflow: dict[Any, Any], folder: Path) -> None:
    events = folder / "examples" / "gates" / "health_events.jsonl"
    rows = events.read_text(encoding="utf-8").splitlines(keepends=True)
    events.write_text("".join(row for row in rows if '"kick"' not in row), encoding="utf-8")
    for words in lines(workflow):
        with pytest.raises(SystemExit) as stop:
            run(words)
        assert stop.value.code == 1, shlex.join(words)
    assert (folder / "summary.md").read_text(encoding="utf-8").startswith("## ❌ Not ready")
