"""Gate ``openset``: planted groups, scikit-learn, bad input, the command and its exit codes, the page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn import metrics as sk

from beatsight.cli.gate import openset as command
from beatsight.cli.main import run
from beatsight.errors import InputError, UsageError
from beatsight.gates.openset import (
    MAX_FPR95,
    MIN_AUROC,
    REJECTION_KEY,
    OpensetReport,
    OpensetSettings,
    joint_energy,
    joint_energy_of_logits,
    openset_gate,
)
from beatsight.gates.openset.gate import HISTOGRAM_BINS, ROC_POINTS
from beatsight.gates.result import read_report, write_report
from beatsight.report.gates import write_gate_page

Rows = Iterable[dict]


def _write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Callable[[Rows, Rows], OpensetSettings]:
    def make(truth: Rows, predictions: Rows, **fields) -> OpensetSettings:
        return OpensetSettings(
            ground_truth=_write(tmp_path / "truth.jsonl", truth),
            predictions=_write(tmp_path / "predictions.jsonl", predictions),
            **fields,
        )

    return make


def _truth(known: Iterable[bool]) -> list[dict]:
    return [{"sample_id": f"s{index}", "is_known": bool(value)} for index, value in enumerate(known)]


def _scored(values: Iterable[float], **more) -> list[dict]:
    return [
        {"sample_id": f"s{index}", "scores": {"kick": value, "snare": value / 2}, **more}
        for index, value in enumerate(values)
    ]


GOOD = ([True, True, True, False, False], [0.9, 0.8, 0.7, 0.2, 0.1])
BAD = ([True, True, True, False, False], [0.9, 0.8, 0.3, 0.5, 0.1])


def test_groups_apart_pass(files) -> None:
    report = openset_gate(files(_truth(GOOD[0]), _scored(GOOD[1])))
    assert report.passed is True
    assert (report.auroc, report.auprc, report.auprc_unknown, report.fpr_at_95_tpr) == (1.0, 1.0, 1.0, 0.0)
    assert (report.threshold, report.tpr_at_threshold, report.accepts) == (0.7, 1.0, "max_probability >= 0.7")
    assert (report.known, report.unknown, report.extra_predictions) == (3, 2, 0)
    assert [(p.fpr, p.tpr, p.threshold) for p in report.roc] == [(0, 0, None), (0, 1, 0.7), (1, 1, 0.1)]
    assert sum(report.histogram.known) == 3 and sum(report.histogram.unknown) == 2
    assert (report.histogram.edges[0], report.histogram.edges[-1]) == (0.0, 1.0)


def test_an_unknown_among_the_known_fails_both(files) -> None:
    report = openset_gate(files(_truth(BAD[0]), _scored(BAD[1])))
    assert report.passed is False
    assert report.auroc == pytest.approx(5 / 6)
    assert report.fpr_at_95_tpr == 0.5
    assert [(r.gate, r.passed, r.value, r.rule) for r in report.gating_results] == [
        ("auroc", False, pytest.approx(5 / 6), "at_least"),
        ("fpr_at_95_tpr", False, 0.5, "at_most"),
    ]
    assert [(s.sample_id, s.score) for s in report.hardest_unknown] == [("s3", 0.5), ("s4", 0.1)]
    assert [s.sample_id for s in report.hardest_known] == ["s2", "s1", "s0"]


def test_thresholds_themselves_pass(files) -> None:
    # One of ten unknown samples is let through, and nothing else is out of order.
    truth = _truth([True] * 10 + [False] * 10)
    predictions = _scored([0.8] * 10 + [0.9] + [0.1] * 9)
    report = openset_gate(files(truth, predictions))
    assert (report.auroc, report.fpr_at_95_tpr, report.passed) == (0.9, 0.1, True)
    assert not openset_gate(files(truth, predictions, max_fpr95=0.0999)).passed
    assert not openset_gate(files(truth, predictions, min_auroc=0.9001)).passed


@pytest.mark.parametrize("score", ["max_probability", "energy", "given"])
@pytest.mark.parametrize("digits", [1, 12])
def test_equal_to_scikit_learn(files, score: str, digits: int) -> None:
    rng = np.random.default_rng(7)
    known = rng.random(300) < 0.6
    tables = np.round(np.clip(rng.random((300, 4)) * np.where(known, 1.0, 0.8)[:, None], 0, 0.999), digits)
    tables = np.minimum(tables, 0.999)
    rejection = np.round(rng.normal(size=300) - known, digits)
    rows = [
        {
            "sample_id": f"s{i}",
            "scores": dict(zip("abcd", map(float, row), strict=True)),
            "rejection_score": r,
        }
        for i, (row, r) in enumerate(zip(tables, rejection.tolist(), strict=True))
    ]
    expected = {
        "max_probability": tables.max(axis=1),
        # An exact sum, so that equal scores in another order are tied.
        "energy": np.array([math.fsum(-np.log1p(-row)) for row in tables]),
        "given": -rejection,
    }[score]
    report = openset_gate(files(_truth(known), rows, score=score))
    fpr, tpr, _ = sk.roc_curve(known, expected, drop_intermediate=False)
    assert report.auroc == pytest.approx(sk.roc_auc_score(known, expected), abs=1e-9)
    assert report.auprc == pytest.approx(sk.average_precision_score(known, expected), abs=1e-9)
    assert report.auprc_unknown == pytest.approx(sk.average_precision_score(~known, -expected), abs=1e-9)
    assert report.fpr_at_95_tpr == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-9)
    # What the report says about its operating point holds for the scores of the files.
    values = -expected if score == "given" else expected
    accepted = values <= report.threshold if score == "given" else values >= report.threshold - 1e-12
    assert accepted[known].mean() == report.tpr_at_threshold >= 0.95
    assert accepted[~known].mean() == report.fpr_at_95_tpr
    assert sum(report.histogram.known) == known.sum() and sum(report.histogram.unknown) == (~known).sum()


def test_the_order_of_the_files_changes_nothing(files) -> None:
    rng = np.random.default_rng(2)
    truth = _truth(rng.random(40) < 0.5)
    predictions = _scored(np.round(rng.random(40), 1).tolist())
    one = openset_gate(files(truth, predictions))
    other = openset_gate(files(truth[::-1], predictions[::-1]))
    assert (one.auroc, one.auprc, one.fpr_at_95_tpr, one.roc) == (
        other.auroc, other.auprc, other.fpr_at_95_tpr, other.roc,
    )  # fmt: skip


def test_high_rejection_scores_mean_unknown(files) -> None:
    predictions = [{"sample_id": f"s{i}", "scores": {}, "doubt": v} for i, v in enumerate([-3, 0, 1, 4, 9])]
    report = openset_gate(files(_truth(GOOD[0]), predictions, score="given", score_key="doubt"))
    assert (report.auroc, report.accepts, report.threshold) == (1.0, "doubt <= 1", 1.0)
    assert report.hardest_unknown[0].score == 4.0 and report.hardest_known[0].score == 1.0
    reversed_truth = [not known for known in GOOD[0]]
    assert (
        openset_gate(files(_truth(reversed_truth), predictions, score="given", score_key="doubt")).auroc == 0
    )


def test_energy_of_logits_and_of_their_probabilities_agree(files) -> None:
    logits = [{"kick": 3.0, "snare": -1.0}, {"kick": -2.0, "snare": 0.5}, {"kick": -4.0, "snare": -3.0}]
    scores = [{label: 1 / (1 + math.exp(-x)) for label, x in row.items()} for row in logits]
    plain = [math.log(1 + math.exp(row["kick"])) + math.log(1 + math.exp(row["snare"])) for row in logits]
    truth = _truth([True, True, False])
    bare = [{"sample_id": f"s{i}", "scores": row} for i, row in enumerate(scores)]
    full = [row | {"logits": given} for row, given in zip(bare, logits, strict=True)]
    for rows in (bare, full):
        report = openset_gate(files(truth, rows, score="energy"))
        assert report.threshold == pytest.approx(plain[1])
        assert report.hardest_unknown[0].score == pytest.approx(plain[2])
    assert "logit" in report.score_text
    # Logits tell apart what rounds to a probability of 1.
    far = [
        {"sample_id": f"s{i}", "scores": {"kick": 1.0}, "logits": {"kick": x}}
        for i, x in enumerate([60, 50, 40])
    ]
    assert openset_gate(files(truth, far, score="energy")).auroc == 1.0
    saturated = [{key: row[key] for key in ("sample_id", "scores")} for row in far]
    assert openset_gate(files(truth, saturated, score="energy")).auroc == 0.5


def test_energy_stays_finite() -> None:
    assert joint_energy([1.0, 1.0]) == pytest.approx(2 * 24 * math.log(2))
    assert joint_energy([0.0, 0.0]) == 0.0 and math.copysign(1, joint_energy([0.0])) == 1
    assert joint_energy_of_logits([1e4, -1e4]) == 1e4


def test_two_spellings_of_a_label_count_once(files) -> None:
    rows = [
        {"sample_id": "s0", "scores": {"hihat_pedal": 0.5, "hi_hat_pedal": 0.5}},
        {"sample_id": "s1", "scores": {"hihat_pedal": 0.6}},
    ]
    report = openset_gate(files(_truth([False, True]), rows, score="energy"))
    assert report.auroc == 1.0 and report.hardest_unknown[0].score == pytest.approx(math.log(2))


def test_a_long_curve_is_thinned_and_says_so(files) -> None:
    rng = np.random.default_rng(0)
    known = rng.random(6000) < 0.5
    report = openset_gate(files(_truth(known), _scored(rng.random(6000).tolist())))
    assert ROC_POINTS * 0.9 < len(report.roc) <= ROC_POINTS + 1
    assert "of the curve's" in report.roc_text
    assert any(p.threshold == report.threshold and p.fpr == report.fpr_at_95_tpr for p in report.roc)
    area = np.trapezoid([p.tpr for p in report.roc], [p.fpr for p in report.roc])
    assert area == pytest.approx(report.auroc, abs=1e-4)


@pytest.mark.parametrize("values", [[5.0] * 5, [1e100, 1e100, 0.0, -1e100, -1e100], [0.0, 1e-300, 0, 0, 0]])
def test_scores_of_any_size_have_a_histogram(files, values: list[float]) -> None:
    rows = [{"sample_id": f"s{i}", "scores": {}, "rejection_score": v} for i, v in enumerate(values)]
    bins = openset_gate(files(_truth(GOOD[0]), rows, score="given")).histogram
    assert len(bins.edges) == HISTOGRAM_BINS + 1 and np.isfinite(bins.edges).all()
    assert (np.diff(np.array(bins.edges) / 2) > 0).all()
    assert (sum(bins.known), sum(bins.unknown)) == (3, 2)
    assert bins.edges[0] <= min(values) and max(values) <= bins.edges[-1]


def test_extra_predictions_and_unknown_keys_are_passed_over(files) -> None:
    truth = [row | {"room": "studio", "labels": []} for row in _truth(GOOD[0])]
    report = openset_gate(files(truth, _scored([*GOOD[1], 0.99], model="v2")))
    assert report.passed and report.extra_predictions == 1
    assert report.notes[0] == "1 prediction ('s5') of unknown samples, not scored"
    assert report.notes[1].startswith("only 3 known samples: each moves the true-positive rate by 0.33")


def test_a_path_is_only_a_name(files, tmp_path: Path) -> None:
    # Ids are never opened; a file in a folder with spaces is.
    folder = tmp_path / "my set"
    folder.mkdir()
    ids = ["../../etc/passwd", "b c"]
    settings = OpensetSettings(
        ground_truth=_write(
            folder / "the truth.jsonl", [{"sample_id": n, "is_known": i == 0} for i, n in enumerate(ids)]
        ),
        predictions=_write(
            folder / "p.jsonl", [{"sample_id": n, "scores": {"kick": 0.9 - i / 2}} for i, n in enumerate(ids)]
        ),
    )
    assert openset_gate(settings).hardest_known[0].sample_id == "../../etc/passwd"


@pytest.mark.parametrize(
    ("truth", "predictions", "fields", "message"),
    [
        ("", "", {}, r"truth\.jsonl: holds no rows"),
        ('{"sample_id": "a", "is_known": true}', "", {}, r"holds only known samples; telling .*unknown"),
        ('{"sample_id": "a", "is_known": false}', "", {}, r"holds only unknown samples; .* known ones"),
        ("{}", "", {}, r"truth\.jsonl:1: sample_id: is missing"),
        ('{"sample_id": "a"}', "", {}, r"truth\.jsonl:1: is_known: is missing"),
        ('{"sample_id": "a", "is_known": 1}', "", {}, r"truth\.jsonl:1: is_known: Expected bool, got int"),
        ('{"sample_id": "a", "is_known": "yes"}', "", {}, r"is_known: Expected bool, got str"),
        ('{"sample_id": "a", "is_known": NaN}', "", {}, r"truth\.jsonl:1: is_known: is nan, not a finite"),
        ('{"sample_id": "a", "is_known": true}\n' * 2, "", {}, r"jsonl:2: sample_id: 'a' is also in .*:1"),
        ("[1]", "", {}, r"truth\.jsonl:1: is not a JSON object"),
        ("both", "", {}, r"predictions\.jsonl: holds no rows"),
        ("both", '{"sample_id": "a", "scores": {"kick": 0.5}}', {}, r"1 sample \('b'\) of .* be judged"),
        ("both", '{"sample_id": "x", "scores": {"kick": 0.5}}', {}, r"none of its sample_ids is in"),
        ("both", '{"sample_id": "a", "scores": {"kick": NaN}}', {}, r"scores\.kick: is nan"),
        ("both", '{"sample_id": "a", "scores": {"kick": 1.5}}', {}, r"predictions\.jsonl:1: .*<= 1\.0"),
        ("both", '{"sample_id": "a", "scores": 1}', {}, r"scores: Expected object, got int"),
        ("both", '{"sample_id": "a", "scores": {"kick": 1}}\n' * 2, {}, r"'a' is also in"),
        ("both", "two empty", {}, r"2 predictions \('a', 'b'\) without scores; a sample"),
        ("both", "two", {"score": "given"}, r"predictions\.jsonl: sample 'a': rejection_score: is missing"),
        ("both", "two: true", {"score": "given"}, r"rejection_score: is True, not a number"),
        ("both", 'two: "3"', {"score": "given"}, r"rejection_score: is '3', not a number"),
        ("both", "two: 1e101", {"score": "given"}, r"rejection_score: is not a number within ±1e\+100"),
        ("both", f"two: {10**400}", {"score": "given"}, r"rejection_score: is not a number within"),
        ("both", "two: [1]", {"score": "given"}, r"rejection_score: is \[1\], not a number"),
        ("both", 'logits: {"kick": -1e308}', {"score": "energy"}, r"logits\.kick: is not a number within"),
        ("both", "logits: {}", {"score": "energy"}, r"logits: is not an object of labels and numbers"),
        ("both", 'logits: {"kick": "x"}', {"score": "energy"}, r"'a': logits\.kick: is 'x', not a number"),
        ("both", "one with logits", {"score": "energy"}, r"1 prediction \('b'\) without logits"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys, truth: str, predictions: str, fields: dict, message: str
) -> None:
    row = '{{"sample_id": "{}", "scores": {}}}\n'
    kick = '{"kick": 0.5}'
    if truth == "both":
        truth = '{"sample_id": "a", "is_known": true}\n{"sample_id": "b", "is_known": false}\n'
    if predictions == "two empty":
        predictions = row.format("a", "{}") + row.format("b", "{}")
    elif predictions == "two":
        predictions = row.format("a", kick) + row.format("b", kick)
    elif predictions == "one with logits":
        predictions = row.format("a", kick + ', "logits": {"kick": 1}') + row.format("b", kick)
    elif predictions.startswith(("two: ", "logits: ")):
        key, value = predictions.split(": ", 1)
        key = "rejection_score" if key == "two" else key
        predictions = "".join(row.format(name, f'{kick}, "{key}": {value}') for name in "ab")
    settings = OpensetSettings(
        ground_truth=tmp_path / "truth.jsonl", predictions=tmp_path / "predictions.jsonl", **fields
    )
    settings.ground_truth.write_text(truth)
    settings.predictions.write_text(predictions)
    with pytest.raises(InputError, match=message) as caught:
        openset_gate(settings)
    assert "\n" not in str(caught.value)
    # The command says the same and exits 3, strict or not.
    arguments = ["--ground-truth", str(settings.ground_truth), "--predictions", str(settings.predictions)]
    with pytest.raises(SystemExit) as stopped:
        run(["gate", "openset", *arguments, "--score", settings.score])
    assert stopped.value.code == 3
    assert capsys.readouterr().err == f"beatsight: {caught.value}\n"


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    truth = _write(tmp_path / "truth.jsonl", _truth(GOOD[0]))
    with pytest.raises(InputError, match=r"no such\.jsonl: cannot be read: No such file or directory"):
        openset_gate(OpensetSettings(ground_truth=truth, predictions=tmp_path / "no such.jsonl"))
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        openset_gate(OpensetSettings(ground_truth=tmp_path, predictions=truth))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score": "magic"}, "score: 'magic' is none of max_probability, energy, given"),
        ({"min_auroc": 1.2}, r"min_auroc: 1\.2 is not in 0\.\.1"),
        ({"max_fpr95": float("nan")}, r"max_fpr95: nan is not in 0\.\.1"),
        ({"score_key": "doubt"}, "only read where score is 'given'"),
        ({"score": "given", "score_key": "scores"}, "'scores' is no key that can hold a rejection score"),
        ({"score": "given", "score_key": ""}, "'' is no key"),
    ],
)
def test_senseless_settings_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OpensetSettings(ground_truth=Path("t"), predictions=Path("p"), **fields)
    # The same from a section of a settings file, where msgspec knows the three scores by itself.
    expected = (
        (msgspec.ValidationError, "Invalid enum value") if "magic" in message else (UsageError, message)
    )
    with pytest.raises(expected[0], match=expected[1]):
        raw = {"ground_truth": "t", "predictions": "p", **fields}
        msgspec.convert(raw, OpensetSettings, dec_hook=lambda kind, value: kind(value))


def test_a_section_becomes_settings() -> None:
    raw = {"ground_truth": "t", "predictions": "p", "score": "energy", "max_fpr95": 0.2}
    found = msgspec.convert(raw, OpensetSettings, dec_hook=lambda kind, value: kind(value))
    assert found == OpensetSettings(
        ground_truth=Path("t"), predictions=Path("p"), score="energy", max_fpr95=0.2
    )
    with pytest.raises(msgspec.ValidationError, match="unknown field `max_fpr`"):
        msgspec.convert(raw | {"max_fpr": 0.2}, OpensetSettings, dec_hook=lambda kind, value: kind(value))


def test_the_command_has_the_gates_defaults() -> None:
    assert (MIN_AUROC, MAX_FPR95) == (command._MIN_AUROC, command._MAX_FPR95)
    assert command._REJECTION_KEY == REJECTION_KEY


@pytest.mark.parametrize(
    ("rows", "options", "code"),
    [
        (GOOD, ["--strict"], 0),
        (BAD, ["--strict"], 1),
        (BAD, [], 0),
        (BAD, ["--strict", "--min-auroc", "0.8", "--max-fpr", "0.5"], 0),
        (BAD, ["--strict", "--min-auroc", "0.8", "--max-fpr95", "0.4"], 1),
        (GOOD, ["--score", "magic"], 2),
        (GOOD, ["--min-auroc", "2"], 2),
        (GOOD, ["--no-such-option"], 2),
    ],
)
def test_exit_codes(tmp_path: Path, rows, options: list[str], code: int) -> None:
    truth = _write(tmp_path / "t.jsonl", _truth(rows[0]))
    predictions = _write(tmp_path / "p.jsonl", _scored(rows[1]))
    with pytest.raises(SystemExit) as stopped:
        run(["gate", "openset", "--ground-truth", str(truth), "--predictions", str(predictions), *options])
    assert stopped.value.code == code


def test_the_command_writes_report_and_page(tmp_path: Path, capsys) -> None:
    truth = _write(tmp_path / "t.jsonl", _truth(BAD[0]))
    predictions = _write(tmp_path / "p.jsonl", _scored(BAD[1]))
    report = tmp_path / "out" / "openset.json"
    arguments = ["--ground-truth", str(truth), "--predictions", str(predictions), "--report", str(report)]
    with pytest.raises(SystemExit):
        run(["gate", "openset", *arguments, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads(report.read_text())
    assert said["report"] == "openset" and said["fpr_at_95_tpr"] == 0.5 and said["passed"] is False
    assert read_report(report, OpensetReport).auroc == pytest.approx(5 / 6)
    assert "Open-set rejection" in report.with_suffix(".html").read_text()


def test_names_from_files_are_escaped(files, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    truth = [{"sample_id": evil + name, "is_known": name == "a"} for name in "ab"]
    rows = [{"sample_id": evil + name, "scores": {}, evil: index} for index, name in enumerate("ab")]
    report = openset_gate(files(truth, rows, score="given", score_key=evil))
    write_gate_page(report, tmp_path / "page.html")
    write_report(report, tmp_path / "report.json")
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert read_report(tmp_path / "report.json", OpensetReport) == report


def test_the_example_of_the_old_system_is_accepted(shared: Path) -> None:
    folder = shared / "data/peer-examples/examples"
    for score in ("max_probability", "energy"):
        report = openset_gate(
            OpensetSettings(
                ground_truth=folder / "openset_ground_truth_example.jsonl",
                predictions=folder / "openset_predictions_example.jsonl",
                score=score,
            )
        )
        assert report.passed and (report.known, report.unknown) == (1, 1)
