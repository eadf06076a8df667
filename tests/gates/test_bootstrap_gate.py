"""Gate bootstrap: every metric and interval against scikit-learn, mir_eval and resampling by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import pytest
from bootstrap_songs import LABELS, Rows, asked, lines, one, says, songs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import f1_score

from beatsight.errors import InputError
from beatsight.events import Prediction
from beatsight.gates.bootstrap import BootstrapSettings, bootstrap_gate
from beatsight.gates.bootstrap.measures import measure
from beatsight.gates.bootstrap.records import METRICS
from beatsight.gates.inputs import Truth
from beatsight.metrics import expected_calibration_error, transcription_scores
from beatsight.report.gates import gate_page
from beatsight.report.page import render


def tables_of(truths: Rows, predictions: Rows, threshold: float = 0.5) -> tuple[Any, Any]:
    true = np.array([[label in row["labels"] for label in LABELS] for row in truths])
    found = np.array([[row["scores"].get(label, 0) >= threshold for label in LABELS] for row in predictions])
    return true, found


def sk_f1(true: Any, found: Any, average: str) -> float:
    """scikit-learn's F1 over the labels that are true or predicted."""
    used = true.any(axis=0) | found.any(axis=0)
    # scikit-learn takes a single column for something else, so a column that adds no count stands beside it.
    true, found = (np.column_stack((table[:, used], np.zeros(len(table), bool))) for table in (true, found))
    if average == "macro":
        return float(f1_score(true, found, average=None, zero_division=0)[:-1].mean())
    return float(f1_score(true, found, average=average, zero_division=0))


def onset_f1(truths: Rows, predictions: Rows, tolerance: float) -> float:
    """mir_eval's matching in every session and label."""
    true, found = tables_of(truths, predictions)
    matched = 0
    for session in {row["session_id"] for row in truths}:
        inside = np.array([row["session_id"] == session for row in truths])
        for column in range(len(LABELS)):
            times = [
                np.array([row["onset_time"] for row, use in zip(rows, inside & is_hit, strict=True) if use])
                for rows, is_hit in ((truths, true[:, column]), (predictions, found[:, column]))
            ]
            if min(map(len, times)):
                matched += len(mir_eval.util.match_events(*times, tolerance))
    return float(2 * matched / (true.sum() + found.sum()))


def plain_metrics(truths: Rows, predictions: Rows) -> dict[str, float]:
    """Every metric by another way."""
    true, found = tables_of(truths, predictions)
    pairs = [(t, p) for t, p in zip(truths, predictions, strict=True) if "openness" in t]
    scores = np.array([[row["scores"][label] for label in LABELS] for row in predictions])
    return {
        "macro_f1": sk_f1(true, found, "macro"),
        "micro_f1": sk_f1(true, found, "micro"),
        "example_f1": sk_f1(true, found, "samples"),
        "onset_f1_20ms": onset_f1(truths, predictions, 0.02),
        "onset_f1_50ms": onset_f1(truths, predictions, 0.05),
        "openness_mae": float(np.mean([abs(t["openness"] - p["openness_pred"]) for t, p in pairs])),
        "velocity_mae": float(
            np.mean(
                [abs(t["velocity"] - p["velocity_pred"]) for t, p in zip(truths, predictions, strict=True)]
            )
        ),
        "ece": expected_calibration_error(true, scores),
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("seed", range(4))
def test_every_metric_is_that_of_an_independent_way(tmp_path: Path, seed: int) -> None:
    truths, predictions = songs(seed)
    report = bootstrap_gate(asked(tmp_path, truths, predictions))
    found = {name: estimate.point_estimate for name, estimate in report.metrics.items()}
    assert found == pytest.approx(plain_metrics(truths, predictions), abs=1e-9)
    assert report.samples == report.predicted == 72
    assert (report.clusters, report.cluster, report.passed) == (6, "session", True)
    assert report.openness_mae is not None and report.openness_mae.n == 36


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_resamples_are_those_of_copying_songs_by_hand(tmp_path: Path) -> None:
    """Each resample built sample by sample and scored by scikit-learn and mir_eval."""
    truths, predictions = songs(7)
    _, worse = songs(8)
    drawn = np.random.default_rng(3).integers(0, 6, (40, 6))
    by_hand: dict[str, list[float]] = {name: [] for name in METRICS}
    differences = []
    for sessions in drawn:
        # A copy of a song is a song of its own: its hits are not matched with those of the other copy.
        rows = [
            (12 * session + at, f"copy {copy}") for copy, session in enumerate(sessions) for at in range(12)
        ]
        true = [{**truths[at], "session_id": name} for at, name in rows]
        for name, value in plain_metrics(true, [predictions[at] for at, _ in rows]).items():
            by_hand[name].append(value)
        differences.append(
            by_hand["macro_f1"][-1] - plain_metrics(true, [worse[at] for at, _ in rows])["macro_f1"]
        )
    settings = asked(
        tmp_path, truths, predictions, iterations=40, seed=3,
        baseline_predictions=lines(tmp_path / "worse.jsonl", worse),
    )  # fmt: skip
    report = bootstrap_gate(settings)
    for name, values in by_hand.items():
        found = report.metrics[name]
        assert found.mean == pytest.approx(np.mean(values), abs=1e-9), name
        assert (found.ci_lower, found.ci_upper) == pytest.approx(
            np.quantile(values, [0.025, 0.975]), abs=1e-9
        )
        assert found.standard_error == pytest.approx(np.std(values, ddof=1), abs=1e-9)
    assert report.baseline is not None
    paired = report.baseline.differences["macro_f1"]
    assert (paired.ci_lower, paired.ci_upper) == pytest.approx(
        np.quantile(differences, [0.025, 0.975]), abs=1e-9
    )
    assert paired.worse_share == pytest.approx(np.mean(np.array(differences) < 0))


TABLES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7).flatmap(
    lambda shape: st.tuples(
        arrays(bool, shape), arrays(np.float64, shape, elements=st.sampled_from([0, 0.5, 1.0]))
    )
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@given(TABLES)
@settings(max_examples=100)
def test_f1_is_scikit_learns_with_empty_classes_and_single_samples(tables: tuple[Any, Any]) -> None:
    true, scores = tables
    names = [f"drum {column}" for column in range(true.shape[1])]
    measures = measure(
        [
            Truth(sample_id=str(at), labels=[n for n, t in zip(names, row, strict=True) if t])
            for at, row in enumerate(true)
        ],
        [
            Prediction(sample_id=str(at), scores=dict(zip(names, row.tolist(), strict=True)))
            for at, row in enumerate(scores)
        ],
        {},
        0.5,
    )
    values = dict(zip(METRICS, measures.values(measures.columns.sum(axis=0, keepdims=True))[0], strict=False))
    found = scores >= 0.5
    if not (true | found).any():
        assert np.isnan([values["macro_f1"], values["micro_f1"]]).all() and values["example_f1"] == 0
        return
    for name, average in (("macro_f1", "macro"), ("micro_f1", "micro"), ("example_f1", "samples")):
        assert values[name] == pytest.approx(sk_f1(true, found, average), abs=1e-9)
    # A label nobody plays and nobody hears has no F1.
    assert measures.labels == [n for n, used in zip(names, (true | found).any(axis=0), strict=True) if used]
    assert values["ece"] == pytest.approx(expected_calibration_error(true, scores), abs=1e-9)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 40), st.sampled_from(["kick", "snare"])), max_size=25
    ),
    st.lists(
        st.tuples(st.integers(0, 24), st.integers(0, 40), st.sampled_from(["kick", "snare"])), max_size=25
    ),
)
@settings(max_examples=100)
def test_onsets_are_matched_as_in_transcription_scores(
    true: list[tuple[str, int, str]], found: list[tuple[int, int, str]]
) -> None:
    """Any number of hits within reach of each other, decimal times on the very edge of the tolerance."""
    heard = {at: (number / 100, label) for at, number, label in found if at < len(true)}
    truths = [
        Truth(sample_id=str(at), labels=[label], onset_time=number / 100, session_id=session)
        for at, (session, number, label) in enumerate(true)
    ]
    predictions = [
        Prediction(sample_id=str(at), scores={heard[at][1]: 1.0}, onset_time=heard[at][0])
        if at in heard
        else None
        for at in range(len(true))
    ]
    if not heard:
        return
    measures = measure(truths, predictions, {}, 0.5)
    values = dict(zip(METRICS, measures.values(measures.columns.sum(axis=0, keepdims=True))[0], strict=False))
    for name, tolerance in (("onset_f1_20ms", 0.02), ("onset_f1_50ms", 0.05)):
        total = None
        for session in "ab":
            scores = transcription_scores(
                [(number / 100, label) for of, number, label in true if of == session],
                [hit for at, hit in heard.items() if true[at][0] == session],
                ["kick", "snare"],
                tolerance,
            ).total
            total = scores if total is None else total + scores
        assert total is not None and values[name] == pytest.approx(total.f1, abs=1e-12)


def test_a_missing_prediction_is_a_miss_and_an_unknown_one_is_not_scored(tmp_path: Path) -> None:
    report = bootstrap_gate(
        asked(tmp_path, [one("a", "kick"), one("b", "kick")], [says("a", "kick"), says("z", "crash")])
    )
    assert report.micro_f1 is not None and report.micro_f1.point_estimate == pytest.approx(2 / 3)
    assert report.per_class_f1.keys() == {"kick"} and report.predicted == 1
    assert "1 sample ('b') without a prediction" in report.notes
    assert "1 prediction ('z') of unknown samples, not scored" in report.notes
    # Nobody forecast anything for b, so nothing there can be badly calibrated.
    assert report.ece is not None and (report.ece.point_estimate, report.ece.n) == (0.0, 1)


def test_events_count_by_their_components(tmp_path: Path) -> None:
    """The loudest component is the moment's velocity; a negative example's components are not there."""
    event = {"session_id": "x", "onset_time": 0.5}
    hat = {"label": "hihat_open", "velocity": 0.2, "openness": 0.75}
    truths = [
        {"sample_id": "a", **event, "components": [{"label": "bd", "velocity": 0.8}, hat]},
        {
            "sample_id": "b",
            **event,
            "components": [{"label": "snare", "velocity": 0.9}],
            "negative_example": True,
        },
    ]
    predictions = [
        says("a", "kick", "hihat_open", velocity_pred=0.5, openness_pred=0.5),
        says("b", "kick", velocity_pred=0.1),
    ]
    report = bootstrap_gate(asked(tmp_path, truths, predictions))
    assert report.velocity_mae is not None and report.openness_mae is not None
    assert (report.velocity_mae.point_estimate, report.velocity_mae.n) == (pytest.approx(0.3), 1)
    assert (report.openness_mae.point_estimate, report.openness_mae.n) == (0.25, 1)
    assert {name: f1.point_estimate for name, f1 in report.per_class_f1.items()} == {
        "kick": pytest.approx(2 / 3), "hihat_open": 1.0
    }  # fmt: skip


def test_a_prediction_without_a_time_matches_nothing(tmp_path: Path) -> None:
    truths = [one(name, "kick", onset_time=at, session_id="x") for at, name in enumerate("abc")]
    predictions = [says("a", "kick", onset_time=0.01), says("b", "kick"), says("c")]
    report = bootstrap_gate(asked(tmp_path, truths, predictions))
    assert report.onset_f1_50ms is not None
    assert report.onset_f1_50ms.point_estimate == pytest.approx(2 / 5)  # 1 of 3 true, 1 of 2 found
    assert any("1 predictions without an onset_time" in note for note in report.notes)


def test_samples_without_a_session_have_clocks_of_their_own(tmp_path: Path) -> None:
    truths = [one("a", "kick", onset_time=1.0), one("b", "kick", onset_time=3.0)]
    swapped = [says("a", "kick", onset_time=3.0), says("b", "kick", onset_time=1.0)]
    assert _onset(asked(tmp_path, truths, swapped)) == 0.0
    together = [{**row, "session_id": "x"} for row in truths]
    assert _onset(asked(tmp_path, together, swapped)) == 1.0


def _onset(asked_for: BootstrapSettings) -> float:
    found = bootstrap_gate(asked_for).onset_f1_20ms
    assert found is not None
    return found.point_estimate


def test_times_copied_from_the_truth_are_noticed(tmp_path: Path) -> None:
    truths, predictions = songs()
    report = bootstrap_gate(asked(tmp_path, truths, predictions))
    assert not any("says nothing of timing" in note for note in report.notes)
    copied = [{**p, "onset_time": t["onset_time"]} for t, p in zip(truths, predictions, strict=True)]
    report = bootstrap_gate(asked(tmp_path, truths, copied))
    assert any("says nothing of timing" in note for note in report.notes)


def test_thresholds(tmp_path: Path) -> None:
    truths, predictions = (
        [one("a", "kick", "snare")],
        [{"sample_id": "a", "scores": {"bd": 0.4, "snare": 0.5}}],
    )
    assert _micro(asked(tmp_path, truths, predictions)) == pytest.approx(2 / 3)  # at the threshold counts
    assert _micro(asked(tmp_path, truths, predictions, threshold=0.4)) == 1.0
    own = tmp_path / "own.json"
    own.write_text('{"kick": 0.3, "snare": 0.6, "cowbell": 0.2}')
    report = bootstrap_gate(asked(tmp_path, truths, predictions, thresholds_file=own))
    assert report.micro_f1 is not None and report.micro_f1.point_estimate == pytest.approx(2 / 3)
    assert report.per_class_f1["kick"].point_estimate == 1.0
    assert "1 threshold ('cowbell') of labels that are neither true nor scored" in report.notes


def _micro(asked_for: BootstrapSettings) -> float:
    found = bootstrap_gate(asked_for).micro_f1
    assert found is not None
    return found.point_estimate


def test_what_is_drawn(tmp_path: Path) -> None:
    truths, predictions = songs()
    by_song = bootstrap_gate(asked(tmp_path, truths, predictions))
    by_hit = bootstrap_gate(asked(tmp_path, truths, predictions, cluster="sample"))
    assert (by_song.clusters, by_hit.clusters) == (6, 72)
    assert by_song.macro_f1 is not None and by_hit.macro_f1 is not None
    assert by_song.macro_f1.point_estimate == by_hit.macro_f1.point_estimate
    assert any(note.startswith("6 sessions to draw from") for note in by_song.notes)
    assert any("as if independent, as asked" in note for note in by_hit.notes)
    del truths[5]["session_id"]
    mixed = bootstrap_gate(asked(tmp_path, truths, predictions))
    assert mixed.clusters == 7 and "samples without a session_id are drawn one by one: 1" in mixed.notes
    with pytest.raises(InputError, match=r"truth\.jsonl: sample 's005': session_id: is missing"):
        bootstrap_gate(asked(tmp_path, truths, predictions, cluster="session"))
    lone = [{key: value for key, value in row.items() if key != "session_id"} for row in truths]
    report = bootstrap_gate(asked(tmp_path, lone, predictions))
    assert report.cluster == "sample" and any("names no session_id" in note for note in report.notes)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_one_song_has_numbers_and_no_intervals(tmp_path: Path, method: str) -> None:
    truths, predictions = songs(sessions=1)
    report = bootstrap_gate(asked(tmp_path, truths, predictions, method=method))
    assert report.macro_f1 is not None and report.macro_f1.point_estimate > 0.3
    assert report.macro_f1.ci_lower is report.macro_f1.ci_upper is report.macro_f1.standard_error is None
    assert report.macro_f1.why == "it rests on a single cluster, which shows no spread"
    assert "no interval" in render(gate_page(report))


def test_resamples_without_a_label_are_counted(tmp_path: Path) -> None:
    labels = ("kick", "crash", "crash")
    truths = [one(name, label, session_id=name) for name, label in zip("abc", labels, strict=True)]
    report = bootstrap_gate(asked(tmp_path, truths, [says("a", "kick"), says("b", "crash")], iterations=1000))
    kick, crash = report.per_class_f1["kick"], report.per_class_f1["crash"]
    assert kick.clusters == 1 and kick.ci_lower is None and kick.why
    assert 220 < kick.undefined_resamples < 380  # (2/3)^3 = 0.296
    assert crash.clusters == 2 and crash.ci_lower == 0.0 and 10 < crash.undefined_resamples < 70
    # Macro F1 of a resample is over the labels that it holds.
    assert report.macro_f1 is not None and report.macro_f1.undefined_resamples == 0
    assert report.macro_f1.ci_upper == 1.0
