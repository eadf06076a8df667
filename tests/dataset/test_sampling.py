"""Sampling weights: read strictly, matched to the dataset's groups, and drawn as they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from beatsight.cli.main import run
from beatsight.dataset.batches import Batches
from beatsight.dataset.build import build_dataset
from beatsight.dataset.sampling import read_weights, row_weights
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from beatsight.models.checkpoint import load_model
from beatsight.train.config import TrainConfig
from beatsight.train.loop import train_classifier
from tiny_dataset import TINY_FEATURES, events_of, pattern, write_song


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Sessions a (two files of 4 moments), b (6 moments) and c (2 moments), all in training."""
    folder = tmp_path_factory.mktemp("sampling")
    events = []
    for number, (session, name, beats) in enumerate(
        (("a", "x", 4), ("a", "y", 4), ("b", "z", 6), ("c", "w", 2))
    ):
        hits = pattern(beats, ("kick", "snare"))
        write_song(folder / "audio" / f"{name}.wav", hits, 2.0, seed=number)
        events += events_of(hits, f"{name}.wav", session)
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.0)


def weights_file(folder: Path, field: str, weights: dict[str, float], **more: Any) -> Path:
    path = folder / "weights.json"
    groups = {name: {"count": 3, "weight": w, "technique_counts": {"flam": 1}} for name, w in weights.items()}
    content = {"parameters": {"group_field": field, "exponent": 0.5}, "weights": groups}
    path.write_text(json.dumps({**content, "technique_totals": {"flam": 2}, **more}))
    return path


def sessions_of(dataset: Dataset, rows: np.ndarray) -> list[str]:
    return [dataset.session_names[i] for i in dataset.moments.session[rows]]


def test_a_row_has_the_weight_of_its_session(dataset: Dataset, tmp_path: Path) -> None:
    file = read_weights(weights_file(tmp_path, "session_id", {"a": 0.5, "b": 0.05, "c": 0.2}))
    rows = dataset.rows("train")
    found, notes = row_weights(dataset, rows, file)
    raw = np.array([{"a": 0.5, "b": 0.05, "c": 0.2}[name] for name in sessions_of(dataset, rows)])
    np.testing.assert_allclose(found, raw / raw.sum(), rtol=1e-12)
    assert found.dtype == np.float64 and notes == []


def test_a_row_has_the_weight_of_its_file(dataset: Dataset, tmp_path: Path) -> None:
    planted = {"./x.wav": 1.0, "y.wav": 2.0, "z.wav": 3.0, "w.wav": 4.0, "elsewhere.wav": 9.0}
    found, notes = row_weights(
        dataset, dataset.rows("train"), read_weights(weights_file(tmp_path, "audio_path", planted))
    )
    names = [dataset.metadata.files[i] for i in dataset.moments.audio_file]
    raw = np.array([{"x.wav": 1, "y.wav": 2, "z.wav": 3, "w.wav": 4}[name] for name in names])
    np.testing.assert_allclose(found, raw / raw.sum(), rtol=1e-12)
    assert notes == []


def test_huge_weights_stay_finite(dataset: Dataset, tmp_path: Path) -> None:
    file = read_weights(weights_file(tmp_path, "session_id", {"a": 1e308, "b": 1e308, "c": 1e308}))
    np.testing.assert_allclose(row_weights(dataset, dataset.rows("train"), file)[0], 1 / 16)


def test_groups_without_a_weight_are_never_drawn_and_a_note_says_so(dataset: Dataset, tmp_path: Path) -> None:
    file = read_weights(weights_file(tmp_path, "session_id", {"b": 0.5}))
    rows = dataset.rows("train")
    found, notes = row_weights(dataset, rows, file)
    assert [name == "b" for name in sessions_of(dataset, rows)] == (found > 0).tolist()
    assert notes == ["2 of 3 groups (10 of 16 moments) have no sampling weight and are never drawn: a, c"]


def test_no_common_group_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    file = read_weights(weights_file(tmp_path, "session_id", {"other": 0.5}))
    with pytest.raises(InputError, match=r"d: no session_id of the training split has .* \(such as 'a'\)"):
        row_weights(dataset, dataset.rows("train"), file)


@pytest.mark.parametrize("classes_balanced", [False, True])
def test_draws_follow_the_weights(dataset: Dataset, tmp_path: Path, classes_balanced: bool) -> None:
    """With weights .5 and .05, a row of a is drawn ten times as often as one of b; without, not."""
    file = read_weights(weights_file(tmp_path, "session_id", {"a": 0.5, "b": 0.05, "c": 0.05}))
    rows = dataset.rows("train")
    weights = None if classes_balanced else row_weights(dataset, rows, file)[0]
    cpu = torch.device("cpu")
    supply = Batches(dataset, "train", TINY_FEATURES, augment=None, device=cpu, seed=7, weights=weights)
    drawn = np.concatenate([batch.rows for batch in supply.sampled(200, 0, 30)])
    counts = np.bincount(drawn, minlength=len(rows))
    raw = np.array([10.0 if name == "a" else 1.0 for name in sessions_of(dataset, rows)])
    p_value = chisquare(counts, len(drawn) * raw / raw.sum()).pvalue
    assert (p_value < 1e-9) if classes_balanced else (p_value > 0.001)


def test_training_draws_by_the_file_and_remembers_it(dataset: Dataset, tmp_path: Path) -> None:
    path = weights_file(tmp_path, "session_id", {"b": 0.5, "c": 0.1})
    config = TrainConfig(
        epochs=1, batch_size=8, device="cpu", precision="fp32", augment=None, sampling_weights=str(path)
    )
    said: list[str] = []
    result = train_classifier(dataset, tmp_path / "run", config, features=TINY_FEATURES, on_note=said.append)
    assert said == ["1 of 3 groups (8 of 16 moments) have no sampling weight and are never drawn: a"]
    summary = load_model(result.final_path).training
    assert summary["config"]["sampling_weights"] == str(path)
    assert summary["sampling"]["group_field"] == "session_id"
    assert summary["sampling"]["moments_drawn_from"] == 8
    assert summary["sampling"]["notes"] == said and len(summary["sampling"]["sha256"]) == 64


def test_the_command_takes_the_file(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_file(tmp_path, "session_id", {"a": 0.5})
    words = f"train --dataset {dataset.root} -o {tmp_path / 'm'} --epochs 1 --no-augment --device cpu --json"
    with pytest.raises(SystemExit, match=r"^0$"):
        run([*words.split(), "--sampling-weights", str(path)])
    out, err = capsys.readouterr()
    assert "2 of 3 groups (8 of 16 moments) have no sampling weight and are never drawn: b, c" in err
    assert json.loads(out)["config"]["sampling_weights"] == str(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not a file of sampling weights: Input data was truncated"),
        ("{}", "missing required field `parameters`"),
        ('{"parameters": {}, "weights": {}}', "missing required field `group_field`"),
        (
            '{"parameters": {"group_field": "kit_id"}, "weights": {"a": {"count": 1, "weight": 1}}}',
            "groups by 'kit_id', but a dataset knows only session_id and audio_path",
        ),
        (
            '{"parameters": {"group_field": "session_id"}, "weights": {"a": {"count": 1, "weight": -1}}}',
            r"Expected `float` >= 0\.0",
        ),
        (
            '{"parameters": {"group_field": "session_id"}, "weights": {"a": {"count": 1, "weight": 1e999}}}',
            "is not a file of sampling weights: Number out of range",
        ),
        (
            '{"parameters": {"group_field": "session_id"}, "weights": {"a": {"count": 1, "weight": 0}}}',
            "no group has a weight above 0",
        ),
        ('{"parameters": {"group_field": "session_id"}, "weights": {}}', "no group has a weight above 0"),
    ],
)
def test_faulty_files_are_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "weights.json"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as caught:
        read_weights(path)
    assert str(caught.value).startswith(f"{path}: ")
