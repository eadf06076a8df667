"""The held-out clips after an epoch: loss, F1, errors of velocity and openness; thresholds and temperature.

Temperature (Guo et al., 2017) divides the logits so that scores are as certain as they are right; thresholds
are fitted on the scores that it gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from beatsight.dataset.batches import Batch
from beatsight.metrics import multilabel_report
from beatsight.models.heads import take_apart
from beatsight.models.precision import autocast
from beatsight.train.setup import Setup
from beatsight.train.thresholds import fit_thresholds, song_weights

_VALIDATION_BATCH = 64
# A temperature outside would say that the network is broken, not that it is over- or underconfident.
_TEMPERATURES = (0.2, 5.0)


@dataclass(frozen=True)
class Validation:
    """Figures of one epoch; None where nothing is held out or nothing is known."""

    loss: float | None = None
    macro_f1: float | None = None
    micro_f1: float | None = None
    velocity_mae: float | None = None
    openness_mae: float | None = None

    def figures(self) -> dict[str, float | None]:
        """Under the names of history.jsonl."""
        return {f"val_{name}": value for name, value in vars(self).items()}


def validate(setup: Setup) -> Validation:
    """Score the validation split; the model gets the temperature and thresholds that fit it best."""
    model, validation, config = setup.model, setup.validation, setup.config
    if validation is None:
        return Validation()
    model.network.eval()
    outputs, targets = [], []
    with torch.inference_mode():
        # The same mixtures every epoch, so that epochs can be compared.
        for batch in validation.in_order(_VALIDATION_BATCH):
            image = batch.features.unsqueeze(1).to(memory_format=torch.channels_last)
            with autocast(setup.device, setup.precision):
                outputs.append(model.network(image).float())
            targets.append(replace(batch, features=batch.features.new_empty(0)))
        logits, known = torch.cat(outputs), _joined(targets)
        # Of all clips at once: a mean of the batches' means would depend on how they were cut.
        loss = float(setup.loss(logits, known))
        parts = take_apart(logits, len(model.labels), config.heads)
        found_velocity = None if parts.velocity is None else _numbers(parts.velocity.sigmoid())
        found_openness = None if parts.openness is None else _numbers(parts.openness.sigmoid())
        label_logits = _numbers(parts.labels)
    if not math.isfinite(loss):
        return Validation(loss=loss)
    truth, velocity = _numbers(known.labels) > 0.5, _numbers(known.velocity)
    model.calibration = {"temperature": fit_temperature(truth, label_logits, model.activation)}
    scores = _scores(label_logits / model.calibration["temperature"], model.activation)
    one_shots = validation.augment is not None
    model.thresholds = fit_thresholds(truth, scores, song_weights(truth, model.labels) if one_shots else None)
    report = multilabel_report(truth, scores >= model.thresholds)
    present = report.support > 0
    return Validation(
        loss=loss,
        macro_f1=float(report.f1[present].mean()) if present.any() else 0.0,
        micro_f1=float(report.micro.f1),
        velocity_mae=_mae(found_velocity, np.where(truth, velocity, np.nan)),
        openness_mae=_mae(found_openness, _numbers(known.openness)),
    )


def _joined(batches: Sequence[Batch]) -> Batch:
    """One batch of several, without their features."""
    columns = {
        name: torch.cat([getattr(batch, name) for batch in batches])
        for name in ("features", "labels", "velocity", "openness")
    }
    return Batch(**columns, rows=np.concatenate([batch.rows for batch in batches]))


def _numbers(values: Tensor) -> np.ndarray:
    return values.double().cpu().numpy()


def _mae(found: np.ndarray | None, truth: np.ndarray) -> float | None:
    known = np.isfinite(truth)
    return float(np.abs(found - truth)[known].mean()) if found is not None and known.any() else None


def _scores(logits: np.ndarray, activation: str) -> np.ndarray:
    if activation == "softmax":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500)))


def fit_temperature(truth: np.ndarray, logits: np.ndarray, activation: str = "sigmoid") -> float:
    """The temperature whose scores give the truth the largest likelihood.

    Args:
        truth: bool, shape (moments, classes).
        logits: the same shape.
        activation: ``sigmoid`` or ``softmax``.

    Returns:
        0.2 to 5; 1 changes nothing.
    """

    def surprise(log_temperature: float) -> float:
        z = logits / np.exp(log_temperature)
        if activation == "softmax":
            share = truth / np.maximum(truth.sum(axis=1, keepdims=True), 1)
            top = z.max(axis=1, keepdims=True)
            log_sum = top + np.log(np.exp(z - top).sum(axis=1, keepdims=True))
            return float(-(share * (z - log_sum)).sum())
        return float((np.logaddexp(0.0, z) - truth * z).mean())

    low, high = np.log(_TEMPERATURES)
    found = minimize_scalar(surprise, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))
