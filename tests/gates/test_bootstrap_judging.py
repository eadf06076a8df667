"""Gate bootstrap: the blocking rule, both verdicts with their exit codes, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bootstrap_songs import LABELS, Rows, asked, lines, one, says, songs
from sklearn.metrics import f1_score

from beatsight.cli.main import run
from beatsight.errors import UsageError
from beatsight.gates.bootstrap import BootstrapReport, BootstrapSettings, Estimate, bootstrap_gate
from beatsight.gates.bootstrap.gate import UNJUDGED
from beatsight.gates.bootstrap.judging import against_report, judge
from beatsight.gates.bootstrap.records import METRICS
from beatsight.gates.result import read_report, write_report
from beatsight.report.gates import gate_page
from beatsight.report.page import render


def macro(truths: Rows, predictions: Rows) -> float:
    """scikit-learn's macro F1."""
    true = [[label in row["labels"] for label in LABELS] for row in truths]
    found = [[row["scores"][label] >= 0.5 for label in LABELS] for row in predictions]
    return float(f1_score(np.array(true), np.array(found), average="macro"))


def test_a_minimum_of_macro_f1_passes_and_fails(tmp_path: Path) -> None:
    truths, predictions = songs()
    value = macro(truths, predictions)
    for minimum, passed in (
        (value, True),
        (value + 1e-12, True),
        (value - 0.01, True),
        (value + 1e-6, False),
    ):
        report = bootstrap_gate(asked(tmp_path, truths, predictions, min_macro_f1=minimum))
        assert report.passed is passed
    nothing = bootstrap_gate(asked(tmp_path, [one("a")], [says("a")], min_macro_f1=0.0))
    assert nothing.passed is False and nothing.gating_results[0].value is None


def estimate(value: float, n: int = 100) -> Estimate:
    """An estimate as a report holds it."""
    return Estimate(
        point_estimate=value, mean=value, ci_lower=value - 0.02, ci_upper=value + 0.02, standard_error=0.01,
        method="percentile", n=n, clusters=10,
    )  # fmt: skip


def judged(new: dict[str, Estimate], old: dict[str, Estimate], **limits: float) -> dict[str, bool]:
    """Verdicts of a candidate against a report with other metrics of the same truth."""
    blank = dict.fromkeys(METRICS)
    report = BootstrapReport(
        passed=None, gating_results=[], inputs={}, **{**blank, **old}, per_class_f1={}, samples=9,
        predicted=9, clusters=9, cluster="session", iterations=9, seed=0, confidence=0.9, method="bca",
        threshold=0.5, thresholds={}, truth_digest="d", max_macro_f1_drop=0.0, max_openness_mae_rise=0.0,
    )  # fmt: skip
    settings = BootstrapSettings(ground_truth=Path("t"), predictions=Path("p"), baseline=Path("b"), **limits)
    results = judge(new, against_report(new, report, "d"), settings)
    return {result.gate: result.passed for result in results if result.gate != "clusters"}


@pytest.mark.parametrize("base", [0.78, 0.9, 0.31, 1.0, 0.55])
def test_three_points_are_allowed_and_more_is_not(base: float) -> None:
    for drop, passed in ((0.03, True), (0.029, True), (-0.2, True), (0.0300001, False), (0.031, False)):
        found = judged({"macro_f1": estimate(base - drop)}, {"macro_f1": estimate(base)})
        assert found == {"macro_f1_drop": passed}, drop
    same = {"macro_f1": estimate(base)}
    for rise, passed in ((0.02, True), (-0.1, True), (0.0200001, False)):
        found = judged(
            {**same, "openness_mae": estimate(0.1 + rise)}, {**same, "openness_mae": estimate(0.1)}
        )
        assert found == {"macro_f1_drop": True, "openness_mae_rise": passed}, rise
    assert judged({"macro_f1": estimate(base - 0.05)}, same, max_macro_f1_drop=0.05) == {
        "macro_f1_drop": True
    }


def test_what_cannot_be_compared_does_not_pass() -> None:
    both = {"macro_f1": estimate(0.8), "openness_mae": estimate(0.1)}
    alone = {"macro_f1": estimate(0.8)}
    assert judged(alone, both) == {"macro_f1_drop": True, "openness_mae_rise": False}
    assert judged(both, alone) == {"macro_f1_drop": True}
    assert judged({}, both) == {"macro_f1_drop": False, "openness_mae_rise": False}
    assert judged(both, {}) == {"macro_f1_drop": False}
    # Better on the tenth of the samples that it answers for.
    few = {**alone, "openness_mae": estimate(0.05, n=89)}
    assert judged(few, both)["openness_mae_rise"] is False
    assert judged({**alone, "openness_mae": estimate(0.05, n=90)}, both)["openness_mae_rise"] is True


def test_a_baseline_report_and_baseline_predictions_agree(tmp_path: Path) -> None:
    truths, predictions = songs(1)
    better = [
        {**p, "scores": {label: float(label in t["labels"]) for label in LABELS}}
        for t, p in zip(truths, predictions, strict=True)
    ]
    path = lines(tmp_path / "better.jsonl", better)
    paired = bootstrap_gate(asked(tmp_path, truths, predictions, baseline_predictions=path))
    write_report(bootstrap_gate(asked(tmp_path, truths, better)), tmp_path / "old.json")
    report = bootstrap_gate(asked(tmp_path, truths, predictions, baseline=tmp_path / "old.json"))
    for found in (paired, report):
        assert found.passed is False and found.baseline is not None and found.baseline.same_truth
        drop, rise, clusters = found.gating_results
        assert (clusters.gate, clusters.value, clusters.passed) == ("clusters", 6, True)
        assert drop.gate == "macro_f1_drop" and not drop.passed and drop.value is not None
        assert drop.value == pytest.approx(1 - macro(truths, predictions))
        assert rise.passed and rise.value == 0.0
    assert paired.baseline is not None and paired.baseline.differences["macro_f1"].worse_share == 1.0
    assert "worse in 100.0 % of the resamples" in paired.gating_results[0].detail
    # The interval is that of the value beside it: a drop, above 0 where macro F1 is lower.
    ends = re.search(r"interval of the drop (\S+) to (\S+);", paired.gating_results[0].detail)
    assert ends is not None and 0 < float(ends[1]) < paired.gating_results[0].value < float(ends[2])
    assert "interval of the rise" in paired.gating_results[1].detail
    alone = bootstrap_gate(asked(tmp_path, truths, predictions)).notes
    assert alone == [*report.notes, UNJUDGED]
    improved = bootstrap_gate(
        asked(tmp_path, truths, better, baseline_predictions=lines(tmp_path / "p.jsonl", predictions))
    )
    assert improved.passed is True and improved.baseline is not None
    assert improved.baseline.differences["macro_f1"].worse_share == 0.0


def test_a_model_is_not_worse_than_itself(tmp_path: Path) -> None:
    truths, predictions = songs(2)
    same = lines(tmp_path / "same.jsonl", predictions)
    report = bootstrap_gate(asked(tmp_path, truths, predictions, baseline_predictions=same, method="bca"))
    assert report.passed is True and report.baseline is not None
    for one_difference in report.baseline.differences.values():
        assert one_difference.point_estimate == one_difference.ci_lower == one_difference.ci_upper == 0.0
        assert one_difference.worse_share == 0.0
        assert one_difference.why == "every resample gives the same value"


def test_a_baseline_of_other_samples_is_named(tmp_path: Path) -> None:
    truths, predictions = songs(3)
    write_report(
        bootstrap_gate(asked(tmp_path, truths[:60], predictions, threshold=0.4)), tmp_path / "old.json"
    )
    report = bootstrap_gate(asked(tmp_path, truths, predictions, baseline=tmp_path / "old.json"))
    assert any("of other samples or labels" in note for note in report.notes)
    assert any("used the threshold 0.4, this one 0.5" in note for note in report.notes)
    lines(tmp_path / "truth.jsonl", truths[::-1])
    write_report(bootstrap_gate(asked(tmp_path, truths, predictions)), tmp_path / "old.json")
    turned = bootstrap_gate(asked(tmp_path, truths[::-1], predictions, baseline=tmp_path / "old.json"))
    assert turned.baseline is not None and turned.baseline.same_truth


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    truths, predictions = songs(4)
    first, again = (bootstrap_gate(asked(tmp_path, truths, predictions, method="bca")) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(again)
    assert render(gate_page(first)) == render(gate_page(again))
    other = bootstrap_gate(asked(tmp_path, truths, predictions, seed=1))
    assert first.macro_f1 is not None and other.macro_f1 is not None
    assert first.macro_f1.point_estimate == other.macro_f1.point_estimate
    assert first.macro_f1.ci_lower != other.macro_f1.ci_lower


def test_the_old_systems_files_are_read_as_they_are(shared: Path, tmp_path: Path) -> None:
    folder = shared / "data" / "peer-examples" / "examples"
    report = bootstrap_gate(
        BootstrapSettings(
            ground_truth=folder / "bootstrap_ground_truth_example.jsonl",
            predictions=folder / "bootstrap_predictions_example.jsonl",
        )
    )
    assert report.macro_f1 is not None and report.macro_f1.point_estimate == 1.0
    assert report.openness_mae is not None and report.openness_mae.point_estimate == pytest.approx(0.03)
    assert report.velocity_mae is not None and report.velocity_mae.point_estimate == pytest.approx(0.045)
    # (.09 + .22 + .18 + .19) / 4
    assert report.ece is not None and report.ece.point_estimate == pytest.approx(0.17)
    assert report.passed is True and report.clusters == 2 and UNJUDGED in report.notes


def command(*arguments: str | Path) -> int:
    """The exit code of ``beatsight gate bootstrap``."""
    with pytest.raises(SystemExit) as ended:
        run(["gate", "bootstrap", *map(str, arguments)])
    return int(ended.value.code or 0)


def files(folder: Path, truths: Rows, predictions: Rows) -> list[str | Path]:
    """Written, and named as the command wants them."""
    asked_for = asked(folder, truths, predictions)
    return [
        "--ground-truth", asked_for.ground_truth, "--predictions", asked_for.predictions, "--iterations", "50"
    ]  # fmt: skip


def test_exit_codes_reports_and_pages(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "with spaces"
    folder.mkdir()
    truths, predictions = songs()
    call = files(folder, truths, predictions)
    assert command(*call, "--report", folder / "old.json") == 0
    assert "the scores themselves are not judged" in capsys.readouterr().out
    assert (folder / "old.html").read_text().count("<svg") >= 3
    assert command(*call, "--strict") == 0
    assert command(*files(folder, truths[:1], predictions[:1]), "--strict") == 1  # one sample has no interval
    call = files(folder, truths, predictions)
    assert command(*call, "--strict", "--baseline", folder / "old.json") == 0
    assert "passed: all 3 gates" in capsys.readouterr().out
    assert command(*call, "--strict", "--min-macro-f1", "0.1") == 0
    assert command(*call, "--min-macro-f1", "0.99") == 0
    assert "FAILED: 1 of 2 gates" in capsys.readouterr().out
    assert command(*call, "--strict", "--min-macro-f1", "0.99") == 1
    worse = [{**row, "scores": {"kick": 0.9}} for row in predictions]
    call = files(folder, truths, worse)
    assert command(*call, "--strict", "--baseline", folder / "old.json") == 1
    previous = lines(folder / "previous.jsonl", predictions)
    capsys.readouterr()
    assert command(*call, "--strict", "--baseline-predictions", previous, "--json", "--method", "bca") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["report"] == "bootstrap" and answer["passed"] is False
    assert answer["macro_f1"].keys() >= {"point_estimate", "mean", "ci_lower", "ci_upper"}
    report = read_report(folder / "old.json", BootstrapReport)
    assert report.iterations == 50 and report.macro_f1 is not None


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["--iterations", "1"], "iterations is 1; it must lie in 2..100000"),
    (["--seed", "-1"], "seed is -1; it must not be negative"),
    (["--confidence", "95"], "confidence is 95; it must lie between 0 and 1"),
    (["--confidence", "nan"], "confidence is nan; it must lie"),
    (["--threshold", "0"], "threshold is 0; it must be above 0 and at most 1"),
    (["--min-macro-f1", "1.5"], "min_macro_f1 is 1.5; it must lie in 0..1"),
    (["--max-macro-f1-drop", "-1"], "max_macro_f1_drop is -1; it must lie in 0..1"),
    (["--max-openness-mae-rise", "2"], "max_openness_mae_rise is 2; it must lie in 0..1"),
    (["--baseline", "a", "--baseline-predictions", "b"], "two baselines; give one of them"),
    (["--method", "t"], "'t' is not one of"),
    (["--cluster", "song"], "'song' is not one of"),
])  # fmt: skip
def test_usage(arguments: list[str], sentence: str, capsys: Any) -> None:
    assert command("--ground-truth", "t.jsonl", "--predictions", "p.jsonl", *arguments) == 2
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_settings_from_python_are_checked_too() -> None:
    for wrong in ({"method": "t"}, {"cluster": "song"}):
        with pytest.raises(UsageError, match=r"it must be"):
            BootstrapSettings(ground_truth=Path("t"), predictions=Path("p"), **wrong)  # type: ignore[arg-type]


GOOD, HEARD = '{"sample_id": "a", "labels": ["kick"]}\n', '{"sample_id": "a", "scores": {"kick": 0.9}}\n'


@pytest.mark.parametrize(("truth", "predictions", "sentence"), [
    ("", HEARD, "t.jsonl: holds no rows"),
    (GOOD, "", "p.jsonl: holds no rows"),
    (None, HEARD, "t.jsonl: cannot be read: No such file or directory"),
    (GOOD, None, "p.jsonl: cannot be read: No such file or directory"),
    (GOOD * 2, HEARD, "t.jsonl:2: sample_id: 'a' is also in"),
    (GOOD, HEARD * 2, "p.jsonl: row 2: sample_id: 'a' is also in"),
    (GOOD, HEARD.replace('"a"', '"b"'), "p.jsonl: none of its sample_ids is in"),
    (GOOD, HEARD.replace("0.9", "NaN"), "p.jsonl:1: scores.kick: is nan, not a finite number"),
    (GOOD, HEARD.replace("0.9", "1.5"), "p.jsonl:1: "),
    (GOOD, HEARD.replace("0.9", '"0.9"'), "p.jsonl:1: "),
    (GOOD, '{"sample_id": "a"}\n', "p.jsonl:1: scores: is missing"),
    ('{"sample_id": "a"}\n', HEARD, "t.jsonl: sample 'a': labels: is missing"),
    ('{"labels": ["kick"]}\n', HEARD, "t.jsonl:1: sample_id: is missing"),
    ('{"sample_id": "a", "labels": "kick"}\n', HEARD, "t.jsonl:1: labels: Expected array | null, got str"),
    ('{"sample_id": "a", "labels": ["kick"], "openness": Infinity}\n', HEARD, "t.jsonl:1: openness: is inf"),
    ("[1]\n", HEARD, "t.jsonl:1: is not a JSON object"),
    ("{\n", HEARD, "t.jsonl:1: is not valid JSON"),
])  # fmt: skip
def test_bad_input_is_one_sentence(
    tmp_path: Path, truth: str | None, predictions: str | None, sentence: str, capsys: Any
) -> None:
    for name, text in (("t.jsonl", truth), ("p.jsonl", predictions)):
        if text is not None:
            (tmp_path / name).write_text(text)
    call = ("--ground-truth", tmp_path / "t.jsonl", "--predictions", tmp_path / "p.jsonl")
    assert command(*call, "--min-macro-f1", "0") == 3
    said = capsys.readouterr().err.strip()
    assert sentence in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(("option", "text", "sentence"), [
    ("--thresholds-file", "", "own.json: is empty"),
    ("--thresholds-file", '{"kick": 0}', "own.json: kick: is not a number above 0 and at most 1"),
    ("--thresholds-file", None, "own.json: cannot be read"),
    ("--baseline", "", "own.json: is empty"),
    ("--baseline", "{}", "own.json: passed: is missing"),
    ("--baseline", '{"report": "boundary"}', "own.json: "),
    ("--baseline", None, "own.json: cannot be read"),
    ("--baseline-predictions", "", "own.json: holds no rows"),
    ("--baseline-predictions", '{"sample_id": "q", "scores": {}}', "none of its sample_ids"),
])  # fmt: skip
def test_bad_further_files(tmp_path: Path, option: str, text: str | None, sentence: str, capsys: Any) -> None:
    call = files(tmp_path, [one("a", "kick")], [says("a", "kick")])
    if text is not None:
        (tmp_path / "own.json").write_text(text)
    assert command(*call, option, tmp_path / "own.json") == 3
    said = capsys.readouterr().err.strip()
    assert sentence in said and len(said.splitlines()) == 1


def test_paths_and_markup_in_names_are_only_text(tmp_path: Path) -> None:
    """Ids, sessions and labels open no file, and do nothing on the page."""
    odd = "<script>alert(1)</script>"
    truths = [
        one("../../etc/passwd", odd, session_id=odd),
        one("b", "kick", session_id="../..", stranger={"x": [1]}),
    ]
    predictions = [says("../../etc/passwd", odd, stranger=1), says("q'\"<b>", odd)]
    report = bootstrap_gate(asked(tmp_path, truths, predictions))
    assert report.per_class_f1[odd].point_estimate == 1.0
    page = render(gate_page(report))
    assert odd not in page and "&lt;script&gt;alert(1)" in page and "<b>" not in page


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    bootstrap_gate(asked(tmp_path, *songs()), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (60, 60)


@pytest.mark.parametrize("value", [-0.5, 1.5, 1e300])
def test_a_baseline_that_nobody_measured_is_refused(tmp_path: Path, value: float, capsys: Any) -> None:
    call = files(tmp_path, [one("a", "kick"), one("b", "snare")], [says("a", "kick"), says("b", "snare")])
    assert command(*call, "--report", tmp_path / "old.json") == 0
    old = json.loads((tmp_path / "old.json").read_text())
    old["macro_f1"]["point_estimate"] = value
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert command(*call, "--baseline", tmp_path / "old.json") == 3
    assert f"old.json: macro_f1.point_estimate: is {value:g}, not in 0..1" in capsys.readouterr().err
