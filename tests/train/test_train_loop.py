"""The loop learns what can be learnt, repeats itself for a seed, keeps the best epoch, stops on nonsense."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight.dataset.augment import AugmentConfig
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.evaluate import evaluate_model
from beatsight.models.checkpoint import load_model
from beatsight.train import loop
from beatsight.train.config import TrainConfig
from beatsight.train.loop import EpochResult, train_classifier
from tiny_dataset import TINY_FEATURES, tiny_songs

QUICK = TrainConfig(epochs=2, batch_size=8, device="cpu", precision="fp32", augment=None)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Kick, snare and hi-hat in turn: four sessions, one held out."""
    folder = tmp_path_factory.mktemp("train")
    events = tiny_songs(folder / "audio", 4, ("kick", "snare", "hihat_closed"), beats=6)
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.25)


@pytest.fixture(scope="module")
def no_val(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("noval")
    events = tiny_songs(folder / "audio", 1, ("kick", "snare"), beats=4)
    return build_dataset(events, folder / "audio", folder / "d")


def train(dataset: Dataset, folder: Path, config: TrainConfig = QUICK, **more: Any) -> loop.TrainResult:
    return train_classifier(dataset, folder, config, features=TINY_FEATURES, **more)


def changed(**settings: Any) -> TrainConfig:
    return TrainConfig(**{**QUICK.to_dict(), **settings})


def test_it_learns_three_drums_apart(dataset: Dataset, tmp_path: Path) -> None:
    result = train(dataset, tmp_path, changed(epochs=12, lr=0.01, patience=0))
    assert result.history[-1].train_loss < 0.3 * result.history[0].train_loss
    assert max(row.val_macro_f1 or 0.0 for row in result.history) == 1.0
    report = evaluate_model(result.model, dataset, "val").report
    assert report.f1[report.support > 0].min() == 1.0


def test_files_and_callbacks(dataset: Dataset, tmp_path: Path) -> None:
    epochs: list[EpochResult] = []
    steps: list[tuple[int, int]] = []
    out = tmp_path / "new" / "run"
    result = train(
        dataset, out, on_epoch=epochs.append, on_step=lambda done, total: steps.append((done, total))
    )
    assert {path.name for path in out.iterdir()} == {
        "best_drum_classifier.pth",
        "final_drum_classifier.pth",
        "history.jsonl",
    }
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2] == [row.epoch for row in epochs]
    assert rows[1]["val_macro_f1"] == result.history[1].val_macro_f1
    per_epoch = round(len(dataset.rows("train")) / 8)
    assert steps == [(i + 1, 2 * per_epoch) for i in range(2 * per_epoch)]
    final = load_model(result.final_path)
    assert final.features == TINY_FEATURES
    assert final.training["epochs_done"] == 2
    assert final.training["config"] == QUICK.to_dict()
    assert load_model(result.best_path).training["best_epoch"] == result.best_epoch
    assert "china" in final.training["untrained_labels"]


@pytest.mark.parametrize("augment", [None, AugmentConfig()])
def test_the_same_seed_gives_the_same_weights(
    dataset: Dataset, tmp_path: Path, augment: AugmentConfig | None
) -> None:
    def weights(name: str, seed: int) -> dict[str, torch.Tensor]:
        config = TrainConfig(
            epochs=1, batch_size=8, device="cpu", precision="fp32", augment=augment, seed=seed
        )
        return load_model(train(dataset, tmp_path / name, config).final_path).network.state_dict()

    first, again, other = weights("a", 3), weights("b", 3), weights("c", 4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])


def test_without_validation_the_last_epoch_is_the_best(no_val: Dataset, tmp_path: Path) -> None:
    result = train(no_val, tmp_path, changed(epochs=3, patience=1))
    assert result.best_epoch == len(result.history) == 3
    assert result.history[-1].val_loss is None and result.history[-1].val_macro_f1 is None
    best, final = load_model(result.best_path), load_model(result.final_path)
    assert all(
        torch.equal(a, b)
        for a, b in zip(best.network.state_dict().values(), final.network.state_dict().values(), strict=True)
    )
    np.testing.assert_array_equal(best.thresholds, 0.5)


def planted_losses(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Validation that says these losses, epoch by epoch."""
    values = iter(losses)

    def validate(*_: Any) -> dict[str, float]:
        value = next(values)
        return {"loss": value, "macro_f1": 0.5, "micro_f1": 0.5}

    monkeypatch.setattr(loop, "_validate", validate)


def test_it_stops_early_and_keeps_the_best_epoch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted_losses(monkeypatch, [0.8, 0.4, 0.5, 0.4, 0.1])
    result = train(dataset, tmp_path, changed(epochs=5, patience=2))
    assert [row.val_loss for row in result.history] == [0.8, 0.4, 0.5, 0.4]
    assert result.best_epoch == 2
    best = load_model(result.best_path)
    assert (best.training["best_epoch"], best.training["epochs_done"]) == (2, 2)
    assert load_model(result.final_path).training["epochs_done"] == 4
    assert torch.equal(result.model.network.fc.weight, best.network.fc.weight)


def test_patience_zero_never_stops(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted_losses(monkeypatch, [0.1, 0.9, 0.9, 0.9])
    result = train(dataset, tmp_path, changed(epochs=4, patience=0))
    assert (len(result.history), result.best_epoch) == (4, 1)


def test_a_loss_that_is_no_number_names_its_batch(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.classification_loss, [0]

    def loss(*arguments: Any) -> torch.Tensor:
        calls[0] += 1
        return real(*arguments) * (math.nan if calls[0] == 2 else 1.0)

    monkeypatch.setattr(loop, "classification_loss", loss)
    why = r"the loss is nan in epoch 1, batch 2 \(dataset rows (\d+, ){7}\d+ …\); lower --lr"
    with pytest.raises(InputError, match=why):
        train(dataset, tmp_path)


def test_an_empty_training_split_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    dataset.moments.split.setflags(write=True)
    original = dataset.moments.split.copy()
    try:
        dataset.moments.split[:] = 1
        with pytest.raises(InputError, match="the training split is empty"):
            train(dataset, tmp_path)
    finally:
        dataset.moments.split[:] = original


def test_a_wrong_precision_or_device_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown precision 'half'"):
        train(dataset, tmp_path, changed(precision="half"))
    with pytest.raises(UsageError, match="unknown device 'tpu9'"):
        train(dataset, tmp_path, changed(device="tpu9"))


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    factors = [loop._learning_rate(step, 200) for step in range(201)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(factors) == factors[10] == 1.0
    assert (np.diff(factors[10:]) < 0).all()
    assert factors[200] == pytest.approx(0.0, abs=1e-12)


def test_the_loss_equals_cross_entropy_written_out() -> None:
    logits = torch.tensor([[0.3, -2.0], [1.5, 0.0]])
    labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    class Fixed(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return logits

    p = 1 / (1 + (-logits).exp())
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    loss = loop.classification_loss(Fixed(), torch.zeros(2, 4, 4), labels, torch.device("cpu"), "fp32")
    torch.testing.assert_close(loss, expected)
