"""Gate ``calibration``: planted gaps, scikit-learn, loudness, bad input, the command, the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from beatsight.cli.gate import calibration as command
from beatsight.cli.main import run
from beatsight.errors import InputError, UsageError
from beatsight.events import Component
from beatsight.gates.calibration import (
    MAX_ECE,
    Bin,
    CalibrationReport,
    CalibrationSettings,
    calibration_gate,
    loudness,
)
from beatsight.gates.inputs import Truth
from beatsight.gates.result import read_report, write_report
from beatsight.metrics import DEFAULT_BINS
from beatsight.report.gates import write_gate_page

Rows = Iterable[dict]


def _write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> Callable[[Rows, Rows], CalibrationSettings]:
    def make(truth: Rows, predictions: Rows, **fields) -> CalibrationSettings:
        return CalibrationSettings(
            ground_truth=_write(tmp_path / "truth.jsonl", truth),
            predictions=_write(tmp_path / "predictions.jsonl", predictions),
            **fields,
        )

    return make


def _one_class(hits: int, samples: int, score: float) -> tuple[list[dict], list[dict]]:
    """``samples`` forecasts of one score for kick, of which ``hits`` are true."""
    truth = [{"sample_id": f"s{i}", "labels": ["kick"] if i < hits else []} for i in range(samples)]
    return truth, [{"sample_id": row["sample_id"], "scores": {"kick": score}} for row in truth]


def _gates(report: CalibrationReport) -> dict[str, tuple[bool, float | None]]:
    return {result.gate: (result.passed, result.value) for result in report.gating_results}


def test_scores_that_keep_their_word_pass(files) -> None:
    report = calibration_gate(files(*_one_class(80, 100, 0.8)))
    assert report.passed is True
    assert report.ece == pytest.approx(0.0, abs=1e-12)
    assert report.brier == pytest.approx(0.16)
    assert (report.samples, report.cells, report.asserted_cells, report.unscored_cells) == (100, 100, 100, 0)
    assert report.notes == []
    full = [row for row in report.reliability if row.count]
    assert [(b.count, b.positives, b.mean_truth) for b in full] == [(100, 80, 0.8)]
    assert full[0].low < 0.8 <= full[0].high and full[0].mean_score == pytest.approx(0.8)


@pytest.mark.parametrize(("hits", "ece"), [(60, 0.2), (100, 0.2), (86, 0.06), (74, 0.06)])
def test_too_sure_and_too_shy_fail(files, hits: int, ece: float) -> None:
    report = calibration_gate(files(*_one_class(hits, 100, 0.8)))
    assert report.passed is False
    assert report.ece == pytest.approx(ece)
    assert _gates(report)["coverage"] == (True, 1.0) and _gates(report)["ece"][0] is False


def test_thresholds_themselves_pass(files) -> None:
    # 3 of 4 forecasts of 0.5 come true: a gap of exactly a quarter, and a Brier score of exactly one.
    rows = _one_class(3, 4, 0.5)
    assert calibration_gate(files(*rows, max_ece=0.25, max_brier=0.25)).passed
    assert not calibration_gate(files(*rows, max_ece=0.2499)).passed
    assert not calibration_gate(files(*rows, max_ece=0.25, max_brier=0.2499)).passed


def test_easy_forecasts_do_not_hide_what_is_asserted(files) -> None:
    # Ten labels; one is asserted at 0.99 and true in 60 of 100 samples. The other nine are rightly near 0.
    others = [f"label_{i}" for i in range(9)]
    truth, predictions = _one_class(60, 100, 0.99)
    for row in predictions:
        row["scores"] |= dict.fromkeys(others, 0.0)
    report = calibration_gate(files(truth, predictions))
    assert report.passed and report.ece == pytest.approx(0.039)
    assert report.ece_asserted == pytest.approx(0.39) and report.asserted_cells == 100
    judged = calibration_gate(files(truth, predictions, max_asserted_ece=0.1))
    assert _gates(judged)["ece_asserted"] == (False, pytest.approx(0.39)) and judged.passed is False


def test_a_model_that_asserts_nothing_does_not_pass_for_it(files) -> None:
    truth, predictions = _one_class(1, 100, 0.01)
    assert calibration_gate(files(truth, predictions)).ece_asserted is None
    report = calibration_gate(files(truth, predictions, max_asserted_ece=0.1))
    assert _gates(report)["ece_asserted"] == (False, None)
    assert report.gating_results[-1].detail == "no cell has a score of 0.5 or above"


def test_a_missing_prediction_is_never_passed_over(files) -> None:
    truth, predictions = _one_class(80, 100, 0.8)
    report = calibration_gate(files(truth, predictions[1:-1]))
    assert report.passed is False
    assert _gates(report)["coverage"] == (False, pytest.approx(0.98))
    assert (report.samples, report.missing, report.cells) == (98, 2, 98)
    # The figures are those of what was forecast.
    assert report.ece == pytest.approx(0.8 - 79 / 98) or report.ece == pytest.approx(79 / 98 - 0.8)
    assert "2 samples ('s0', 's99') without a prediction" in report.notes[0]


def test_a_label_without_a_score_is_a_forecast_of_zero(files) -> None:
    truth = [{"sample_id": "a", "labels": ["kick", "snare"]}, {"sample_id": "b", "labels": []}]
    predictions = [{"sample_id": "a", "scores": {"kick": 1.0}}, {"sample_id": "b", "scores": {}}]
    report = calibration_gate(files(truth, predictions))
    assert [(row.label, row.support, row.ece) for row in report.per_class] == [
        ("kick", 1, 0),
        ("snare", 1, 0.5),
    ]
    assert (report.ece, report.cells, report.unscored_cells) == (0.25, 4, 3)
    assert report.notes[0] == "3 of 4 cells have no score and count as a score of 0"


def test_classes_are_all_that_are_true_or_scored(files) -> None:
    truth = [{"sample_id": "a", "labels": ["kick", "my_own_gong"]}]
    predictions = [{"sample_id": "a", "scores": {"kick": 0.9, "snare": 0.4, "hi_hat_pedal": 0.1}}]
    report = calibration_gate(files(truth, predictions))
    assert [row.label for row in report.per_class] == ["hihat_pedal", "kick", "my_own_gong", "snare"]
    assert report.ece == pytest.approx((0.1 + 0.1 + 1.0 + 0.4) / 4)


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("digits", [1, 12])
def test_equal_to_scikit_learn(files, bins: int, digits: int) -> None:
    rng = np.random.default_rng(bins)
    labels = ["crash", "kick", "snare", "splash"]
    scores = np.round(rng.random((120, 4)), digits)
    truth = rng.random(scores.shape) < scores**1.5
    truth[:, 3] = False  # a class that is never true
    rows = [
        {"sample_id": f"s{i}", "labels": [name for name, true in zip(labels, row, strict=True) if true]}
        for i, row in enumerate(truth)
    ]
    predictions = [
        {"sample_id": f"s{i}", "scores": dict(zip(labels, row, strict=True))}
        for i, row in enumerate(scores.tolist())
    ]
    report = calibration_gate(files(rows, predictions[::-1], bins=bins))
    cells = [(report.reliability, report.ece, report.brier, truth.ravel(), scores.ravel())]
    cells += [
        (row.reliability, row.ece, row.brier, truth[:, i], scores[:, i])
        for i, row in enumerate(report.per_class)
    ]
    for table, ece, brier, true, said in cells:
        mean_truth, mean_score = calibration_curve(true, said, n_bins=bins, pos_label=True)
        full = [b for b in table if b.count]
        np.testing.assert_allclose([b.mean_truth for b in full], mean_truth, atol=1e-9)
        np.testing.assert_allclose([b.mean_score for b in full], mean_score, atol=1e-9)
        weights = [b.count / len(true) for b in full]
        assert ece == pytest.approx(np.sum(weights * np.abs(mean_truth - mean_score)), abs=1e-9)
        assert brier == pytest.approx(brier_score_loss(true, said, pos_label=True), abs=1e-9)


def test_loudness_of_hits() -> None:
    parts = [
        Component(label="kick", velocity=0.1, dynamic_bucket="accent"),  # the velocity decides
        Component(label="kick", velocity=0.4),  # the louder of two
        Component(label="snare", dynamic_bucket="light"),
        Component(label="crash"),
    ]
    assert loudness(Truth(sample_id="a", components=parts)) == {"kick": "medium", "snare": "light"}
    assert loudness(Truth(sample_id="a", components=parts, velocity=0.9))["crash"] == "accent"
    assert loudness(Truth(sample_id="a", labels=["kick"], velocity=0.149)) == {"kick": "ghost"}
    assert loudness(Truth(sample_id="a", labels=["kick"])) == {}


def test_by_loudness(files) -> None:
    truth = [
        {
            "sample_id": "a",
            "components": [{"label": "kick", "velocity": 0.1}, {"label": "snare", "velocity": 0.9}],
        },
        {"sample_id": "b", "components": [{"label": "snare", "dynamic_bucket": "ghost"}]},
        {"sample_id": "c", "components": [{"label": "snare"}]},
        {"sample_id": "d", "components": []},
    ]
    scores = [
        {"kick": 0.2, "snare": 1.0},
        {"kick": 0.0, "snare": 0.6},
        {"kick": 0, "snare": 1},
        {"kick": 0.1, "snare": 0},
    ]
    report = calibration_gate(
        files(truth, [{"sample_id": n, "scores": row} for n, row in zip("abcd", scores, strict=True)])
    )
    ghost, light, _, accent = report.dynamics
    # Of the two true ghost notes the kick scored .2 and the snare .6.
    assert (ghost.bucket, ghost.hits, ghost.found) == ("ghost", 2, 0.5)
    assert ghost.mean_score == pytest.approx(0.4)
    # Only b's loudest hit is a ghost note; its two cells are off by 0 and .4.
    assert (ghost.samples, ghost.ece, ghost.brier) == (1, pytest.approx(0.2), pytest.approx(0.08))
    assert (accent.hits, accent.samples, accent.mean_score) == (1, 1, 1.0)
    assert accent.ece == pytest.approx(0.4)  # a: kick off by .8, snare by 0
    assert (light.hits, light.samples, light.mean_score, light.found, light.ece, light.brier) == (
        0, 0, None, None, None, None,
    )  # fmt: skip
    assert report.samples_without_dynamics == 2


def test_a_whole_event_manifest_and_extra_predictions(files) -> None:
    truth = [
        {
            "sample_id": f"s{i}",
            "session_id": "take",
            "onset_time": i,
            "kit_id": "x",
            "components": [{"label": "kick"}],
        }
        for i in range(3)
    ]
    predictions = [{"sample_id": f"s{i}", "scores": {"kick": 1.0}, "model": "v2"} for i in range(4)]
    report = calibration_gate(files(truth, predictions))
    assert report.passed and report.extra_predictions == 1
    assert report.notes[0] == "1 prediction ('s3') of unknown samples, not scored"
    assert report.notes[1] == "only 3 samples: by chance alone, calibration errors come out too high"


LABELS = '{"sample_id": "a", "labels": ["kick"]}'
SCORES = '{"sample_id": "a", "scores": {"kick": 0.5}}'


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        ("", "", r"truth\.jsonl: holds no rows"),
        (LABELS, "", r"predictions\.jsonl: holds no rows"),
        ('{"sample_id": "a"}', SCORES, r"truth\.jsonl: sample 'a': labels: is missing"),
        ('{"labels": ["kick"]}', SCORES, r"truth\.jsonl:1: sample_id: is missing"),
        ('{"sample_id": "a", "labels": "kick"}', SCORES, r"truth\.jsonl:1: labels: Expected array"),
        ('{"sample_id": "a", "labels": [""]}', SCORES, r"truth\.jsonl:1: labels\[0\]: "),
        ('{"sample_id": "a", "labels": [], "velocity": 2}', SCORES, r"velocity: Expected float <= 1\.0"),
        ('{"sample_id": "a", "labels": [], "velocity": NaN}', SCORES, r"velocity: is nan"),
        (f"{LABELS}\n{LABELS}", SCORES, r"truth\.jsonl:2: sample_id: 'a' is also in .*truth\.jsonl:1"),
        (LABELS, f"{SCORES}\n{SCORES}", r"predictions\.jsonl: row 2: sample_id: 'a' is also in"),
        (
            LABELS,
            SCORES.replace('"a"', '"b"'),
            r"predictions\.jsonl: none of its sample_ids is in .*truth\.jsonl",
        ),
        (LABELS, SCORES.replace("0.5", "NaN"), r"predictions\.jsonl:1: scores\.kick: is nan"),
        (LABELS, SCORES.replace("0.5", "1.1"), r"predictions\.jsonl:1: scores.*: Expected float <= 1\.0"),
        (LABELS, SCORES.replace("0.5", '"high"'), r"predictions\.jsonl:1: scores.*: Expected float, got str"),
        ('{"sample_id": "a", "labels": []}', '{"sample_id": "a", "scores": {}}', r"nothing can be judged"),
        (LABELS, "{", r"predictions\.jsonl:1: is not valid JSON"),
    ],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys, truth: str, predictions: str, message: str
) -> None:
    settings = CalibrationSettings(
        ground_truth=tmp_path / "truth.jsonl", predictions=tmp_path / "predictions.jsonl"
    )
    settings.ground_truth.write_text(truth)
    settings.predictions.write_text(predictions)
    with pytest.raises(InputError, match=message) as caught:
        calibration_gate(settings)
    arguments = ["--ground-truth", str(settings.ground_truth), "--predictions", str(settings.predictions)]
    with pytest.raises(SystemExit) as stopped:
        run(["gate", "calibration", *arguments])
    assert stopped.value.code == 3
    assert capsys.readouterr().err == f"beatsight: {caught.value}\n"
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    truth = _write(tmp_path / "a truth.jsonl", [{"sample_id": "../../etc/passwd", "labels": ["kick"]}])
    with pytest.raises(InputError, match=r"no such\.jsonl: cannot be read: No such file or directory"):
        calibration_gate(CalibrationSettings(ground_truth=truth, predictions=tmp_path / "no such.jsonl"))
    # An id is only a name, and one row is enough to be measured.
    row = _write(tmp_path / "p.jsonl", [{"sample_id": "../../etc/passwd", "scores": {"kick": 0.75}}])
    assert calibration_gate(CalibrationSettings(ground_truth=truth, predictions=row)).ece == 0.25


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bins": 0}, r"bins: 0 is not in 1\.\.1000"),
        ({"bins": 1001}, r"bins: 1001 is not in 1\.\.1000"),
        ({"max_ece": -0.1}, r"max_ece: -0\.1 is not in 0\.\.1"),
        ({"max_asserted_ece": 2.0}, r"max_asserted_ece: 2\.0 is not in 0\.\.1"),
        ({"max_brier": float("nan")}, r"max_brier: nan is not in 0\.\.1"),
    ],
)
def test_senseless_settings_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CalibrationSettings(ground_truth=Path("t"), predictions=Path("p"), **fields)
    with pytest.raises(UsageError, match=message):
        raw = {"ground_truth": "t", "predictions": "p", **fields}
        msgspec.convert(raw, CalibrationSettings, dec_hook=lambda kind, value: kind(value))


def test_the_command_has_the_gates_defaults() -> None:
    assert (command._BINS, command._MAX_ECE) == (DEFAULT_BINS, MAX_ECE)


@pytest.mark.parametrize(
    ("hits", "options", "code"),
    [
        (80, ["--strict"], 0),
        (60, ["--strict"], 1),
        (60, [], 0),
        (60, ["--strict", "--max-ece", "0.3"], 0),
        (60, ["--strict", "--max-ece", "0.3", "--max-brier", "0.1"], 1),
        (60, ["--strict", "--max-ece", "0.3", "--max-asserted-ece", "0.1"], 1),
        (80, ["--bins", "0"], 2),
        (80, ["--bins", "many"], 2),
    ],
)
def test_exit_codes(tmp_path: Path, hits: int, options: list[str], code: int) -> None:
    truth, predictions = _one_class(hits, 100, 0.8)
    paths = [_write(tmp_path / "t.jsonl", truth), _write(tmp_path / "p.jsonl", predictions)]
    with pytest.raises(SystemExit) as stopped:
        run(
            ["gate", "calibration", "--ground-truth", str(paths[0]), "--predictions", str(paths[1]), *options]
        )
    assert stopped.value.code == code


def test_strict_fails_on_a_missing_prediction(tmp_path: Path, capsys) -> None:
    truth, predictions = _one_class(80, 100, 0.8)
    paths = [_write(tmp_path / "t.jsonl", truth), _write(tmp_path / "p.jsonl", predictions[:-1])]
    options = ["--ground-truth", str(paths[0]), "--predictions", str(paths[1]), "--strict"]
    report = tmp_path / "out" / "calibration.json"
    with pytest.raises(SystemExit) as stopped:
        run(["gate", "calibration", *options, "--json", "--report", str(report)])
    assert stopped.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert said == json.loads(report.read_text()) and said["report"] == "calibration"
    assert read_report(report, CalibrationReport).missing == 1
    assert "Calibration of scores" in report.with_suffix(".html").read_text()


def test_names_from_files_are_escaped(files, tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>"\u0000'
    truth = [{"sample_id": evil, "labels": [evil], "velocity": 0.5}]
    report = calibration_gate(files(truth, [{"sample_id": evil, "scores": {evil: 0.9, "kick": 0.1}}]))
    write_gate_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json", CalibrationReport) == report


def test_pages_show_a_bin_too_small_to_draw_as_a_gap(files, tmp_path: Path) -> None:
    from beatsight.report.gates.calibration import _diagram

    def row(low: float, count: int, score: float | None) -> Bin:
        return Bin(
            low=low, high=low + 0.25, count=count, positives=count // 2, mean_score=score,
            mean_truth=None if score is None else 0.5,
        )  # fmt: skip

    whole = [row(0.0, 20, 0.1), row(0.25, 20, 0.3), row(0.5, 20, 0.6), row(0.75, 20, 0.9)]
    gap = [*whole[:2], row(0.5, 9, 0.6), *whole[3:]]
    empty = [*whole[:2], row(0.5, 0, None), *whole[3:]]
    assert _diagram("t", [("kick", gap)], 10) == _diagram("t", [("kick", empty)], 10)
    assert _diagram("t", [("kick", gap)], 10) != _diagram("t", [("kick", whole)], 10)
    # Without loudness, and without anything to draw by class, the page still stands.
    write_gate_page(calibration_gate(files(*_one_class(1, 2, 0.5))), tmp_path / "page.html")
    assert "No sample of the truth says how loud its hits are." in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("truth", "predictions", "ece"),
    [
        ("bootstrap_ground_truth_example.jsonl", "bootstrap_predictions_example.jsonl", 0.17),
        ("boundary_labels_example.jsonl", "boundary_predictions_example.jsonl", 0.2875),
    ],
)
def test_the_examples_of_the_old_system_are_accepted(
    shared: Path, truth: str, predictions: str, ece: float
) -> None:
    folder = shared / "data/peer-examples/examples"
    settings = CalibrationSettings(ground_truth=folder / truth, predictions=folder / predictions)
    report = calibration_gate(settings)
    assert (report.samples, report.cells) == (2, 4)
    assert report.ece == pytest.approx(ece)
