"""Evaluation against planted models: the report is scikit-learn's, the files hold what was scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support

from beatsight import taxonomy
from beatsight.cli.main import run
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.evaluate import evaluate_model, find_label_issues, write_evaluation
from beatsight.events import Prediction, read_records
from beatsight.models.checkpoint import Model, save_model
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
    """Answers with given scores, row by row, whatever it hears; further columns are those of its heads."""

    def __init__(self, scores: np.ndarray) -> None:
        heads = ("velocity", "openness") if scores.shape[1] > 12 else ()
        super().__init__(ClassifierConfig(channels=(1, 1, 1, 1), heads=heads))
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
    names = ["evaluation.json", "evaluation.html", "confusion_matrix.png", "predictions.jsonl", "truth.jsonl"]
    assert [path.name for path in paths] == names
    files = {path.name: path for path in paths}
    assert json.loads(files["evaluation.json"].read_text()) == result.to_dict()
    picture = files["confusion_matrix.png"].read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n") and picture.rstrip().endswith(b"IEND\xaeB`\x82")
    true = [json.loads(line) for line in files["truth.jsonl"].read_text().splitlines()]
    assert [row["labels"] for row in true] == [[LABELS[i % 3]] for i in range(6)] * 2
    predictions = list(read_records(files["predictions.jsonl"], Prediction))
    rows = dataset.rows("test")
    assert [p.onset_time for p in predictions] == dataset.moments.onset_s[rows].tolist()
    assert [p.session_id for p in predictions] == ["session-0"] * 6 + ["session-2"] * 6
    assert [p.audio_path for p in predictions] == ["song0.wav"] * 6 + ["song2.wav"] * 6
    assert [p.predicted_labels for p in predictions] == [[LABELS[i % 3]] for i in range(6)] * 2
    assert [p.sample_id for p in predictions] == [f"row-{row}" for row in rows]
    for key in ("sample_id", "onset_time", "audio_path"):
        assert [row[key] for row in true] == [getattr(p, key) for p in predictions]
    assert predictions[0].scores["kick"] == pytest.approx(0.9, abs=1e-5)
    assert predictions[0].velocity_pred is None and predictions[0].openness_pred is None
    # The same evaluation gives the same bytes.
    again = write_evaluation(result, dataset, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_velocity_and_openness_of_the_heads(dataset: Dataset, tmp_path: Path) -> None:
    """The loudest hit that is reported, and the openness where a hi-hat is; the gates compare them."""
    truth = truth_of(dataset)
    answers = np.concatenate(
        [np.where(truth, 0.9, 0.1), np.where(truth, 0.7, 0.95), np.full((12, 1), 0.3)], 1
    )
    known = np.where(truth, np.float32(0.5), np.float32(np.nan))
    moments = replace(dataset.moments, velocity=dataset.moments.velocity.copy())
    moments.velocity[dataset.rows("test")] = known
    mine = replace(dataset, moments=moments)
    result = evaluate_model(planted(answers), mine)
    report = result.to_dict()
    assert report["velocity_mae"] == pytest.approx(0.2, abs=1e-6)
    assert report["openness_mae"] is None  # no hat of these songs has a known openness
    assert report["model"]["heads"] == ["velocity", "openness"]
    paths = {path.name: path for path in write_evaluation(result, mine, tmp_path)}
    rows = list(read_records(paths["predictions.jsonl"], Prediction))
    assert [row.velocity_pred for row in rows] == pytest.approx([0.7] * 12, abs=1e-6)
    hats = [bool(labels[2]) for labels in truth]
    assert [row.openness_pred is not None for row in rows] == hats
    true = [json.loads(line) for line in paths["truth.jsonl"].read_text().splitlines()]
    assert [row["velocity"] for row in true] == [0.5] * 12


def test_wrong_labels_in_a_dataset_are_listed_first(tmp_path: Path) -> None:
    """A network that hears what sounds, and a dataset of which two labels are wrong."""
    pytest.importorskip("cleanlab")
    events = tiny_songs(tmp_path / "audio", 4, LABELS, beats=12)
    real = build_dataset(events, tmp_path / "audio", tmp_path / "real", val_fraction=0.0)
    truth = real.moments.labels.astype(bool)
    wrong = {5: "snare", 22: "kick"}  # rows of a hi-hat and of a snare
    for row, label in wrong.items():
        events[row].components[0].label = label
    dataset = build_dataset(events, tmp_path / "audio", tmp_path / "d", val_fraction=0.0)
    np.testing.assert_array_equal(dataset.moments.onset_s, real.moments.onset_s)
    result = evaluate_model(planted(np.where(truth, 0.9, 0.1)), dataset, "train")
    issues = find_label_issues(result)
    assert {issue.row for issue in issues[:2]} == set(wrong)
    paths = write_evaluation(result, dataset, tmp_path / "out", issues)
    assert paths[-1].name == "label_issues.jsonl"
    first = json.loads(paths[-1].read_text().splitlines()[0])
    assert first["given"] == [wrong[first["row"]]]
    assert first["suggested"] == [dataset.labels[truth[first["row"]].argmax()]]
    assert json.loads(paths[0].read_text())["label_issues"]["listed"] == len(issues)
    page = paths[1].read_text()
    assert "Likely label errors" in page and "it has learnt their faults as well" in page


def test_the_command(dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(1)
    network = DrumClassifierCNN(ClassifierConfig(channels=(2, 2, 2, 2))).eval()
    save_model(Model(network, features=TINY_FEATURES), tmp_path / "m.pth")
    words = [
        "evaluate",
        "--dataset",
        str(dataset.root),
        "--model",
        str(tmp_path / "m.pth"),
        "--split",
        "test",
    ]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as caught:
            run([*words, "--split", "test", "-o", str(tmp_path / "out"), *more])
        assert caught.value.code in (0, None)
        out, err = capsys.readouterr()
        assert "note: intervals rest on 2 sessions only" in err
    answer = json.loads(out)
    assert answer["moments"] == 12 and len(answer["files"]) == 5
    assert all(Path(name).is_file() for name in answer["files"])


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
