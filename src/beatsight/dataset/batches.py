"""Batches of log-mel clips and labels, cut from the shards without a step per clip.

:class:`ClipSource` gathers whole batches of audio by index arithmetic; :class:`Batches` draws rows, augments
and turns them into features with the steps of :func:`beatsight.audio.features.clip_features`, which inference
uses. Shards hold 16 bits: for mono 16-bit files at 44.1 kHz the features of a row, without augmentation, are
bit-equal to those of a clip cut from the decoded file; for others they differ by the rounding to 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from beatsight.audio.features import FeatureConfig, focus, mel_power, power_to_features
from beatsight.dataset.augment import AugmentConfig
from beatsight.dataset.store import FULL_SCALE, Dataset

# A neighbour starts this long before the moment (its tail rings on) or after it.
_EARLIER_S, _LATER_S = (0.04, 0.30), (0.03, 0.20)
_EARLIER_SHARE = 0.75
_MOST_LAYERS = 2  # other clips at the moment, and neighbours, at most
_LAYER_JITTER_S = 0.004
_EQUALISER_POINTS = 6  # of a random frequency response, spread over the mel bands
_SILENT = 1e-6


@dataclass(frozen=True)
class Batch:
    """Features (n, mels, frames) in 0..1, labels (n, classes) in {0, 1}, and the rows they come from (n,)."""

    features: Tensor
    labels: Tensor
    rows: np.ndarray


class ClipSource:
    """Audio clips around moments, by row number."""

    def __init__(self, dataset: Dataset, features: FeatureConfig) -> None:
        self.dataset, self.features = dataset, features

    def cut(
        self, rows: np.ndarray, shift: np.ndarray | None = None, speed: np.ndarray | None = None
    ) -> np.ndarray:
        """Clips of moments, zeros where the segment has no audio.

        Args:
            rows: row numbers, shape (n,).
            shift: whole samples by which each clip's window moves (positive: later audio), shape (n,).
            speed: tape speed of each clip around its onset, shape (n,); 1 is unchanged.

        Returns:
            float32, shape (n, clip_samples).
        """
        moments = self.dataset.moments
        offset = np.arange(self.features.clip_samples) - self.features.pre_samples
        position = np.broadcast_to(offset, (len(rows), len(offset)))
        if shift is not None:
            position = position + shift.astype(np.int64)[:, None]
        if speed is not None:
            stretched = position * speed[:, None]
            whole = np.floor(stretched).astype(np.int64)
            part = (stretched - whole).astype(np.float32)
            left = self._read(rows, whole + moments.onset[rows, None])
            return left + part * (self._read(rows, whole + 1 + moments.onset[rows, None]) - left)
        return self._read(rows, position + moments.onset[rows, None])

    def _read(self, rows: np.ndarray, position: np.ndarray) -> np.ndarray:
        moments = self.dataset.moments
        start, end = moments.start[rows, None], moments.end[rows, None]
        inside = (position >= start) & (position < end)
        position = np.clip(position, start, end - 1)
        out = np.empty(position.shape, np.float32)
        shard = moments.shard[rows]
        for number in np.unique(shard):
            mine = shard == number
            out[mine] = self.dataset.shards[number][position[mine]]
        out *= inside
        out /= np.float32(FULL_SCALE)
        return out


class Batches:
    """An endless or one-pass supply of batches of one split.

    Args:
        dataset: opened with :func:`beatsight.dataset.store.open_dataset`.
        split: ``train``, ``val`` or ``test``.
        features: settings of the clips.
        augment: what is done to them, or None for the bare clips.
        device: where features are made and batches live.
        seed: of everything random; the same seed gives the same batches.
        weights: probability of each row of the split to be drawn, shape (rows,), sum 1; by default rare
            classes are drawn more often than their share.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        features: FeatureConfig,
        *,
        augment: AugmentConfig | None,
        device: torch.device,
        seed: int,
        weights: np.ndarray | None = None,
    ) -> None:
        self.source = ClipSource(dataset, features)
        self.rows = dataset.rows(split)
        self.labels = dataset.moments.labels[self.rows].astype(np.float32)
        self.isolated = dataset.moments.isolated[self.rows]
        self.features, self.augment, self.device = features, augment, device
        self.random = np.random.default_rng(seed)
        self.weights = _class_weights(self.labels) if weights is None else weights

    def __len__(self) -> int:
        return len(self.rows)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every row once, in order."""
        for start in range(0, len(self.rows), batch_size):
            yield self._batch(np.arange(start, min(start + batch_size, len(self.rows))))

    def sampled(self, batch_size: int, batches: int) -> Iterator[Batch]:
        """Rows drawn with replacement, by their weights."""
        for _ in range(batches):
            yield self._batch(self.random.choice(len(self.rows), batch_size, p=self.weights))

    def _batch(self, picks: np.ndarray) -> Batch:
        if self.augment is None:
            audio, labels = self.source.cut(self.rows[picks]), self.labels[picks]
        else:
            audio, labels = self._mixed(picks, self.augment)
        power = mel_power(torch.from_numpy(audio).to(self.device), self.features)
        if self.augment is not None:
            power = power * self._equaliser(len(picks), self.augment).to(self.device)
        return Batch(
            focus(power_to_features(power, self.features), self.features),
            torch.from_numpy(labels).to(self.device),
            self.rows[picks],
        )

    def _speeds(self, count: int, config: AugmentConfig) -> np.ndarray | None:
        if not config.speed:
            return None
        return 1.0 + self.random.uniform(-config.speed, config.speed, count)

    def _levelled(self, picks: np.ndarray, shift: np.ndarray, config: AugmentConfig) -> np.ndarray:
        """Clips brought to peak 1 (a silent one stays silent)."""
        audio = self.source.cut(self.rows[picks], shift, self._speeds(len(picks), config))
        peak = np.abs(audio).max(axis=1, keepdims=True)
        return np.where(peak > _SILENT, audio / np.maximum(peak, _SILENT), 0.0).astype(np.float32)

    def _gains(self, count: int, range_db: tuple[float, float]) -> np.ndarray:
        return (10.0 ** (self.random.uniform(*range_db, count) / 20.0)).astype(np.float32)[:, None]

    def _mixed(self, picks: np.ndarray, config: AugmentConfig) -> tuple[np.ndarray, np.ndarray]:
        rate = self.features.sample_rate
        n, random, isolated = len(picks), self.random, self.isolated[picks]
        jitter = random.uniform(-config.jitter_ms, config.jitter_ms, n) / 1000.0
        audio = self._levelled(picks, np.round(jitter * rate), config)
        labels = self.labels[picks].copy()
        for _ in range(_MOST_LAYERS):
            chosen = np.flatnonzero(
                random.random(n) < np.where(isolated, config.mix_isolated, config.mix) / 2
            )
            others = random.choice(len(self.rows), len(chosen), p=self.weights)
            apart = jitter[chosen] + random.uniform(-_LAYER_JITTER_S, _LAYER_JITTER_S, len(chosen))
            layer = self._levelled(others, np.round(apart * rate), config)
            audio[chosen] += layer * self._gains(len(chosen), config.mix_gain_db)
            labels[chosen] = np.maximum(labels[chosen], self.labels[others])
        # Only one-shots can be neighbours: a clip of a song holds other hits, which could fall on the moment.
        single = np.flatnonzero(self.isolated & (self.weights > 0))
        for _ in range(_MOST_LAYERS if len(single) else 0):
            probability = np.where(isolated, config.neighbour_isolated, config.neighbour) / _MOST_LAYERS
            chosen = np.flatnonzero(random.random(n) < probability)
            weights = self.weights[single] / self.weights[single].sum()
            others = random.choice(single, len(chosen), p=weights)
            earlier = random.random(len(chosen)) < _EARLIER_SHARE
            apart = np.where(
                earlier, random.uniform(*_EARLIER_S, len(chosen)), -random.uniform(*_LATER_S, len(chosen))
            )
            # The cut moves to after the neighbour's onset, so its tail lies under the moment.
            layer = self._levelled(others, np.round(apart * rate), config)
            audio[chosen] += layer * self._gains(len(chosen), config.neighbour_gain_db)
        noisy = np.flatnonzero(random.random(n) < config.noise)
        noise = random.standard_normal((len(noisy), audio.shape[1]), np.float32)
        audio[noisy] += noise * self._gains(len(noisy), config.noise_db)
        return audio, labels

    def _equaliser(self, count: int, config: AugmentConfig) -> Tensor:
        """Power gains per clip and mel band, shape (count, mels, 1)."""
        points = self.random.normal(0.0, config.equaliser_db, (count, _EQUALISER_POINTS))
        points *= (self.random.random(count) < config.equaliser)[:, None]
        at = np.linspace(0, _EQUALISER_POINTS - 1, self.features.n_mels)
        low = np.minimum(at.astype(int), _EQUALISER_POINTS - 2)
        decibels = points[:, low] + (at - low) * (points[:, low + 1] - points[:, low])
        return torch.from_numpy((10.0 ** (decibels / 10.0)).astype(np.float32)).unsqueeze(-1)


def _class_weights(labels: np.ndarray) -> np.ndarray:
    """Per row: the mean over its classes of 1 / sqrt(count); rows without a class as the commonest class."""
    if not len(labels):
        return np.zeros(0)
    counts = labels.sum(axis=0)
    per_class = 1.0 / np.sqrt(np.maximum(counts, 1.0))
    present = labels.sum(axis=1)
    weight = np.where(present > 0, labels @ per_class / np.maximum(present, 1), per_class.min())
    return weight / weight.sum()
