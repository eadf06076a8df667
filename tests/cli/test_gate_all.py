"""``beatsight gate all`` and ``gate page`` as they are called: exit codes, files, and what is said where."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from beatsight.cli.console import prose_console
from beatsight.cli.main import run
from beatsight.gates.readiness import ReadinessReport
from beatsight.gates.result import read_report

BOUNDARY = ["--boundary-ground-truth", "labels.jsonl", "--boundary-predictions", "predictions.jsonl"]
OPENSET = ["--openset-ground-truth", "known.jsonl", "--openset-predictions", "known-predictions.jsonl"]


def write(path: str, rows: Sequence[dict[str, Any]]) -> None:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inputs that pass: a boundary pack and an open-set test, each found without a fault."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    edges = ("leading", "trailing")
    write(
        "labels.jsonl",
        [
            {"sample_id": f"b{index}", "labels": ["kick"], "edge": edges[index % 2], "window_index": 1,
             "window_size": 2048, "hop_size": 512}
            for index in range(4)
        ],
    )  # fmt: skip
    write("predictions.jsonl", [{"sample_id": f"b{index}", "scores": {"kick": 0.9}} for index in range(4)])
    write("known.jsonl", [{"sample_id": f"o{index}", "is_known": index < 5} for index in range(10)])
    write(
        "known-predictions.jsonl",
        [{"sample_id": f"o{index}", "scores": {"kick": 0.9 if index < 5 else 0.1}} for index in range(10)],
    )
    return tmp_path


def gate(*words: str) -> int:
    """The exit code of one command line."""
    try:
        run(["gate", *words])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def miss_one() -> None:
    """One hit in four is not found: macro recall .75."""
    write("predictions.jsonl", [{"sample_id": f"b{index}", "scores": {"kick": 0.9}} for index in range(3)])


def test_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("all", *BOUNDARY, *OPENSET, "--strict") == 0
    out, err = capsys.readouterr()
    assert "Ready: " in out and "6 of 8 kinds not configured" in out and err == ""
    # What a gate had to remark is repeated here: ten samples are few.
    assert "Note: openset: " in out
    for name in ("alignment", "health", "bootstrap", "calibration", "regression", "latency"):
        assert f"{name} " in out and "not configured" in out


@pytest.mark.parametrize(
    ("terminal", "columns", "widest"), [(True, 80, 80), (True, 400, 140), (False, 80, 110)]
)
def test_answers_are_as_wide_as_the_terminal(
    terminal: bool,
    columns: int,
    widest: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert prose_console().width == widest
    miss_one()
    assert gate("all", *BOUNDARY) == 1
    assert gate(*("boundary", "--ground-truth", "labels.jsonl", "--predictions", "predictions.jsonl")) == 0
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= widest
    assert terminal or not [line for line in lines if line.endswith(" ")]


def test_a_failure_is_exit_code_1_with_and_without_strict(capsys: pytest.CaptureFixture[str]) -> None:
    miss_one()
    for strict in ([], ["--strict"]):
        assert gate("all", *BOUNDARY, *OPENSET, *strict) == 1
        out, err = capsys.readouterr()
        assert "0.75, must be at least 0.95" in out and "Not ready: 1 of " in out and err == ""


def test_bad_input_is_exit_code_3_and_the_rest_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("predictions.jsonl").write_text('{"sample_id": "b0", "scores": {"kick": "high"}}\n')
    assert gate("all", *BOUNDARY, *OPENSET, "--report", "all.json") == 3
    out, err = capsys.readouterr()
    assert "openset" in out and "1 could not be checked" in out
    assert (
        err.startswith("beatsight: boundary: predictions.jsonl") and "scores" in err and err.count("\n") == 1
    )
    report = read_report("all.json", ReadinessReport)
    assert [(part.name, part.status) for part in report.parts] == [
        ("boundary", "error"),
        ("openset", "passed"),
    ]
    assert report.passed is False


def test_bad_input_weighs_more_than_a_failure() -> None:
    miss_one()
    Path("known.jsonl").write_text("")
    assert gate("all", *BOUNDARY, *OPENSET) == 3


def test_halting_leaves_the_rest_unrun(capsys: pytest.CaptureFixture[str]) -> None:
    miss_one()
    words = [*BOUNDARY, *OPENSET, "--openset-report", "openset.json", "--boundary-report", "boundary.json"]
    assert gate("all", *words, "--halt-on-first-failure") == 1
    assert "1 not run" in capsys.readouterr().out
    assert Path("boundary.json").is_file() and not Path("openset.json").exists()
    assert gate("all", *words) == 1 and Path("openset.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "no gate is configured, so nothing can be ready; known gates: alignment, health,"),
        (["--boundary-report", "b.json"], 2, "boundary: ground_truth: is missing"),
        (["--config", "gone.toml"], 3, "gone.toml: cannot be read: No such file or directory"),
        ([*BOUNDARY, "--report", "labels.jsonl"], 2, "labels.jsonl: is read by boundary (ground_truth)"),
        ([*BOUNDARY, "--summary", "labels.jsonl"], 2, "labels.jsonl: is read by boundary (ground_truth)"),
        ([*BOUNDARY, "--report", "a.json", "--junit", "a.json"], 2, "a.json: two reports would be written"),
        (["--alignment-manifest", "a.json", "--alignment-report", "b", "--alignment-report", "c"], 2,
         "2 --alignment-report for 1 --alignment-manifest; give one for each"),
        ([*BOUNDARY, "--bootstrap-iterations", "0"], 2, "bootstrap: ground_truth: is missing"),
        (["--alignment-report", "b.json"], 2, "1 --alignment-report for 0 --alignment-manifest"),
    ],
)  # fmt: skip
def test_calls_without_sense(
    words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("labels.jsonl").read_bytes()
    assert gate("all", *words) == code
    out, err = capsys.readouterr()
    assert err.startswith(f"beatsight: {message}") and err.count("\n") == 1 and out == ""
    assert Path("labels.jsonl").read_bytes() == before


def test_a_gate_without_a_threshold_is_not_a_pass(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"sample_id": "e", "session_id": "s", "onset_time": 1.0, "components": [{"label": "kick"}]}
    write("events.jsonl", [event | {"techniques": ["flam"]}])
    Path("one.txt").write_text("flam\n")
    assert gate("all", "--health-events", "events.jsonl") == 1
    assert "Not ready: 1 judged nothing" in capsys.readouterr().out
    words = ["--health-events", "events.jsonl", "--health-require-techniques-file", "one.txt"]
    assert gate("all", *words) == 0


def test_every_file_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    miss_one()
    Path("conf").mkdir()
    Path("conf/readiness.toml").write_text(
        '[boundary]\nground_truth = "../labels.jsonl"\npredictions = "../predictions.jsonl"\n'
        'report = "../out/boundary.json"\nmin_macro_recall = 0.75\n'
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    words = ["--config", "conf/readiness.toml", "--report", "out/all.json", "--junit", "out/junit.xml"]
    assert gate("all", *words) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "all.html", "all.json", "boundary.html", "boundary.json", "junit.xml",
    ]  # fmt: skip
    suites = ET.parse("out/junit.xml").getroot()
    assert suites.get("failures") == "0" and suites[0].get("name") == "boundary"
    assert Path("step.md").read_text().startswith("## ✅ Ready")
    # A flag wins over the file; a summary of one's own leaves GitHub's alone.
    assert gate("all", *words, *OPENSET, "--summary", "own.md", "--boundary-predictions", "known.jsonl") == 3
    assert Path("own.md").read_text().startswith("## ❌ Not ready")
    assert Path("step.md").read_text().count("## ") == 1


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("all", *OPENSET, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["report"], answer["passed"]) == ("readiness", True)
    assert [part["name"] for part in answer["parts"]] == ["openset"]
    assert answer["parts"][0]["report"]["auroc"] == 1.0
    assert {result["gate"].partition("/")[0] for result in answer["gating_results"]} == {"openset"}


def test_names_from_files_do_not_reach_the_terminal_or_the_page_raw(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "o0\x1b[31m<script>alert(1)</script>[bold]|"
    write("known.jsonl", [{"sample_id": name, "is_known": True}, {"sample_id": "o1", "is_known": False}])
    assert gate("all", *OPENSET, "--report", "all.json", "--summary", "s.md", "--junit", "j.xml") == 3
    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    assert "<script>alert" not in Path("all.html").read_text()
    assert "<script>" not in Path("s.md").read_text()
    ET.parse("j.xml")


def test_a_page_is_drawn_again_from_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("all", *BOUNDARY, *OPENSET, "--openset-report", "openset.json", "--report", "all.json") == 0
    for name in ("all", "openset"):
        assert gate("page", f"{name}.json", "-o", f"again/{name}.html") == 0
        assert Path(f"again/{name}.html").read_bytes() == Path(f"{name}.html").read_bytes()
    assert "the page of a report of gate openset" in capsys.readouterr().out
    assert gate("page", "openset.json", "-o", "x.html", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"report": "openset", "passed": True, "page": "x.html"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "r.json: is empty"),
        ("{}", "r.json: report: is missing"),
        ('{"report": "weather"}', "r.json: report: Invalid value 'weather'"),
        ('{"report": "openset"}', "r.json: passed: is missing"),
        ("[1]", "r.json: is not a JSON object"),
    ],
)
def test_what_is_no_report_has_no_page(
    content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("r.json").write_text(content)
    assert gate("page", "r.json", "-o", "r.html") == 3
    assert capsys.readouterr().err == f"beatsight: {message}\n"
    assert not Path("r.html").exists()
    assert gate("page", "r.json", "-o", "r.json") == 2
    assert gate("page", "gone.json", "-o", "r.html") == 3


def edited(**changes: Any) -> None:
    """A report of ``gate boundary`` whose keys were changed by hand, as ``r.json``."""
    found = ["--ground-truth", "labels.jsonl", "--predictions", "predictions.jsonl", "--report", "r.json"]
    assert gate("boundary", *found) == 0
    report = json.loads(Path("r.json").read_text())
    report |= changes
    Path("r.json").write_text(json.dumps(report))


@pytest.mark.parametrize("key", ["per_class_f1", "gating_results", "predicted"])
def test_an_edited_report_that_does_not_fit_together_has_no_page(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edited(**{key: [] if key == "gating_results" else {}})
    assert gate("page", "r.json", "-o", "again.html") == 3
    told = capsys.readouterr().err
    assert told.startswith("beatsight: r.json: its parts do not fit together") and told.count("\n") == 1
    assert not Path("again.html").exists()


def test_no_page_says_passed_of_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    miss_one()
    edited(passed=True)
    assert gate("page", "r.json", "-o", "again.html") == 3
    assert capsys.readouterr().err == "beatsight: r.json: passed: is true, although a result of it failed\n"
    results = json.loads(Path("r.json").read_text())["gating_results"]
    edited(passed=True, gating_results=[result | {"passed": True} for result in results])
    assert gate("page", "r.json", "-o", "again.html") == 3
    assert "r.json: macro_recall: is said to have passed, against its value" in capsys.readouterr().err
    edited()
    assert gate("page", "r.json", "-o", "again.html") == 0


def test_no_run_is_ready_whose_part_failed(capsys: pytest.CaptureFixture[str]) -> None:
    miss_one()
    assert gate("all", *BOUNDARY, "--report", "all.json") == 1
    capsys.readouterr()
    report = json.loads(Path("all.json").read_text())
    Path("all.json").write_text(json.dumps(report | {"passed": True, "gating_results": []}))
    assert gate("page", "all.json", "-o", "again.html") == 3
    assert "passed: is true, although a part of it did not pass" in capsys.readouterr().err
    report["parts"][0]["status"] = "passed"
    Path("all.json").write_text(json.dumps(report | {"passed": True, "gating_results": []}))
    assert gate("page", "all.json", "-o", "again.html") == 3
    assert "parts: boundary is said to have passed, against its report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--report", "labels.jsonl"], "labels.jsonl: is read by this gate (ground_truth), so no report may"),
        (
            ["--report", "link.json"],
            "predictions.jsonl: is read by this gate (predictions), so no report may",
        ),
        (["--report", "truth.json"], "truth.html: is read by this gate (ground_truth), so no report may"),
        (
            ["--html-output", "labels.jsonl"],
            "labels.jsonl: is read by this gate (ground_truth), so no report",
        ),
        (["--report", "r.html"], "r.html: report and page would both be written to this file"),
        (["--report", "r", "--html-output", "r"], "r: report and page would both be written to this file"),
        (["--report", ""], ".: is a folder, not a file that can be written"),
    ],
)
def test_no_report_takes_the_place_of_what_the_gate_reads(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link.json").symlink_to("predictions.jsonl")
    Path("truth.html").write_bytes(Path("labels.jsonl").read_bytes())
    before = {path: path.read_bytes() for path in Path().iterdir()}
    truth = "truth.html" if "truth.json" in words else "labels.jsonl"
    assert gate("boundary", "--ground-truth", truth, "--predictions", "predictions.jsonl", *words) == 2
    assert f"beatsight: {message}" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_a_run_without_a_name_for_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("all", *BOUNDARY, "--report", "") == 2
    assert capsys.readouterr().err == "beatsight: .: is a folder, not a file that can be written\n"


def test_names_in_errors_do_not_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate("page", "a\x1b[2Jb", "-o", "x.html") == 3
    assert gate("all", "--openset-ground-truth", "c\x1b[2Jd", *OPENSET[2:]) == 3
    told = capsys.readouterr().err
    assert "a?[2Jb: cannot be read" in told and "c?[2Jd: cannot be read" in told and "\x1b" not in told


def test_a_name_that_is_no_text_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    name = "labels\udcff.jsonl"  # the byte 0xff
    Path(name).write_bytes(Path("labels.jsonl").read_bytes())
    assert gate("boundary", "--ground-truth", name, "--predictions", "predictions.jsonl") == 2
    assert gate("all", "--boundary-ground-truth", name, *BOUNDARY[2:]) == 2
    sentence = "beatsight: labels?.jsonl: its name is not UTF-8 text, so no report can hold it; rename it\n"
    assert capsys.readouterr().err == 2 * sentence
