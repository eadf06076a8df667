"""Losses of one step: labels, and velocity and openness where they are known.

Conventions: logits (n, columns) as :mod:`beatsight.models.heads` lays them out; targets of a
:class:`~beatsight.dataset.batches.Batch`; every loss is a mean, so its size does not depend on the batch's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from beatsight.dataset.batches import Batch
from beatsight.models.heads import take_apart

# Beside the labels' loss, whose cross-entropies are several times as large as these squared errors.
_VELOCITY_SHARE, _OPENNESS_SHARE = 1.0, 1.0
_MOST_CLASS_WEIGHT = 10.0

Counted = Callable[[Tensor], Tensor]


def _here(count: Tensor) -> Tensor:
    return count


@dataclass(frozen=True)
class Loss:
    """How a step is judged.

    Attributes:
        classes: number of labels.
        heads: further heads of the network.
        kind: ``bce`` or ``cross_entropy``.
        smoothing: how far targets are drawn from 0 and 1.
        positive_weights: per class, how much a positive counts, (classes,), or None.
    """

    classes: int
    heads: tuple[str, ...]
    kind: str = "bce"
    smoothing: float = 0.0
    positive_weights: Tensor | None = None

    def __call__(self, logits: Tensor, batch: Batch, counted: Counted = _here) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            logits: (n, columns).
            batch: its targets.
            counted: gives the mean of a number over all processes. What is unknown is left out of the means,
                and the processes do not know equally much: each divides by what they know on average, so
                that the mean of their losses is that of the whole batch.
        """
        parts = take_apart(logits.float(), self.classes, self.heads)
        total = self._labels(parts.labels, batch.labels, counted)
        if parts.velocity is not None:
            # A drum that does not sound has no velocity to learn.
            known = batch.velocity.isfinite() & (batch.labels > 0)
            total = total + _VELOCITY_SHARE * _squared(parts.velocity, batch.velocity, known, counted)
        if parts.openness is not None:
            known = batch.openness.isfinite()
            total = total + _OPENNESS_SHARE * _squared(parts.openness, batch.openness, known, counted)
        return total

    def _labels(self, logits: Tensor, labels: Tensor, counted: Counted) -> Tensor:
        if self.kind == "bce":
            target = labels * (1.0 - self.smoothing) + 0.5 * self.smoothing
            return functional.binary_cross_entropy_with_logits(
                logits, target, pos_weight=self.positive_weights
            )
        # Several drums at once share the certainty; a moment without a drum has nothing to be certain of.
        total = labels.sum(dim=1, keepdim=True)
        target = labels / total.clamp_min(1.0) * (1.0 - self.smoothing) + self.smoothing / self.classes
        if self.positive_weights is not None:
            target = target * self.positive_weights
        return _mean(-(target * logits.log_softmax(dim=1)).sum(dim=1), total.squeeze(1) > 0, counted)


def _squared(logits: Tensor, target: Tensor, known: Tensor, counted: Counted) -> Tensor:
    """Mean squared error over what is known; 0 (with a gradient of 0) where nothing is."""
    return _mean((logits.sigmoid() - torch.nan_to_num(target)) ** 2, known, counted)


def _mean(values: Tensor, known: Tensor, counted: Counted) -> Tensor:
    count = counted(known.sum().to(values.dtype))
    return (values * known).sum() / torch.where(count > 0, count, 1.0)


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """How much a positive of each class counts: by the square root of how rare it is beside the commonest.

    Args:
        labels: 0/1, shape (moments, classes).

    Returns:
        float32, shape (classes,), 1 for the commonest class, at most 10; 1 for a class without positives.

    >>> balanced_weights(np.array([[1, 0, 0]] * 4 + [[0, 1, 0]])).tolist()
    [1.0, 2.0, 1.0]
    """
    counts = labels.sum(axis=0).astype(np.float64)
    rare = np.sqrt(counts.max(initial=1.0) / np.maximum(counts, 1.0))
    return np.where(counts > 0, np.minimum(rare, _MOST_CLASS_WEIGHT), 1.0).astype(np.float32)
