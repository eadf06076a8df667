"""Figures of an evaluation: intervals as a plain loop gives them, planted errors come back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score

from beatsight.files import write_bytes
from beatsight.gates.inputs import canonical
from beatsight.gates.regression.reading import Evaluation as Compared
from beatsight.gates.regression.reading import read_compared
from planted_evaluation import LABELS, planted_evaluation


def random_case(seed: int, sessions: int = 8, moments: int = 80) -> tuple[np.ndarray, np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    truth = random.random((moments, 12)) < 0.25
    scores = np.clip(np.where(truth, 0.65, 0.3) + random.normal(0, 0.2, truth.shape), 0, 1)
    names = [f"s{number}" for number in random.integers(0, sessions, moments)]
    return truth, scores, names


def test_intervals_are_those_of_resampled_sessions() -> None:
    """The same draws, every resample put together moment by moment and scored in a loop."""
    truth, scores, names = random_case(3, sessions=6, moments=40)
    truth[:, 10:] = False  # two classes are heard that never occur
    report = planted_evaluation(truth, scores, names).summary
    guess = scores.astype(np.float32) >= 0.5
    of_session = [np.flatnonzero(np.array(names) == name) for name in sorted(set(names))]
    draws = np.random.default_rng(0).integers(0, len(of_session), (1000, len(of_session)))
    found: dict[str, list[float]] = {
        name: [] for name in ("macro_f1", "macro_f1_present", "micro_f1", "snare")
    }
    for drawn in draws:
        rows = np.concatenate([of_session[number] for number in drawn])
        hits, size = (truth & guess)[rows], truth[rows].sum(axis=0) + guess[rows].sum(axis=0)
        per_class = [2 * tp / n if n else 0.0 for tp, n in zip(hits.sum(axis=0), size, strict=True)]
        found["macro_f1"].append(sum(per_class) / 12)
        there = [f1 for f1, n in zip(per_class[:10], size[:10], strict=True) if n]
        found["macro_f1_present"].append(sum(there) / len(there))
        found["snare"].append(per_class[1])
        found["micro_f1"].append(2 * hits.sum() / size.sum())
    for key, values in found.items():
        ours = report.per_class["snare"].f1_interval if key == "snare" else report.intervals[key]
        np.testing.assert_allclose(ours, np.quantile(values, [0.025, 0.975]), atol=1e-12)
    assert (report.resampling.clusters, report.resampling.unit) == (6, "session")
    assert report.intervals["velocity_mae"] is None


def test_macro_f1_of_the_classes_that_occur() -> None:
    truth, scores, names = random_case(5)
    truth[:, 4:] = False
    scores[:, 4:] = 0.0
    report = planted_evaluation(truth, scores, names).summary
    per_class = f1_score(truth[:, :4], scores[:, :4].astype(np.float32) >= 0.5, average=None)
    assert report.macro_f1_present == pytest.approx(per_class.mean())
    assert report.macro_f1 == pytest.approx(per_class.sum() / 12)
    assert report.classes_without_support == list(LABELS[4:])
    low, high = report.intervals["macro_f1_present"] or (1.0, 0.0)
    assert low <= report.macro_f1_present <= high
    assert report.per_class["china"].f1_interval is None


def test_one_session_has_no_interval_and_the_report_says_so() -> None:
    truth, scores, _ = random_case(1)
    report = planted_evaluation(truth, scores, ["only"] * len(truth), split="train").summary
    assert set(report.intervals.values()) == {None}
    assert all(row.f1_interval is None for row in report.per_class.values())
    assert any("one session" in note for note in report.notes)
    assert any("the model has seen them with their labels" in note for note in report.notes)
    assert report.by_session == []


def test_calibration_equals_a_plain_loop_and_scikit_learn() -> None:
    truth, scores, names = random_case(7)
    found = planted_evaluation(truth, scores, names).summary.calibration
    said, true = scores.astype(np.float32).ravel().astype(float), truth.ravel()
    assert found.brier == pytest.approx(brier_score_loss(true, said))
    error = 0.0
    for low in np.arange(15) / 15:
        mine = (said > low) & (said <= low + 1 / 15) if low else said <= 1 / 15
        error += abs(said[mine].sum() - true[mine].sum())
    assert found.ece == pytest.approx(error / len(said))
    assert sum(b.count for b in found.reliability) == found.cells == truth.size
    assert sum(found.true_scores) == truth.sum()
    assert sum(found.other_scores) == truth.size - truth.sum()


def test_scores_that_are_the_truth_have_no_calibration_error() -> None:
    truth, _, names = random_case(2)
    found = planted_evaluation(truth, truth.astype(float), names).summary
    assert (found.calibration.ece, found.calibration.brier, found.mistakes) == (0.0, 0.0, 0)


def test_planted_errors_of_velocity_come_back_by_bucket_and_by_class() -> None:
    """Ghosts 0.05 too loud, accents 0.2 too soft; what is not true or not known does not count."""
    truth = np.zeros((40, 12), bool)
    truth[:20, 0] = truth[20:, 1] = True
    true = np.full(truth.shape, np.nan, np.float32)
    true[:20, 0], true[20:38, 1] = 0.1, 0.8
    true[0, 5] = 0.5  # of a class that does not sound there
    found = np.full(truth.shape, 0.99, np.float32)
    found[:20, 0], found[20:, 1] = 0.15, 0.6
    report = planted_evaluation(truth, truth.astype(float), velocity=(true, found)).summary
    velocity = report.velocity
    assert velocity is not None and velocity.hits == 38
    by_level = {row.name: row for row in velocity.by_level}
    assert list(by_level) == ["ghost", "light", "medium", "accent"]
    assert (by_level["ghost"].hits, by_level["accent"].hits) == (20, 18)
    assert by_level["ghost"].mae == pytest.approx(0.05) == by_level["ghost"].bias
    assert by_level["accent"].mae == pytest.approx(0.2)
    assert by_level["accent"].bias == pytest.approx(-0.2)
    assert by_level["light"].mae is None
    assert {row.name: row.hits for row in velocity.by_class} == {"kick": 20, "snare": 18}
    assert report.velocity_mae == pytest.approx((20 * 0.05 + 18 * 0.2) / 38)
    low, high = velocity.interval or (1.0, 0.0)
    assert low <= velocity.mae <= high
    assert report.openness is None and report.openness_mae is None


def test_planted_errors_of_openness_come_back_by_level() -> None:
    truth = np.zeros((30, 12), bool)
    truth[:, 2] = True
    true = np.full(30, np.nan, np.float32)
    true[:10], true[10:20] = 0.0, 1.0
    found = np.full(30, 0.25, np.float32)
    report = planted_evaluation(truth, truth.astype(float), openness=(true, found)).summary
    assert report.openness is not None
    assert [row.hits for row in report.openness.by_level] == [10, 0, 0, 0, 10]
    assert report.openness.by_level[0].bias == pytest.approx(0.25)
    assert report.openness.by_level[-1].bias == pytest.approx(-0.75)
    assert report.openness_mae == pytest.approx(0.5)


def test_parts_come_worst_first_and_only_where_there_are_several() -> None:
    truth = np.zeros((9, 12), bool)
    truth[:, 0] = True
    scores = truth.astype(float)
    scores[3:6, 0] = 0.1
    scores[6, 0] = 0.1
    names = ["good"] * 3 + ["bad"] * 3 + ["fair"] * 3
    report = planted_evaluation(truth, scores, names, sources=["one"] * 9).summary
    assert [part.name for part in report.by_session] == ["bad", "fair", "good"]
    assert [part.micro_f1 for part in report.by_session] == pytest.approx([0.0, 0.8, 1.0])
    assert [part.moments for part in report.by_session] == [3, 3, 3]
    assert report.by_source == [] and report.by_kit == []
    two = planted_evaluation(truth, scores, names, sources=["a"] * 4 + [""] * 5).summary
    assert [(part.name, part.moments) for part in two.by_source] == [("a", 4)]


def test_the_regression_gate_reads_the_file(tmp_path: Path) -> None:
    truth, scores, names = random_case(9)
    report = planted_evaluation(truth, scores, names).summary
    write_bytes(tmp_path / "evaluation.json", msgspec.json.encode(report))
    read = read_compared(tmp_path / "evaluation.json")
    assert isinstance(read, Compared)
    assert {name: score.f1 for name, score in read.labels.items()} == {
        canonical(name): row.f1 for name, row in report.per_class.items()
    }
    assert (read.macro_f1, read.split, read.moments) == (report.macro_f1, "test", 80)


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 5))
def test_any_evaluation_can_be_summed_up(seed: int, moments: int, sessions: int) -> None:
    truth, scores, names = random_case(seed, sessions, moments)
    report = planted_evaluation(truth, scores, names).summary
    again = msgspec.json.decode(msgspec.json.encode(report), type=type(report))
    assert again == report
    for low, high in filter(None, report.intervals.values()):
        assert 0.0 <= low <= high <= 1.0
