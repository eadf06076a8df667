"""Batches: features as in inference, seeded augmentation, united labels, rare classes drawn more often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight.audio.features import FeatureConfig, clip_features, cut_clips, mel_centres
from beatsight.audio.io import SAMPLE_RATE, load
from beatsight.dataset.augment import NOTHING, AugmentConfig
from beatsight.dataset.batches import Batches
from beatsight.dataset.build import build_dataset
from beatsight.dataset.clips import ClipSource
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError
from tiny_dataset import TINY_FEATURES, events_of, pattern, tiny_songs, write_song

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("batches")
    events = tiny_songs(folder / "audio", 4, ("kick", "snare", "kick", "hihat_closed"), beats=8)
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.25)


@pytest.fixture(scope="module")
def one_shots(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six kicks and two snares, each alone in its file."""
    folder = tmp_path_factory.mktemp("shots")
    events = []
    for number in range(8):
        hits = [(0.1, ("snare" if number % 4 == 3 else "kick",))]
        write_song(folder / "audio" / f"{number}.wav", hits, 0.6, seed=number)
        events += events_of(hits, f"{number}.wav", f"s{number}")
    return build_dataset(events, folder / "audio", folder / "d", val_fraction=0.0)


def batches(dataset: Dataset, augment: AugmentConfig | None, seed: int = 0) -> Batches:
    return Batches(dataset, "train", TINY_FEATURES, augment=augment, device=CPU, seed=seed)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_training_and_inference_see_the_same_bits(tmp_path: Path, batch_size: int) -> None:
    """The recogniser's path (load, cut_clips, clip_features) against the dataset's, both file ends too."""
    features = FeatureConfig()
    hits = [
        (0.0, ("kick",)),
        *pattern(5, ("kick", "snare")),
        ((2 * SAMPLE_RATE - 1) / SAMPLE_RATE, ("china",)),
    ]
    write_song(tmp_path / "a.wav", hits, 2.0)
    dataset = build_dataset(events_of(hits, "a.wav", "s"), tmp_path, tmp_path / "d", val_fraction=0.0)
    supply = Batches(dataset, "train", features, augment=None, device=CPU, seed=0)
    trained = torch.cat([batch.features for batch in supply.in_order(batch_size)])
    onsets = np.round(np.array([time for time, _ in hits]) * SAMPLE_RATE).astype(np.int64)
    assert onsets[0] == 0 and onsets[-1] == 2 * SAMPLE_RATE - 1
    clips = torch.from_numpy(cut_clips(load(tmp_path / "a.wav"), onsets, features))
    inferred = clip_features(clips, features)
    assert len(trained) == len(hits)
    assert torch.equal(trained, inferred)


def test_one_pass_gives_every_row_once_with_its_labels(dataset: Dataset) -> None:
    supply = batches(dataset, None)
    parts = list(supply.in_order(5))
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in parts]), dataset.rows("train"))
    labels = torch.cat([batch.labels for batch in parts]).numpy()
    np.testing.assert_array_equal(labels, dataset.moments.labels[dataset.rows("train")])
    assert parts[0].features.shape == (5, TINY_FEATURES.n_mels, TINY_FEATURES.frames)


def test_shift_moves_the_window_by_exactly_that_many_samples(dataset: Dataset) -> None:
    source = ClipSource(dataset, TINY_FEATURES)
    rows = dataset.rows("train")[:4]
    plain = source.cut(rows)
    for shift in (0, 1, 137):
        moved = source.cut(rows, shift=np.full(4, shift))
        np.testing.assert_array_equal(moved[:, : len(plain[0]) - shift], plain[:, shift:])
    earlier = source.cut(rows, shift=np.full(4, -20.0))  # whole numbers may come as floats
    np.testing.assert_array_equal(earlier[:, 20:], plain[:, :-20])


def test_clips_are_those_cut_sample_by_sample(dataset: Dataset) -> None:
    """Far shifts in both directions reach over the ends of segments and shards."""
    source, moments = ClipSource(dataset, TINY_FEATURES), dataset.moments
    rows = np.repeat(dataset.rows("train"), 3)
    shift = np.random.default_rng(0).integers(-60_000, 60_000, len(rows))
    clips = source.cut(rows, shift)
    for row, moved, clip in zip(rows, shift, clips, strict=True):
        position = moments.onset[row] + moved - TINY_FEATURES.pre_samples + np.arange(len(clip))
        inside = (position >= moments.start[row]) & (position < moments.end[row])
        shard = dataset.shards[moments.shard[row]].astype(np.float32) / 32768
        expected = np.where(inside, shard[np.clip(position, 0, len(shard) - 1)], 0.0)
        np.testing.assert_array_equal(clip, expected)


def test_augmentation_of_nothing_changes_nothing(dataset: Dataset) -> None:
    bare, augmented = (next(batches(dataset, how).in_order(16)) for how in (None, NOTHING))
    assert torch.equal(bare.labels, augmented.labels)
    torch.testing.assert_close(bare.features, augmented.features, atol=1e-4, rtol=0)


def test_the_seed_decides_everything_random(one_shots: Dataset) -> None:
    first, same, other = (
        list(batches(one_shots, AugmentConfig(), seed).sampled(8, 0, 3)) for seed in (5, 5, 6)
    )
    for one, two in zip(first, same, strict=True):
        assert torch.equal(one.features, two.features) and torch.equal(one.labels, two.labels)
        np.testing.assert_array_equal(one.rows, two.rows)
    assert not all(torch.equal(a.features, b.features) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_is_the_same_whenever_and_by_how_many_it_is_made(one_shots: Dataset, parts: int) -> None:
    config = replace(AugmentConfig(), codec=0.0)  # a codec hears the clips of one process as one signal
    whole = list(batches(one_shots, config, seed=3).sampled(7, 0, 4))
    later = next(batches(one_shots, config, seed=3).sampled(7, 3, 1))
    assert torch.equal(whole[3].features, later.features)
    pieces = [next(batches(one_shots, config, seed=3).sampled(7, 3, 1, (k, parts))) for k in range(parts)]
    np.testing.assert_array_equal(np.concatenate([piece.rows for piece in pieces]), whole[3].rows)
    assert torch.equal(torch.cat([piece.labels for piece in pieces]), whole[3].labels)
    torch.testing.assert_close(torch.cat([piece.features for piece in pieces]), whole[3].features)


def test_background_is_laid_under_every_clip_at_its_level(one_shots: Dataset) -> None:
    tone = np.sin(2 * np.pi * 3000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    config = replace(NOTHING, background=1.0, background_gain_db=(-6.0, -6.0))
    supply = Batches(one_shots, "train", TINY_FEATURES, augment=config, device=CPU, seed=0, background=tone)
    batch, plain = next(supply.in_order(8)), next(batches(one_shots, None).in_order(8))
    assert torch.equal(batch.labels, plain.labels)
    risen = (batch.features - plain.features).mean(dim=(0, 2))
    band = int(np.argmin(np.abs(mel_centres(TINY_FEATURES) - 3000)))
    assert abs(int(risen.argmax()) - band) <= 1 and risen[band] > 0.1


def test_mixing_unites_labels_and_never_drops_one(one_shots: Dataset) -> None:
    supply = batches(one_shots, replace(NOTHING, mix_isolated=1.0))
    own = one_shots.moments.labels
    united = 0
    for batch in supply.sampled(8, 0, 20):
        labels = batch.labels.numpy()
        assert (labels >= own[batch.rows]).all()
        assert set(np.unique(labels)) <= {0.0, 1.0}
        assert set(np.flatnonzero(labels.any(axis=0))) <= {0, 1}  # kick and snare are all there is
        united += int((labels.sum(axis=1) == 2).sum())
    assert united > 20


def test_neighbours_noise_and_equaliser_change_sound_but_not_labels(one_shots: Dataset) -> None:
    plain = next(batches(one_shots, None).in_order(8))
    changes: tuple[dict[str, Any], ...] = (
        {"neighbour_isolated": 1.0},
        {"noise": 1.0},
        {"equaliser": 1.0},
        {"stretch": 1.0},
        {"pitch": 1.0},
        {"saturation": 1.0},
        {"room": 1.0},
        {"codec": 1.0},
        {"jitter_ms": 6.0},
    )
    for change in changes:
        batch = next(batches(one_shots, replace(NOTHING, **change)).in_order(8))
        assert torch.equal(batch.labels, plain.labels)
        assert (batch.features - plain.features).abs().max() > 0.01
        assert batch.features.min() >= 0 and batch.features.max() <= 1


def test_rare_classes_are_drawn_more_often_than_their_share(one_shots: Dataset) -> None:
    supply = batches(one_shots, None)
    drawn = np.concatenate([batch.labels.numpy() for batch in supply.sampled(50, 0, 40)])
    # Weights 1/sqrt(6) and 1/sqrt(2): snares are 2/sqrt(2) of 2/sqrt(2) + 6/sqrt(6), not 2 of 8.
    expected = np.sqrt(2) / (np.sqrt(2) + np.sqrt(6))
    assert drawn[:, 1].mean() == pytest.approx(expected, abs=0.04)


def test_an_empty_split_has_no_batches(one_shots: Dataset) -> None:
    supply = Batches(one_shots, "val", TINY_FEATURES, augment=AugmentConfig(), device=CPU, seed=0)
    assert len(supply) == 0
    assert list(supply.in_order(4)) == []


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"mix": 1.5}, "mix is a probability, not 1.5"),
        ({"noise": float("nan")}, "noise is a probability, not nan"),
        ({"noise_db": (-10.0, -20.0)}, "noise_db is a range"),
        ({"stretch_share": 0.5}, "stretch_share must lie in"),
        ({"saturation_drive": (-1.0, 2.0)}, "saturation_drive must not be negative"),
        ({"jitter_ms": -1.0}, "must not be negative"),
    ],
)
def test_augmentation_settings_that_make_no_sense(settings: dict[str, float], why: str) -> None:
    with pytest.raises(InputError, match=why):
        AugmentConfig(**settings)  # type: ignore[arg-type]


def test_cymbals_and_hats_are_hardly_pitched(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kick and snare by up to two semitones, a clip with a hat by 2 % at most."""
    factors: list[torch.Tensor] = []

    def watch(power: torch.Tensor, factor: torch.Tensor, _: FeatureConfig) -> torch.Tensor:
        factors.append(factor)
        return power

    monkeypatch.setattr("beatsight.dataset.batches.shift_pitch", watch)
    supply = batches(dataset, replace(NOTHING, pitch=1.0, pitch_semitones=2.0))
    labels = torch.cat([batch.labels for batch in supply.sampled(16, 0, 20)])
    drawn, hat = torch.cat(factors), labels[:, dataset.labels.index("hihat_closed")] > 0
    assert len(drawn) == len(labels) and 30 < int(hat.sum()) < len(hat)
    assert float((drawn[hat].log()).abs().max()) <= np.log(1.02) + 1e-6
    assert 0.9 * np.log(2) / 6 < float(drawn[~hat].log().abs().max()) <= np.log(2) / 6 + 1e-6
