"""Gate boundary: planted answers, scikit-learn's averages, both verdicts, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.cli.main import run
from beatsight.errors import InputError, UsageError
from beatsight.gates.boundary import (
    BoundaryReport,
    BoundarySettings,
    boundary_gate,
    boundary_scores,
)
from beatsight.gates.inputs import read_thresholds
from beatsight.gates.result import read_report
from beatsight.manifest.boundary import boundary_pack
from beatsight.report.gates import gate_page
from beatsight.report.page import render


def truth(name: str, labels: list[str], edge: str = "leading", **more: Any) -> dict[str, Any]:
    """A row of a pack."""
    row = {"sample_id": name, "labels": labels, "window_index": 3, "window_size": 2048, "hop_size": 512}
    return {**row, "edge": edge, **more}


def scored(name: str, **scores: float) -> dict[str, Any]:
    """A prediction."""
    return {"sample_id": name, "scores": scores}


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    """A JSON lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# One trailing kick and both crashes but one missed, a splash that is never true.
PACK = (
    truth("a", ["kick"]),
    truth("b", ["kick", "crash"]),
    truth("c", ["kick"], "trailing"),
    truth("d", ["crash"], "trailing"),
)
FOUND = (
    scored("a", kick=0.9, splash=0.5, snare=0.49),
    scored("b", kick=0.5, crash=0.8),
    scored("c", kick=0.499),
)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The planted pack and its predictions, in a folder with a space in its name."""
    folder = tmp_path / "boundary pack"
    folder.mkdir()
    return {
        "ground_truth": lines(folder / "truth.jsonl", *PACK),
        "predictions": lines(folder / "found.jsonl", *FOUND),
    }


def exit_code(*words: object) -> int:
    """The exit code of `beatsight gate boundary` in this process."""
    with pytest.raises(SystemExit) as caught:
        run(["gate", "boundary", *map(str, words)])
    return int(caught.value.code or 0)


def command(files: dict[str, Path]) -> list[object]:
    """The words that name the files."""
    return ["--ground-truth", files["ground_truth"], "--predictions", files["predictions"]]


def test_planted_answers(files: dict[str, Path]) -> None:
    report = boundary_gate(BoundarySettings(**files))
    assert (report.rows, report.missing, report.extra, report.threshold) == (4, 1, 0, 0.5)
    assert report.support == {"crash": 2, "kick": 3, "splash": 0}  # snare stays below the threshold
    assert report.predicted == {"crash": 1, "kick": 2, "splash": 1}
    assert report.thresholds == {"crash": 0.5, "kick": 0.5, "splash": 0.5}
    assert report.per_class_precision == {"crash": 1.0, "kick": 1.0, "splash": 0.0}
    assert report.per_class_recall == pytest.approx({"crash": 1 / 2, "kick": 2 / 3, "splash": 0.0})
    assert report.per_class_f1 == pytest.approx({"crash": 2 / 3, "kick": 4 / 5, "splash": 0.0})
    assert report.macro.recall == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert report.macro.precision == pytest.approx(2 / 3)
    assert report.true_class_recall == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert (report.micro.precision, report.micro.recall) == pytest.approx((3 / 4, 3 / 5))
    assert report.micro.f1 == pytest.approx(6 / 9)
    assert report.edge_hits == {"leading": 2, "trailing": 2}
    leading, trailing = report.by_edge["leading"], report.by_edge["trailing"]
    assert leading.per_class_recall == {"crash": 1.0, "kick": 1.0, "splash": 0.0}
    assert (leading.rows, leading.missing, leading.true_class_recall) == (2, 0, 1.0)
    assert trailing.per_class_recall == {"crash": 0.0, "kick": 0.0}
    assert (trailing.rows, trailing.missing, trailing.micro.precision) == (2, 1, 0.0)


def test_the_verdict_names_the_worst_label_and_what_was_only_predicted(files: dict[str, Path]) -> None:
    report = boundary_gate(BoundarySettings(**files))
    macro, leading, trailing = report.gating_results
    assert report.passed is False
    assert (macro.gate, macro.passed, macro.threshold, macro.rule) == (
        "macro_recall",
        False,
        0.95,
        "at_least",
    )
    assert macro.value == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert macro.detail == (
        "mean over 3 labels true or predicted; of the true ones 'crash' is found least, 1 of 2; "
        "1 label ('splash') predicted but never true count as 0, without them it is 0.583"
    )
    assert leading.passed and trailing.passed
    assert report.notes == ["1 sample ('d') without a prediction, counted as missed"]
    assert report.inputs == {role: str(path) for role, path in files.items()}


def test_a_class_that_is_only_predicted_can_fail_the_gate(tmp_path: Path) -> None:
    pack = lines(tmp_path / "t", truth("a", ["kick"]), truth("b", ["kick"], "trailing"))
    for scores, passed in ({"kick": 0.9}, True), ({"kick": 0.9, "crash": 0.6}, False):
        found = lines(tmp_path / "p", scored("a", **scores), scored("b", kick=1.0))
        report = boundary_gate(BoundarySettings(ground_truth=pack, predictions=found))
        assert report.passed is passed
        assert report.true_class_recall == 1.0


def test_limits_are_themselves_allowed(tmp_path: Path) -> None:
    # 19 of 20 for three labels: their mean is a bit below 0.95 in doubles.
    names = ("kick", "snare", "crash")
    rows = [
        (
            truth(f"{label}{i}", [label], ("leading", "trailing")[i % 2]),
            scored(f"{label}{i}", **{label: (i > 0) * 0.5}),
        )
        for label in names
        for i in range(20)
    ]
    files = {
        "ground_truth": lines(tmp_path / "t", *(row for row, _ in rows)),
        "predictions": lines(tmp_path / "p", *(row for _, row in rows)),
    }
    assert boundary_gate(BoundarySettings(**files)).passed
    assert not boundary_gate(BoundarySettings(**files, min_macro_recall=0.9501)).passed
    assert not boundary_gate(BoundarySettings(**files, threshold=0.51)).passed


def test_aliases_are_one_label(tmp_path: Path) -> None:
    files = {
        "ground_truth": lines(
            tmp_path / "t", truth("a", ["crash_1", "crash"]), truth("b", ["bd"], "trailing")
        ),
        "predictions": lines(tmp_path / "p", scored("a", Crash=0.7, crash_cymbal=0.1), scored("b", kick=1.0)),
    }
    report = boundary_gate(BoundarySettings(**files))
    assert report.support == {"crash": 1, "kick": 1}
    assert report.passed


@pytest.mark.parametrize("edge", ["leading", "trailing"])
def test_an_edge_that_the_pack_lacks_fails(tmp_path: Path, edge: str) -> None:
    other = {"leading": "trailing", "trailing": "leading"}[edge]
    files = {
        # A row without a label is no hit that could be found.
        "ground_truth": lines(tmp_path / "t", truth("a", ["kick"], other), truth("b", [], edge)),
        "predictions": lines(tmp_path / "p", scored("a", kick=1.0), scored("b", kick=0.0)),
    }
    report = boundary_gate(BoundarySettings(**files))
    assert {r.gate for r in report.gating_results if not r.passed} == {f"edge.{edge}"}
    assert report.passed is False
    assert f"no hit at a {edge} edge in the truth" in report.notes


def test_nothing_true_is_not_measured(tmp_path: Path) -> None:
    pack = lines(tmp_path / "t", truth("a", []), truth("b", [], "trailing"))
    for scores in ({"kick": 0.9}, {}):
        found = lines(tmp_path / "p", scored("a", **scores))
        report = boundary_gate(BoundarySettings(ground_truth=pack, predictions=found, min_macro_recall=0.0))
        macro = report.gating_results[0]
        assert (macro.value, macro.passed) == (None, False)
        assert macro.detail == "no row of the truth carries a label, so no recall can be measured"
        assert "<h1>" in render(gate_page(report))


def test_thresholds_from_a_file(files: dict[str, Path], tmp_path: Path) -> None:
    chosen = tmp_path / "thresholds.json"
    chosen.write_text('{"bd": 0.499, "snair": 0.3, "cowbell": 0.2, "splash": 0.6}', encoding="utf-8")
    report = boundary_gate(BoundarySettings(**files, thresholds_file=chosen, threshold=0.8))
    assert report.thresholds == {"crash": 0.8, "kick": 0.499}
    assert report.per_class_recall == {"crash": 0.5, "kick": 1.0}
    assert report.inputs["thresholds_file"] == str(chosen)
    assert report.notes[1] == "1 threshold ('snair') for labels that nothing has"


def test_notes_name_what_cannot_be_found(tmp_path: Path) -> None:
    files = {
        "ground_truth": lines(
            tmp_path / "t", truth("a", ["rimshot", "gong?"]), truth("b", ["kick"], "trailing")
        ),
        "predictions": lines(
            tmp_path / "p", scored("a", kick=0.1), scored("b", kick=0.9), scored("z", kick=0.9)
        ),
    }
    report = boundary_gate(BoundarySettings(**files))
    assert report.extra == 1
    assert report.notes == [
        "1 prediction ('z') of unknown samples, not scored",
        "2 true labels ('gong?', 'rimshot') without a score in any prediction",
        "1 label ('gong?') unknown to the taxonomy, scored under the name given",
    ]


@settings(max_examples=60)
@given(
    st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_equals_scikit_learn_over_the_union(
    rows: int, columns: int, seed: int, true: float, hit: float
) -> None:
    reference = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support
    rng = np.random.default_rng(seed)
    # Some classes are never true, some never predicted, some neither.
    wanted = rng.random((rows, columns)) < true * rng.integers(0, 2, columns)
    guess = rng.random((rows, columns)) < hit * rng.integers(0, 2, columns)
    names = [f"label {index}" for index in range(columns)]
    scores = boundary_scores(names, wanted, guess)
    # scikit-learn reads a table of one column as something else.
    wanted, guess = (np.hstack((table, np.zeros((rows, 1), dtype=bool))) for table in (wanted, guess))
    union = np.flatnonzero(wanted.any(axis=0) | guess.any(axis=0))
    assert list(scores.support) == [names[index] for index in union]
    if not union.size:
        assert scores.true_class_recall is None
        return
    each = reference(wanted, guess, labels=union, average=None, zero_division=0)
    ours = (scores.per_class_precision, scores.per_class_recall, scores.per_class_f1, scores.support)
    for values, expected in zip(ours, each, strict=True):
        np.testing.assert_allclose(list(values.values()), expected, atol=1e-9)
    for average in ("macro", "micro"):
        mean = getattr(scores, average)
        expected = reference(wanted, guess, labels=union, average=average, zero_division=0)[:3]
        np.testing.assert_allclose((mean.precision, mean.recall, mean.f1), expected, atol=1e-9)
    if (present := np.flatnonzero(wanted.any(axis=0))).size:
        alone = reference(wanted, guess, labels=present, average="macro", zero_division=0)[1]
        assert scores.true_class_recall == pytest.approx(alone, abs=1e-9)


def test_scores_on_the_threshold_count_for_files_too(tmp_path: Path) -> None:
    reference = pytest.importorskip("sklearn.metrics").precision_recall_fscore_support
    rng = np.random.default_rng(5)
    names = ["kick", "snare", "crash", "china"]
    wanted = rng.random((60, 4)) < [0.5, 0.3, 0.2, 0.0]
    values = rng.integers(0, 11, (60, 4)) / 10  # many ties with the threshold
    present = rng.random(60) < 0.8
    pack = [
        truth(str(i), [n for n, on in zip(names, row, strict=True) if on], ("leading", "trailing")[i % 2])
        for i, row in enumerate(wanted)
    ]
    found = [
        scored(str(i), **dict(zip(names, row.tolist(), strict=True)))
        for i, row in reversed(list(enumerate(values)))
        if present[i]
    ]
    report = boundary_gate(
        BoundarySettings(
            ground_truth=lines(tmp_path / "t", *pack),
            predictions=lines(tmp_path / "p", *found),
            threshold=0.7,
        )
    )
    guess = (values >= 0.7) & present[:, None]
    for rows, scores in (slice(None), report), (slice(0, None, 2), report.by_edge["leading"]):
        expected = reference(wanted[rows], guess[rows], average="macro", zero_division=0)[:3]
        macro = scores.macro
        np.testing.assert_allclose((macro.precision, macro.recall, macro.f1), expected, atol=1e-9)
    assert report.missing == int((~present).sum()) > 0


def test_reads_what_boundary_pack_writes(tmp_path: Path) -> None:
    events = [
        {"sample_id": f"e{i}", "session_id": "s", "onset_time": time, "components": [{"label": "snare"}]}
        for i, time in enumerate((2.049, 2.04, 0.7))  # at 0 of window 4, at the end of window 0, at no edge
    ]
    pack = tmp_path / "labels.jsonl"
    boundary_pack(lines(tmp_path / "events.jsonl", *events), pack, hop_ms=2048)
    rows = [json.loads(line) for line in pack.read_text(encoding="utf-8").splitlines()]
    found = lines(tmp_path / "p.jsonl", *(scored(row["sample_id"], snare=0.9) for row in rows))
    report = boundary_gate(BoundarySettings(ground_truth=pack, predictions=found))
    assert report.edge_hits == {"leading": 1, "trailing": 1}
    assert report.passed


def test_old_examples_are_accepted(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data" / "peer-examples" / "examples"
    files = {
        "ground_truth": folder / "boundary_labels_example.jsonl",
        "predictions": folder / "boundary_predictions_example.jsonl",
    }
    report = boundary_gate(BoundarySettings(**files))
    assert report.macro.recall == report.micro.recall == 1.0
    assert report.per_class_precision == {"hihat_closed": 0.5, "snare": 1.0}
    assert exit_code(*command(files), "--strict") == 0
    assert "passed: all 3 gates" in capsys.readouterr().out


def test_exit_codes_and_files(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out" / "boundary.json"
    assert exit_code(*command(files)) == 0  # a failure is said, not exited with
    assert "FAILED: 1 of 3 gates" in capsys.readouterr().out
    assert exit_code(*command(files), "--strict", "--report", path) == 1
    report = read_report(path, BoundaryReport)
    assert report == boundary_gate(BoundarySettings(**files))
    keys = json.loads(path.read_text(encoding="utf-8"))
    assert keys["report"] == "boundary" and keys["passed"] is False
    assert keys["macro"].keys() == keys["micro"].keys() == {"precision", "recall", "f1"}
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "Streaming boundaries" in page and "Recall at trailing edges" in page
    capsys.readouterr()
    assert exit_code(*command(files), "--strict", "--min-macro-recall", "0.38", "--json") == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert exit_code(*command(files), "--strict", "--threshold", "0.499", "--min-macro-recall", "0.5") == 0
    page_only = tmp_path / "only.html"
    assert exit_code(*command(files), "--html-output", page_only) == 0
    assert page_only.is_file() and not page_only.with_suffix(".json").exists()


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    label = '<script>alert("1")</script>'
    files = {
        "ground_truth": lines(tmp_path / "t", truth("a", [label]), truth("b", ["kick"], "trailing")),
        "predictions": lines(tmp_path / "p", {"sample_id": "a", "scores": {label: 0.9, "<b>": 0.9}}),
    }
    page = render(gate_page(boundary_gate(BoundarySettings(**files))))
    assert "&lt;script&gt;alert" in page and "<script>alert" not in page and "<b>" not in page


GOOD = json.dumps(truth("a", ["kick"]))
BAD_TRUTHS = {
    "empty": ("", "truth.jsonl: holds no rows"),
    "blank": ("\n \n", "truth.jsonl: holds no rows"),
    "no json": ("kick\n", "truth.jsonl:1: is not valid JSON"),
    "a list": ("[]\n", "truth.jsonl:1: is not a JSON object"),
    "no edge": ('{"sample_id": "a", "labels": ["kick"]}\n', "truth.jsonl:1: edge: is missing"),
    "odd edge": (
        '{"sample_id": "a", "labels": ["kick"], "edge": "middle"}\n', "truth.jsonl:1: edge: Invalid enum"
    ),
    "no labels": ('{"sample_id": "a", "edge": "leading"}\n', "truth.jsonl:1: labels: is missing"),
    "text for labels": (
        '{"sample_id": "a", "edge": "leading", "labels": "kick"}\n', "labels: Expected array, got str"
    ),
    "empty label": ('{"sample_id": "a", "edge": "leading", "labels": [""]}\n', "labels[0]: Expected str of"),
    "twice": (GOOD + "\n" + GOOD + "\n", "truth.jsonl:2: sample_id: 'a' is also in"),
    "NaN": (GOOD[:-1] + ', "onset_time": NaN}\n', "truth.jsonl:1: onset_time: is nan, not a finite number"),
}  # fmt: skip
BAD_PREDICTIONS = {
    "empty": ("", "found.jsonl: holds no rows"),
    "NaN": ('{"sample_id": "a", "scores": {"kick": NaN}}\n', "found.jsonl:1: scores.kick: is nan"),
    "above 1": (
        '{"sample_id": "a", "scores": {"kick": 1.5}}\n',
        "found.jsonl:1: scores[...]: Expected float <= 1",
    ),
    "text": (
        '{"sample_id": "a", "scores": {"kick": "1"}}\n',
        "found.jsonl:1: scores[...]: Expected float, got str",
    ),
    "twice": ('{"sample_id": "a", "scores": {}}\n' * 2, "found.jsonl: row 2: sample_id: 'a' is also in"),
    "others": (
        '{"sample_id": "../../etc/passwd", "scores": {}}\n',
        "none of its sample_ids is in",
    ),
}


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one sentence with which the command ends, exit code 3."""
    assert exit_code(*words, "--strict") == 3
    out, err = capsys.readouterr()
    assert not out and err.startswith("beatsight: ") and len(err.splitlines()) == 1
    return err


@pytest.mark.parametrize("name", BAD_TRUTHS)
def test_bad_truth_is_refused(name: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text, why = BAD_TRUTHS[name]
    files["ground_truth"].write_text(text, encoding="utf-8")
    assert why in refused(capsys, *command(files))


@pytest.mark.parametrize("name", BAD_PREDICTIONS)
def test_bad_predictions_are_refused(
    name: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text, why = BAD_PREDICTIONS[name]
    files["predictions"].write_text(text, encoding="utf-8")
    assert why in refused(capsys, *command(files))


def test_missing_files_are_named(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for role in files:
        absent = files[role].with_name("absent.jsonl")
        assert f"{absent}: cannot be read: No such file" in refused(capsys, *command({**files, role: absent}))
    assert "/etc: cannot be read" in refused(
        capsys, *command({**files, "predictions": Path("../../../../../etc")})
    )


BAD_THRESHOLDS = {
    "empty": ("", ": is empty"),
    "nothing": ("{}", ": holds no thresholds"),
    "a list": ("[0.5]", ": is not a JSON object"),
    "zero": ('{"kick": 0}', ": kick: is not a number above 0 and at most 1, but 0"),
    "above 1": ('{"kick": 1.01}', ": kick: is not a number above 0 and at most 1, but 1.01"),
    "true": ('{"kick": true}', ": kick: is not a number"),
    "text": ('{"kick": "0.5"}', ": kick: is not a number"),
    "NaN": ('{"kick": NaN}', ": kick: is nan, not a finite number"),
    "two names": ('{"kick": 0.5, "bd": 0.6}', ": bd: kick has another threshold under another of its names"),
}


@pytest.mark.parametrize("name", BAD_THRESHOLDS)
def test_bad_thresholds_are_refused(name: str, tmp_path: Path) -> None:
    text, why = BAD_THRESHOLDS[name]
    path = tmp_path / "thresholds.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_thresholds(path)
    assert str(caught.value).startswith(f"{path}{why}")


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--threshold", "0", "threshold must be above 0 and at most 1, got 0"),
        ("--threshold", "nan", "threshold must be above 0"),
        ("--threshold", "1.5", "threshold must be above 0"),
        ("--min-macro-recall", "95", "min_macro_recall must be in 0..1, got 95"),
        ("--min-macro-recall", "-0.1", "min_macro_recall must be in 0..1"),
    ],
)
def test_senseless_limits_are_refused(
    option: str, value: str, why: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*command(files), option, value) == 2
    assert why in capsys.readouterr().err


def test_settings_refuse_unknown_values() -> None:
    with pytest.raises(UsageError, match="above 0"):
        BoundarySettings(ground_truth=Path("a"), predictions=Path("b"), threshold=-1.0)


def test_progress_ends_at_its_total(files: dict[str, Path]) -> None:
    seen: list[tuple[int, int]] = []
    boundary_gate(BoundarySettings(**files), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
