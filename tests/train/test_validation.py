"""Validation: a planted temperature is found, scores become as certain as they are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.train.config import TrainConfig
from beatsight.train.setup import Setup, set_up
from beatsight.train.validation import _scores, fit_temperature, validate
from tiny_dataset import TINY_FEATURES, tiny_songs


def calibration_error(truth: np.ndarray, scores: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of Guo et al., over all cells."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(truth[which == b].mean() - scores[which == b].mean()) * (which == b).mean()
        for b in range(bins)
        if (which == b).any()
    ]
    return float(np.sum(gaps))


@pytest.mark.parametrize("planted", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found(planted: float) -> None:
    random = np.random.default_rng(3)
    honest = random.normal(0, 2, (4000, 5))
    truth = random.random((4000, 5)) < 1 / (1 + np.exp(-honest))
    found = fit_temperature(truth, honest * planted)
    assert found == pytest.approx(planted, rel=0.05)
    before = calibration_error(truth, _scores(honest * planted, "sigmoid"))
    after = calibration_error(truth, _scores(honest * planted / found, "sigmoid"))
    assert after < 0.02
    assert after < before / 3 or planted == 1.0


@pytest.mark.parametrize("planted", [0.5, 3.0])
def test_a_planted_temperature_of_a_softmax_is_found(planted: float) -> None:
    random = np.random.default_rng(4)
    honest = random.normal(0, 2, (4000, 5))
    powers = np.exp(honest)
    chances = powers / powers.sum(axis=1, keepdims=True)
    drawn = (random.random((4000, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(max=4)
    truth = np.eye(5, dtype=bool)[drawn]
    found = fit_temperature(truth, honest * planted, "softmax")
    assert found == pytest.approx(planted, rel=0.07)
    scores = _scores(honest * planted, "softmax")
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)
    assert calibration_error(truth, _scores(honest * planted / found, "softmax")) < calibration_error(
        truth, scores
    )


def test_rows_without_a_drum_do_not_move_a_softmax() -> None:
    random = np.random.default_rng(5)
    logits, truth = random.normal(0, 3, (200, 4)), np.eye(4, dtype=bool)[random.integers(0, 4, 200)]
    more = np.concatenate([truth, np.zeros((50, 4), bool)]), np.concatenate([logits, logits[:50]])
    assert fit_temperature(truth, logits, "softmax") == pytest.approx(fit_temperature(*more, "softmax"))


def test_a_broken_network_does_not_get_a_broken_temperature() -> None:
    truth = np.random.default_rng(6).random((300, 3)) < 0.5
    assert 0.2 <= fit_temperature(truth, np.where(truth, 1e6, -1e6)) <= 5.0
    assert 0.2 <= fit_temperature(truth, np.where(truth, -5.0, 5.0)) <= 5.0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("validation")
    events = tiny_songs(folder / "audio", 3, ("kick", "hihat_open"), beats=6)
    for number, event in enumerate(events):
        event.components[0].velocity = 0.3 if number % 2 else None
        if event.components[0].label == "hihat_open":
            event.components[0].openness = 0.8
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.34)


def made(dataset: Dataset, **settings: Any) -> Setup:
    config = TrainConfig(device="cpu", precision="fp32", augment=None, network="compact", **settings)
    return set_up(dataset, config, TINY_FEATURES, torch.device("cpu"))


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_what_is_stored_is_what_the_model_uses(dataset: Dataset, tmp_path: Path, loss: str) -> None:
    """Scores of the model afterwards, against the thresholds it was given, have the F1 that was reported."""
    setup = made(dataset, loss=loss)
    with torch.no_grad():
        setup.model.network.fc.weight *= 30.0  # scores far apart, which no rounding can reorder
    found = validate(setup)
    assert setup.validation is not None
    (batch,) = setup.validation.in_order(64)
    scores = setup.model.scores_of_features(batch.features).numpy()
    if loss == "cross_entropy":
        np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-5)
    predicted, truth = scores >= setup.model.thresholds, batch.labels.numpy() > 0.5
    hits = (predicted & truth).sum()
    assert found.micro_f1 == pytest.approx(2 * hits / (predicted.sum() + truth.sum()))
    assert setup.model.calibration["temperature"] != 1.0
    with torch.no_grad():
        logits = setup.model.network(batch.features.unsqueeze(1))
    assert found.loss == pytest.approx(float(setup.loss(logits, batch)), rel=1e-5)


def test_the_loss_does_not_depend_on_how_validation_is_cut(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from beatsight.train import validation

    setup = made(dataset, loss="cross_entropy", heads=("velocity", "openness"))
    whole = validate(setup)
    monkeypatch.setattr(validation, "_VALIDATION_BATCH", 4)
    assert validate(setup).loss == pytest.approx(whole.loss, rel=1e-5)


def test_errors_of_velocity_and_openness_over_what_is_known(dataset: Dataset) -> None:
    setup = made(dataset, heads=("velocity", "openness"))
    found = validate(setup)
    assert setup.validation is not None
    (batch,) = setup.validation.in_order(64)
    heard = setup.model.hear_features(batch.features)
    assert heard.velocity is not None and heard.openness is not None
    wrong = [
        abs(float(heard.velocity[i, c]) - float(batch.velocity[i, c]))
        for i in range(len(batch.rows))
        for c in range(12)
        if batch.labels[i, c] > 0 and np.isfinite(float(batch.velocity[i, c]))
    ]
    assert wrong and found.velocity_mae == pytest.approx(np.mean(wrong), rel=1e-4)
    known = batch.openness.isfinite()
    gap = (heard.openness - batch.openness)[known].abs().mean()
    assert known.any() and found.openness_mae == pytest.approx(float(gap), rel=1e-4)
    assert validate(made(dataset)).velocity_mae is None
