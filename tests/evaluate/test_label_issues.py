"""Planted wrong labels are found and rank first; without the package the command says how to install it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from beatsight.cli.main import run
from beatsight.errors import InputError
from beatsight.evaluate import find_label_issues, full_report
from planted_evaluation import LABELS, planted_evaluation

WRONG = {11: (0, 1), 42: (1, 6), 77: (6, 0), 130: (2, 1), 171: (0, 2)}  # moment: (true class, label given)


def planted(split: str = "val") -> tuple[np.ndarray, np.ndarray]:
    """Truth as given, wrong in a few moments, and scores of a model that hears what really sounds."""
    random = np.random.default_rng(4)
    classes = (0, 1, 2, 6)
    real = np.zeros((200, 12), bool)
    real[np.arange(200), random.choice(classes, 200)] = True
    for at, (true, _) in WRONG.items():
        real[at] = np.arange(12) == true
    scores = np.clip(np.where(real, 0.85, 0.08) + random.normal(0, 0.04, real.shape), 0.001, 0.999)
    given = real.copy()
    for at, (_, label) in WRONG.items():
        given[at] = np.arange(12) == label
    return given, scores


def test_planted_errors_rank_first_with_the_right_suggestion() -> None:
    pytest.importorskip("cleanlab")
    evaluation = planted_evaluation(*planted())
    issues = find_label_issues(evaluation)
    first = issues[: len(WRONG)]
    assert {issue.row // 10 for issue in first} == set(WRONG)
    for issue in first:
        true, label = WRONG[issue.row // 10]
        assert (issue.given, issue.suggested) == ([LABELS[label]], [LABELS[true]])
    assert [issue.score for issue in issues] == sorted(issue.score for issue in issues)
    flagged = [issue.row // 10 for issue in issues if issue.flagged]
    assert len(flagged) >= len(WRONG) - 2 and set(flagged) <= set(WRONG)
    assert len(issues) == 2 * len(flagged)
    report = full_report(evaluation, issues).label_issues
    assert report is not None
    assert (report.found, report.listed, report.searched) == (len(flagged), len(issues), 200)
    assert report.classes == [LABELS[column] for column in (0, 1, 2, 6)]


def test_right_labels_are_left_alone() -> None:
    pytest.importorskip("cleanlab")
    given, scores = planted()
    for at, (true, _) in WRONG.items():
        given[at] = np.arange(12) == true
    assert find_label_issues(planted_evaluation(given, scores)) == []


def test_moments_without_a_label_and_absent_classes_are_no_obstacle() -> None:
    pytest.importorskip("cleanlab")
    given, scores = planted()
    given[:30], scores[:30] = False, 0.05  # negative examples, and one that is none
    scores[11, 0] = 0.9
    issues = find_label_issues(planted_evaluation(given, scores))
    nothing = next(issue for issue in issues if issue.row == 110)
    assert (nothing.given, nothing.suggested) == ([], ["kick"])


def test_too_few_moments_are_refused() -> None:
    pytest.importorskip("cleanlab")
    given, scores = planted()
    with pytest.raises(InputError, match="no class has 5 moments with and 5 without it in the test split"):
        find_label_issues(planted_evaluation(given[:4], scores[:4]))


def test_without_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(SystemExit) as caught:
        run(["evaluate", "--dataset", str(tmp_path), "--label-issues"])
    assert caught.value.code == 4
    assert "pip install 'beatsight[cleanlab]'" in capsys.readouterr().err


def test_lines_of_the_file_are_json(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    from beatsight.evaluate.writing import _write_lines

    issues = find_label_issues(planted_evaluation(*planted()))
    _write_lines(tmp_path / "label_issues.jsonl", issues)
    rows = [json.loads(line) for line in (tmp_path / "label_issues.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == [issue.row for issue in issues]
    assert set(rows[0]) == {
        "row", "sample_id", "session_id", "audio_path", "onset_time", "given", "suggested", "score",
        "flagged",
    }  # fmt: skip
