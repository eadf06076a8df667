"""Batches of log-mel clips and labels, cut from the shards without a step per clip.

:class:`Batches` draws rows and strokes, gathers them with :class:`~beatsight.dataset.clips.ClipSource`, adds
them up, applies effects, and makes features with the steps of
:func:`beatsight.audio.features.clip_features`, which inference uses; all but the gathering runs on the
training device. Shards hold 16 bits: for mono 16-bit files at 44.1 kHz the features of a row, without
augmentation, are bit-equal to those of a clip cut from the decoded file; for others they differ by the
rounding to 16 bits.

Batch ``k`` depends on the seed and on ``k`` alone, so a run goes on after a stop where it was, and several
processes divide each batch among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from beatsight.audio.features import FeatureConfig, focus, mel_power, power_to_features
from beatsight.dataset.augment import AugmentConfig
from beatsight.dataset.clips import ClipSource
from beatsight.dataset.effects import (
    NOISE_OFFSETS,
    add_noise,
    add_room,
    on_some,
    saturate,
    shift_pitch,
    stretch_time,
    through_codec,
)
from beatsight.dataset.store import Dataset
from beatsight.dataset.strokes import Strokes, draw_strokes, plain_strokes
from beatsight.taxonomy import fold

_EQUALISER_POINTS = 6  # of a random frequency response, spread over the mel bands
_SILENT = 1e-6
# What pitch may do to a cymbal or hat: their inharmonic spectra are heard as another instrument soon.
_CYMBAL_PITCH_SHARE = 0.02
_CYMBALS = ("CY", "HH")
# Numbers that keep the generators of training and of ordered passes apart.
_SAMPLED, _ORDERED = 1, 2


@dataclass(frozen=True)
class Batch:
    """What a step of training sees.

    Attributes:
        features: (n, mels, frames) in 0..1.
        labels: (n, classes) in {0, 1}.
        velocity: (n, classes) in 0..1, NaN where unknown; those of the moment itself, as the level of what is
            mixed to it is drawn at random.
        openness: (n,) in 0..1, NaN where unknown.
        rows: dataset rows the clips come from, (n,).
    """

    features: Tensor
    labels: Tensor
    velocity: Tensor
    openness: Tensor
    rows: np.ndarray


class Batches:
    """A supply of batches of one split.

    Args:
        dataset: opened with :func:`beatsight.dataset.store.open_dataset`.
        split: ``train``, ``val`` or ``test``.
        features: settings of the clips.
        augment: what is done to them, or None for the bare clips.
        device: where batches are made and live.
        seed: of everything random; the same seed gives the same batches.
        weights: probability of each row of the split to be drawn, shape (rows,), sum 1; by default rare
            classes are drawn more often than their share.
        background: sound without drums to lay under clips, float32 mono at the features' rate, or None.
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
        background: np.ndarray | None = None,
    ) -> None:
        self.source = ClipSource(dataset, features)
        self.rows = dataset.rows(split)
        self.labels = dataset.moments.labels[self.rows].astype(np.float32)
        self.isolated = dataset.moments.isolated[self.rows]
        self.features, self.augment, self.device, self.seed = features, augment, device, seed
        self.weights = _class_weights(self.labels) if weights is None else weights
        self.cymbal = np.array([fold(label, "five") in _CYMBALS for label in dataset.labels])
        self.background = background

    def __len__(self) -> int:
        return len(self.rows)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every row once, in order; the same mixtures every time."""
        for number, start in enumerate(range(0, len(self.rows), batch_size)):
            picks = np.arange(start, min(start + batch_size, len(self.rows)))
            yield self._batch(picks, self._generator(_ORDERED, number), slice(0, len(picks)))

    def sampled(
        self, batch_size: int, first: int, count: int, part: tuple[int, int] = (0, 1)
    ) -> Iterator[Batch]:
        """Batches ``first`` to ``first + count - 1`` of rows drawn with replacement, by their weights.

        Args:
            batch_size: clips of a whole batch.
            first: number of the first batch.
            count: how many.
            part: (index, number of parts): which stretch of every batch to make.
        """
        index, parts = part
        clips = slice(batch_size * index // parts, batch_size * (index + 1) // parts)
        for number in range(first, first + count):
            random = self._generator(_SAMPLED, number)
            yield self._batch(random.choice(len(self.rows), batch_size, p=self.weights), random, clips)

    def with_sound(self, picks: np.ndarray, number: int) -> tuple[Batch, Tensor]:
        """Batch ``number`` of chosen rows of the split, and its clips as sound (n, samples).

        Changes of pitch, tempo, room and frequency response are made on the mel power: they are in the
        batch's features, not in the sound.

        Args:
            picks: indices into ``rows``, shape (n,).
            number: what is drawn follows from it and the seed.
        """
        return self._made(picks, self._generator(_ORDERED, number), slice(0, len(picks)))

    def _generator(self, kind: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, kind, number])

    def _batch(self, picks: np.ndarray, random: np.random.Generator, clips: slice) -> Batch:
        return self._made(picks, random, clips)[0]

    def _made(self, picks: np.ndarray, random: np.random.Generator, clips: slice) -> tuple[Batch, Tensor]:
        rows = self.rows[picks[clips]]
        if self.augment is None:
            strokes = plain_strokes(picks).of(clips)
            audio, labels = self._tensor(self.source.cut(self.rows[strokes.pick])), self.labels[strokes.pick]
            power = mel_power(audio, self.features)
        else:
            rate = self.features.sample_rate
            strokes = draw_strokes(picks, self.weights, self.isolated, self.augment, rate, random)
            effects = _Effects.draw(len(picks), self.augment, random).of(clips)
            strokes = strokes.of(clips)
            audio, labels = self._sum(strokes, len(rows))
            audio = self._on_sound(audio, effects, self.augment)
            power = self._on_power(mel_power(audio, self.features), effects, labels, self.augment)
        moments = self.source.dataset.moments
        batch = Batch(
            features=focus(power_to_features(power, self.features), self.features),
            labels=self._tensor(labels),
            velocity=self._tensor(moments.velocity[rows]),
            openness=self._tensor(moments.openness[rows]),
            rows=rows,
        )
        return batch, audio

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device, non_blocking=True)

    def _sum(self, strokes: Strokes, clips: int) -> tuple[Tensor, np.ndarray]:
        """Strokes brought to peak 1 (a silent one stays silent), times their gains, added up."""
        sound = self._tensor(self.source.cut(self.rows[strokes.pick], strokes.shift))
        peak = sound.abs().amax(dim=1)
        gain = self._tensor(strokes.gain)
        sound *= torch.where(peak > _SILENT, gain / peak.clamp_min(_SILENT), torch.zeros_like(gain))[:, None]
        # The first strokes are the clips themselves; most clips get few others.
        audio = sound[:clips]
        audio.index_add_(0, self._tensor(strokes.clip[clips:]), sound[clips:])
        labels = np.zeros((clips, self.labels.shape[1]), np.float32)
        named = strokes.labelled
        np.maximum.at(labels, strokes.clip[named], self.labels[strokes.pick[named]])
        return audio, labels

    def _on_sound(self, audio: Tensor, effects: _Effects, config: AugmentConfig) -> Tensor:
        if self.background is not None and (chosen := np.flatnonzero(effects.background_gain)).size:
            index = self._tensor(chosen)
            audio[index] += self._under(effects.background_at[chosen], effects.background_gain[chosen])
        peak = audio.abs().amax(dim=1, keepdim=True).clamp_min(_SILENT)
        driven = np.flatnonzero(effects.drive)
        if len(driven):
            audio = on_some(audio / peak, driven, saturate, effects.drive) * peak
        audio = add_noise(audio, self._tensor(effects.noise), self._tensor(effects.noise_at))
        return through_codec(audio, self.features.sample_rate) if effects.codec else audio

    def _under(self, at: np.ndarray, gain: np.ndarray) -> Tensor:
        """Stretches of the background, each at its level against a peak of 1."""
        assert self.background is not None
        windows = np.lib.stride_tricks.sliding_window_view(self.background, self.features.clip_samples)
        sound = self._tensor(windows[(at * len(windows)).astype(np.int64)])
        peak = sound.abs().amax(dim=1)
        level = self._tensor(gain)
        return sound * torch.where(peak > _SILENT, level / peak.clamp_min(_SILENT), 0.0 * level)[:, None]

    def _on_power(
        self, power: Tensor, effects: _Effects, labels: np.ndarray, config: AugmentConfig
    ) -> Tensor:
        features = self.features
        # Cymbals and hats within 2 %, everything else as drawn.
        most = np.where(labels[:, self.cymbal].any(axis=1), np.log1p(_CYMBAL_PITCH_SHARE), np.inf)
        pitch = np.exp(np.clip(effects.pitch, -most, most)).astype(np.float32)
        power = on_some(power, np.flatnonzero(effects.pitch), lambda p, f: shift_pitch(p, f, features), pitch)
        power = on_some(
            power, np.flatnonzero(effects.stretch != 1), lambda p, f: stretch_time(p, f, features),
            effects.stretch,
        )  # fmt: skip
        power = on_some(
            power, np.flatnonzero(effects.room_level), lambda p, d, g: add_room(p, d, g, features),
            effects.room_decay_s, effects.room_level,
        )  # fmt: skip
        return power * self._tensor(_curves(effects.equaliser, features.n_mels))


@dataclass(frozen=True)
class _Effects:
    """One value a clip; 0 (or a stretch of 1) leaves the clip alone."""

    background_at: np.ndarray
    background_gain: np.ndarray
    drive: np.ndarray
    noise: np.ndarray
    noise_at: np.ndarray
    pitch: np.ndarray  # natural logarithm of the frequency factor
    stretch: np.ndarray
    room_decay_s: np.ndarray
    room_level: np.ndarray
    equaliser: np.ndarray  # (clips, points), dB
    codec: bool

    @staticmethod
    def draw(count: int, config: AugmentConfig, random: np.random.Generator) -> _Effects:
        def some(probability: float, values: np.ndarray, neutral: float = 0.0) -> np.ndarray:
            return np.where(random.random(count) < probability, values, neutral).astype(np.float32)

        def gains(range_db: tuple[float, float], per: float) -> np.ndarray:
            return 10.0 ** (random.uniform(*range_db, count) / per)

        octave = config.pitch_semitones / 12.0 * np.log(2.0)
        points = random.normal(0.0, config.equaliser_db, (count, _EQUALISER_POINTS))
        return _Effects(
            background_at=random.random(count),
            background_gain=some(config.background, gains(config.background_gain_db, 20.0)),
            drive=some(config.saturation, random.uniform(*config.saturation_drive, count)),
            noise=some(config.noise, gains(config.noise_db, 20.0)),
            noise_at=random.integers(0, NOISE_OFFSETS, count),
            pitch=some(config.pitch, random.uniform(-octave, octave, count)),
            stretch=some(
                config.stretch, random.uniform(1 - config.stretch_share, 1 + config.stretch_share, count), 1.0
            ),
            room_decay_s=np.maximum(random.uniform(*config.room_decay_s, count), 1e-3).astype(np.float32),
            room_level=some(config.room, gains(config.room_level_db, 10.0)),
            equaliser=points * (random.random(count) < config.equaliser)[:, None],
            codec=bool(random.random() < config.codec),
        )

    def of(self, clips: slice) -> _Effects:
        """Those of a stretch of clips."""
        cut = {
            name: value[clips]
            for name in self.__dataclass_fields__
            if isinstance(value := getattr(self, name), np.ndarray)
        }
        return _Effects(**cut, codec=self.codec)


def _curves(points: np.ndarray, bands: int) -> np.ndarray:
    """Power gains (clips, bands, 1) on straight lines between points in dB, spread evenly over the bands."""
    at = np.linspace(0, points.shape[1] - 1, bands)
    low = np.minimum(at.astype(int), points.shape[1] - 2)
    decibels = points[:, low] + (at - low) * (points[:, low + 1] - points[:, low])
    return (10.0 ** (decibels / 10.0)).astype(np.float32)[:, :, None]


def _class_weights(labels: np.ndarray) -> np.ndarray:
    """Per row: the mean over its classes of 1 / sqrt(count); rows without a class as the commonest class."""
    if not len(labels):
        return np.zeros(0)
    counts = labels.sum(axis=0)
    per_class = 1.0 / np.sqrt(np.maximum(counts, 1.0))
    present = labels.sum(axis=1)
    weight = np.where(present > 0, labels @ per_class / np.maximum(present, 1), per_class.min())
    return weight / weight.sum()
