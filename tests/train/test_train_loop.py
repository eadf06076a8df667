"""The loop learns what can be learnt, repeats itself for a seed, keeps the best epoch, stops on nonsense."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beatsight.dataset.augment import AugmentConfig
from beatsight.dataset.batches import Batch
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.evaluate import evaluate_model
from beatsight.models.checkpoint import load_model
from beatsight.train import loop
from beatsight.train.config import TrainConfig
from beatsight.train.loop import EpochResult, train_classifier
from beatsight.train.losses import Loss
from beatsight.train.schedule import rate
from beatsight.train.setup import set_up
from beatsight.train.validation import Validation
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
    return replace(QUICK, **settings)


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
        "run_state.pth",
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
    monkeypatch.setattr(loop, "validate", lambda setup: Validation(next(values), 0.5, 0.5))


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
    real, seen = Loss.__call__, list[Batch]()

    def loss(self: Loss, logits: torch.Tensor, batch: Batch, *more: Any) -> torch.Tensor:
        seen.append(batch)
        return real(self, logits, batch, *more) * (math.nan if len(seen) == 2 else 1.0)

    monkeypatch.setattr(Loss, "__call__", loss)
    why = r"the loss is nan in epoch 1, batch 2 \(dataset rows (\d+, ){7}\d+\); lower --lr"
    with pytest.raises(InputError, match=why) as caught:
        train(dataset, tmp_path)
    assert f"rows {', '.join(map(str, seen[1].rows))})" in str(caught.value)


def test_weights_that_are_no_numbers_stop_the_run(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of an epoch can spoil them without a loss that shows it."""
    planted_losses(monkeypatch, [0.5, math.nan])
    with pytest.raises(InputError, match="the validation loss is nan after epoch 2; lower --lr"):
        train(dataset, tmp_path, changed(epochs=3))
    assert load_model(tmp_path / loop.BEST_NAME).training["best_epoch"] == 1


def test_a_rate_far_too_high_ends_in_a_sentence(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"training stopped: the (validation )?loss is (nan|inf)"):
        train(dataset, tmp_path, changed(lr=1e30, gradient_clip=0.0))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        MemoryError("Unable to allocate 3.2 GiB for an array"),
    ],
)
def test_no_memory_is_advice(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Loss, "__call__", fail)
    with pytest.raises(
        InputError, match=r"^out of memory with --batch-size 8; try --batch-size 4, --precision"
    ):
        train(dataset, tmp_path)


def test_memory_that_does_not_exist_is_advice(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^out of memory with --batch-size 1000000000000;"):
        train(dataset, tmp_path, changed(batch_size=10**12))


def test_another_error_stays_what_it_is(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Loss, "__call__", fail)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
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
    with pytest.raises(InputError, match="precision is one of auto, fp32, bf16, fp16, not 'half'"):
        changed(precision="half")
    with pytest.raises(UsageError, match="unknown device 'tpu9'"):
        train(dataset, tmp_path / "a", changed(device="tpu9"))
    with pytest.raises(UsageError, match="precision fp16 needs a GPU"):
        train(dataset, tmp_path / "a", changed(precision="fp16"))
    assert not (tmp_path / "a").exists()


def test_the_gradient_is_clipped(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the optimizer sees has the norm asked for, and with 0 that of the loss."""
    norms: list[float] = []
    real = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *arguments: Any) -> Any:
        parts = [p.grad.double().pow(2).sum() for p in self.param_groups[0]["params"]]
        norms.append(math.sqrt(sum(map(float, parts))))
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    train(dataset, tmp_path / "a", changed(epochs=1, gradient_clip=0.01))
    assert norms == pytest.approx([0.01] * len(norms), rel=1e-3)
    norms.clear()
    train(dataset, tmp_path / "b", changed(epochs=1, gradient_clip=0.0))
    assert min(norms) > 0.02


def test_the_running_mean_is_what_is_kept(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a plain loop over the weights after each step; the network itself is trained as without."""
    seen: list[dict[str, torch.Tensor]] = []
    real = loop._Run._step

    def step(self: Any, batch: Batch) -> float:
        if not seen:
            seen.append({k: v.clone() for k, v in self.setup.model.network.state_dict().items()})
        value = real(self, batch)
        seen.append({k: v.clone() for k, v in self.setup.model.network.state_dict().items()})
        return value

    monkeypatch.setattr(loop._Run, "_step", step)
    averaged = load_model(train(dataset, tmp_path / "a", changed(ema=0.6, lr=0.01)).final_path).network
    decays = [min(0.6, (1 + t) / (10 + t)) for t in range(len(seen) - 1)]
    for name, found in averaged.state_dict().items():
        mean = seen[0][name].double()
        for decay, after in zip(decays, seen[1:], strict=True):
            mean = decay * mean + (1 - decay) * after[name].double()
        if found.is_floating_point():
            torch.testing.assert_close(found, mean.float(), rtol=1e-4, atol=1e-6, msg=name)
    last = seen[-1]
    plain = load_model(train(dataset, tmp_path / "b", changed(lr=0.01)).final_path).network.state_dict()
    assert all(torch.equal(plain[name], last[name]) for name in plain)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    config = TrainConfig(lr=0.5, warmup=0.05)
    rates = [rate(config, step, 200) for step in range(201)]
    assert rates[:10] == pytest.approx([0.05 * (i + 1) for i in range(10)])
    assert max(rates) == rates[10] == 0.5
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[200] == pytest.approx(0.0, abs=1e-12)
    assert rates[105] == pytest.approx(0.25)
    assert rate(TrainConfig(lr=0.5, warmup=0.0), 0, 200) == 0.5
    level = TrainConfig(lr=0.5, warmup=0.05, schedule="constant")
    assert {rate(level, step, 200) for step in range(10, 200)} == {0.5}


def test_a_plateau_lowers_the_rate_to_a_fifth(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted_losses(monkeypatch, [0.5, 0.6, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6])
    config = changed(epochs=8, patience=5, schedule="plateau", warmup=0.0, lr=0.1)
    found = [row.lr for row in train(dataset, tmp_path, config).history]
    # Two epochs without gain each time; the rate of an epoch is what the ones before it have made of it.
    assert found == pytest.approx([0.1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.004])


def test_a_plateau_without_validation_says_that_it_never_comes(no_val: Dataset, tmp_path: Path) -> None:
    said: list[str] = []
    train(no_val, tmp_path, changed(epochs=1, schedule="plateau"), on_note=said.append)
    assert said == ["nothing is held out for validation, so --schedule plateau never lowers the rate"]


@pytest.mark.parametrize("settings", [{"loss": "cross_entropy", "network": "cnn"}, {"network": "compact"}])
def test_it_learns_with_other_settings_too(
    dataset: Dataset, tmp_path: Path, settings: dict[str, Any]
) -> None:
    result = train(dataset, tmp_path, changed(epochs=12, lr=0.01, patience=0, **settings))
    assert max(row.val_micro_f1 or 0.0 for row in result.history) == 1.0
    assert result.model.activation == ("softmax" if settings.get("loss") else "sigmoid")


def test_class_weights_come_from_the_training_split(dataset: Dataset, tmp_path: Path) -> None:
    setup = set_up(dataset, changed(class_weights="balanced"), TINY_FEATURES, torch.device("cpu"))
    counts = dataset.moments.labels[dataset.rows("train")].sum(axis=0)
    expected = np.where(counts > 0, np.sqrt(counts.max() / np.maximum(counts, 1)).clip(max=10), 1)
    assert setup.loss.positive_weights is not None
    np.testing.assert_allclose(setup.loss.positive_weights.numpy(), expected, rtol=1e-6)
    assert set_up(dataset, QUICK, TINY_FEATURES, torch.device("cpu")).loss.positive_weights is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch compiles with a C++ compiler")
def test_a_compiled_network_learns_the_same(dataset: Dataset, tmp_path: Path) -> None:
    plain = train(dataset, tmp_path / "a", changed(network="compact", dropout=0.0))
    compiled = train(dataset, tmp_path / "b", changed(network="compact", dropout=0.0, compile=True))
    for a, b in zip(plain.history, compiled.history, strict=True):
        assert b.train_loss == pytest.approx(a.train_loss, abs=1e-3)


@pytest.mark.slow
def test_without_a_compiler_the_way_out_is_named(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    torch._dynamo.reset()
    with pytest.raises(
        UsageError, match=r"^the network cannot be compiled here \(.+\); train with --no-compile$"
    ):
        train(dataset, tmp_path, changed(network="compact", compile=True, batch_size=6))
