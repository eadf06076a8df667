"""Evaluation against planted models: the report is scikit-learn's, the files hold what was scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from beatsight import taxonomy
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.evaluate import evaluate_model, write_evaluation
from beatsight.events import Prediction, read_records
from beatsight.models.checkpoint import Model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from tiny_dataset import TINY_FEATURES, tiny_songs

LABELS = ("kick", "snare", "hihat_closed")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("evaluate")
    events = tiny_songs(folder / "audio", 3, LABELS, beats=6)
    return build_dataset(
        events, folder / "audio", folder / "d", val_fraction=0.0, test_sessions=["session-0", "session-2"]
    )


class Planted(DrumClassifierCNN):
    """Answers with given scores, row by row, whatever it hears."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__(ClassifierConfig(channels=(1, 1, 1, 1)))
        self.answers, self.given = torch.logit(torch.from_numpy(scores).float()), 0

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        part = self.answers[self.given : self.given + len(clips)]
        self.given += len(clips)
        return part


def planted(scores: np.ndarray, thresholds: float = 0.5) -> Model:
    return Model(Planted(scores), features=TINY_FEATURES, thresholds=np.full(12, thresholds))


def truth_of(dataset: Dataset) -> np.ndarray:
    return dataset.moments.labels[dataset.rows("test")].astype(bool)


def test_a_perfect_model(dataset: Dataset) -> None:
    truth = truth_of(dataset)
    steps: list[tuple[int, int]] = []
    result = evaluate_model(
        planted(np.where(truth, 0.9, 0.1)), dataset, progress=lambda *step: steps.append(step)
    )
    report = result.to_dict()
    assert report["micro_f1"] == report["example_f1"] == 1.0
    assert report["macro_f1"] == pytest.approx(3 / 12)  # classes that never occur count as 0
    assert report["classes_without_support"] == [name for name in taxonomy.CLASSIFIER if name not in LABELS]
    np.testing.assert_array_equal(result.confusion, np.diag([*truth.sum(axis=0), 0]))
    assert steps == [(12, 12)]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_any_predictions_equal_scikit_learn(dataset: Dataset, threshold: float) -> None:
    truth = truth_of(dataset)
    scores = np.random.default_rng(5).uniform(0.01, 0.99, truth.shape)
    report = evaluate_model(planted(scores, threshold), dataset).to_dict()
    guess = scores >= threshold
    per_class = precision_recall_fscore_support(truth, guess, zero_division=0)
    for i, label in enumerate(taxonomy.CLASSIFIER):
        ours = report["per_class"][label]
        found = [ours["precision"], ours["recall"], ours["f1"], ours["support"]]
        np.testing.assert_allclose(found, [column[i] for column in per_class])
    for average in ("macro", "micro"):
        expected = precision_recall_fscore_support(truth, guess, average=average, zero_division=0)[:3]
        ours = [report[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(ours, expected)
    example = precision_recall_fscore_support(truth, guess, average="samples", zero_division=0)[2]
    assert report["example_f1"] == pytest.approx(example)


def test_a_swapped_pair_is_off_the_diagonal(dataset: Dataset) -> None:
    truth = truth_of(dataset)
    swapped = truth[:, [1, 0, *range(2, 12)]]
    confusion = evaluate_model(planted(np.where(swapped, 0.9, 0.1)), dataset).confusion
    assert confusion[0, 1] == truth[:, 0].sum() and confusion[1, 0] == truth[:, 1].sum()
    assert confusion[0, 0] == confusion[1, 1] == 0
    assert confusion[2, 2] == truth[:, 2].sum()


def test_files(dataset: Dataset, tmp_path: Path) -> None:
    truth = truth_of(dataset)
    result = evaluate_model(planted(np.where(truth, 0.9, 0.1)), dataset)
    paths = write_evaluation(result, dataset, tmp_path / "out")
    names = ["evaluation.json", "confusion_matrix.png", "predictions.jsonl", "truth.jsonl"]
    assert [path.name for path in paths] == names
    true = [json.loads(line) for line in paths[3].read_text().splitlines()]
    assert [row["labels"] for row in true] == [[LABELS[i % 3]] for i in range(6)] * 2
    assert json.loads(paths[0].read_text()) == result.to_dict()
    assert paths[1].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert paths[1].read_bytes().rstrip().endswith(b"IEND\xaeB`\x82")
    predictions = list(read_records(paths[2], Prediction))
    rows = dataset.rows("test")
    assert [p.onset_time for p in predictions] == dataset.moments.onset_s[rows].tolist()
    assert [p.session_id for p in predictions] == ["session-0"] * 6 + ["session-2"] * 6
    assert [p.predicted_labels for p in predictions] == [[LABELS[i % 3]] for i in range(6)] * 2
    assert [row["sample_id"] for row in true] == [p.sample_id for p in predictions]
    assert [row["onset_time"] for row in true] == [p.onset_time for p in predictions]
    assert predictions[0].scores["kick"] == pytest.approx(0.9, abs=1e-5)


def test_a_real_network_scores_alike_in_any_order_of_calls(dataset: Dataset) -> None:
    torch.manual_seed(0)
    model = Model(DrumClassifierCNN(ClassifierConfig(channels=(2, 2, 2, 2))).eval(), features=TINY_FEATURES)
    first = evaluate_model(model, dataset, "train")
    evaluate_model(model, dataset, "test")
    again = evaluate_model(model, dataset, "train")
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.rows, dataset.rows("train"))


def test_an_empty_split_and_other_labels_are_refused(dataset: Dataset) -> None:
    model = planted(np.full((12, 12), 0.5))
    with pytest.raises(InputError, match="the val split is empty"):
        evaluate_model(model, dataset, "val")
    with pytest.raises(InputError, match="unknown split 'dev'"):
        evaluate_model(model, dataset, "dev")
    model.labels = model.labels[::-1]
    with pytest.raises(InputError, match="its labels are not those the model was trained on"):
        evaluate_model(model, dataset)
