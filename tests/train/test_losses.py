"""Losses against torch, scikit-learn and the formulas written out in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from beatsight.dataset.batches import Batch
from beatsight.train.losses import Loss, balanced_weights

NAN = float("nan")


def batch(labels: Any, velocity: Any = None, openness: Any = None) -> Batch:
    table = torch.tensor(labels, dtype=torch.float32)
    unknown = torch.full_like(table, NAN)
    return Batch(
        features=torch.zeros(0),
        labels=table,
        velocity=unknown if velocity is None else torch.tensor(velocity, dtype=torch.float32),
        openness=unknown[:, 0] if openness is None else torch.tensor(openness, dtype=torch.float32),
        rows=np.arange(len(table)),
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


LOGITS = np.random.default_rng(0).normal(0, 2, (6, 3))
LABELS = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_bce_written_out(smoothing: float, weights: list[float] | None) -> None:
    p, w = sigmoid(LOGITS), np.array(weights or [1.0, 1.0, 1.0])
    t = np.array(LABELS) * (1 - smoothing) + smoothing / 2
    expected = -(w * t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    loss = Loss(3, (), "bce", smoothing, None if weights is None else torch.tensor(weights))
    assert float(loss(torch.tensor(LOGITS), batch(LABELS))) == pytest.approx(expected, rel=1e-5)


def test_bce_is_scikit_learns_log_loss() -> None:
    each = [log_loss(np.array(LABELS)[:, c], sigmoid(LOGITS[:, c]), labels=[0, 1]) for c in range(3)]
    found = float(Loss(3, ())(torch.tensor(LOGITS), batch(LABELS)))
    assert found == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 5.0]])
def test_cross_entropy_of_single_drums_is_torchs(smoothing: float, weights: list[float] | None) -> None:
    target = torch.tensor([0, 1, 2, 2, 0, 1])
    w = None if weights is None else torch.tensor(weights)
    labels = torch.nn.functional.one_hot(target, 3).float()
    # torch averages weighted hard targets by their weights, soft ones by their number, as we do.
    soft = labels * (1 - smoothing) + smoothing / 3
    expected = torch.nn.functional.cross_entropy(torch.tensor(LOGITS).float(), soft, weight=w)
    found = Loss(3, (), "cross_entropy", smoothing, w)(torch.tensor(LOGITS), batch(labels.tolist()))
    torch.testing.assert_close(found, expected)
    if weights is None:
        hard = torch.nn.functional.cross_entropy(
            torch.tensor(LOGITS).float(), target, label_smoothing=smoothing
        )
        torch.testing.assert_close(found, hard)


def test_cross_entropy_shares_drums_and_passes_over_silence() -> None:
    log_p = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    share = np.array(LABELS) / np.maximum(np.sum(LABELS, axis=1, keepdims=True), 1)
    expected = -(share * log_p).sum() / 5  # row 4 has no drum
    found = Loss(3, (), "cross_entropy")(torch.tensor(LOGITS), batch(LABELS))
    assert float(found) == pytest.approx(expected, rel=1e-5)
    silent = Loss(3, (), "cross_entropy", 0.1)(torch.tensor(LOGITS[:1]), batch([[0, 0, 0]]))
    assert float(silent) == 0.0


def test_heads_learn_only_what_is_known() -> None:
    """Velocity counts where it is known and the drum sounds; openness where it is known."""
    logits = torch.randn(3, 3 + 3 + 1, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    velocity = [[0.5, 0.9, NAN], [NAN, 0.25, NAN], [NAN, NAN, NAN]]
    planted = batch(labels, velocity, [NAN, 0.75, NAN])
    loss = Loss(3, ("velocity", "openness"))(logits, planted)
    z = logits.detach().double().numpy()
    labels_only = float(Loss(3, ())(logits.detach()[:, :3], planted))
    # (0, 1) is known, but does not sound.
    of_velocity = ((sigmoid(z[0, 3]) - 0.5) ** 2 + (sigmoid(z[1, 4]) - 0.25) ** 2) / 2
    of_openness = (sigmoid(z[1, 6]) - 0.75) ** 2
    assert float(loss.detach()) == pytest.approx(labels_only + of_velocity + of_openness, rel=1e-5)
    loss.backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    learnt = logits.grad[:, 3:] != 0
    assert learnt.nonzero().tolist() == [[0, 0], [1, 1], [1, 3]]


def test_nothing_known_is_no_loss_and_no_gradient() -> None:
    logits = torch.randn(2, 7, requires_grad=True)
    loss = Loss(3, ("velocity", "openness"))(logits, batch([[1, 0, 0], [0, 1, 0]]))
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(loss) and not logits.grad[:, 3:].any()


@given(st.integers(0, 6), st.integers(0, 2**31))
def test_the_mean_over_parts_is_the_loss_of_the_whole(cut: int, seed: int) -> None:
    """Two processes that hold ``cut`` and ``6 - cut`` clips know unequally much; their mean is exact."""
    random = np.random.default_rng(seed)
    labels = (random.random((6, 3)) < 0.4).astype(float)
    velocity = np.where(random.random((6, 3)) < 0.5, random.random((6, 3)), NAN)
    openness = np.where(random.random(6) < 0.5, random.random(6), NAN)
    logits = torch.tensor(random.normal(size=(6, 7)), dtype=torch.float64)
    loss = Loss(3, ("velocity", "openness"), "cross_entropy", 0.1)
    whole = float(loss(logits, batch(labels.tolist(), velocity.tolist(), openness.tolist())))
    parts = [
        (logits[part], batch(labels[part].tolist(), velocity[part].tolist(), openness[part].tolist()))
        for part in (slice(0, cut), slice(cut, 6))
        if len(labels[part])
    ]
    counts: list[list[float]] = []

    def count(part: tuple[torch.Tensor, Batch]) -> list[float]:
        seen: list[float] = []
        loss(*part, lambda known: (seen.append(float(known)), known)[1])
        return seen

    counts = [count(part) for part in parts]
    shared = np.mean(counts, axis=0)

    def of(part: tuple[torch.Tensor, Batch]) -> float:
        each = iter(shared)
        return float(loss(*part, lambda known: torch.tensor(next(each), dtype=known.dtype)))

    assert np.mean([of(part) for part in parts]) == pytest.approx(whole, rel=1e-4, abs=1e-6)


def test_rare_classes_count_more_up_to_a_limit() -> None:
    counts = [400, 100, 1, 0]
    labels = np.zeros((501, 4), np.uint8)
    start = 0
    for column, n in enumerate(counts):
        labels[start : start + n, column] = 1
        start += n
    assert balanced_weights(labels).tolist() == [1.0, 2.0, 10.0, 1.0]
    assert balanced_weights(np.zeros((3, 2))).tolist() == [1.0, 1.0]
