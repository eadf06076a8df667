"""The training loop, top to bottom: draw, forward, loss, step; validate; keep the best.

Writes into the output folder:

    best_drum_classifier.pth    the epoch with the lowest loss on validation
    final_drum_classifier.pth   the last epoch
    history.jsonl               one line an epoch
    run_state.pth               what ``resume`` goes on from

The model files hold nothing that depends on the clock: a run repeated, or killed and resumed, gives the same
bytes on the same CPU.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.precision import autocast, choose_device, gradient_scaler
from beatsight.train.config import TrainConfig
from beatsight.train.processes import Processes, joined, own_device, share_statistics
from beatsight.train.setup import Setup, identity_of, set_up, summary_of
from beatsight.train.state import STATE_NAME, Ema, Progress, load_state, save_state
from beatsight.train.validation import Validation, validate

BEST_NAME, FINAL_NAME = "best_drum_classifier.pth", "final_drum_classifier.pth"
_SAVE_EVERY_S = 30.0
_PLATEAU_FACTOR = 0.2
# Keeps the generators of dropout apart from those of batches.
_DROPOUT = 3


class EpochResult(msgspec.Struct, kw_only=True):
    """One line of history.jsonl; validation fields are None when nothing is held out."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_macro_f1: float | None
    val_micro_f1: float | None
    val_velocity_mae: float | None = None
    val_openness_mae: float | None = None
    lr: float
    seconds: float
    clips_per_s: float


@dataclass(frozen=True)
class TrainResult:
    """What a run gave: the best model, where it lies, and the history."""

    model: Model
    best_path: Path
    final_path: Path
    history: list[EpochResult]
    best_epoch: int


OnEpoch = Callable[[EpochResult], None]
OnStep = Callable[[int, int], None]
OnNote = Callable[[str], None]


def train_classifier(
    dataset: Dataset,
    output: str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    features: FeatureConfig | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> TrainResult:
    """Train the drum classifier on a dataset's ``train`` split, choosing the epoch by its ``val`` split.

    Args:
        dataset: opened dataset folder.
        output: folder for the checkpoints.
        config: the run's settings.
        features: settings of the clips.
        resume: go on from the state in ``output``, if there is one; else start anew.
        on_epoch: called after each epoch.
        on_step: called with (steps done, steps in all).
        on_note: called, before the first epoch, with each remark on the data and the start.

    Raises:
        InputError: nothing to train on, sampling weights or a model to start from that do not fit, or a loss
            that is not finite (the batch is named).
        UsageError: settings that make no sense together, or a state of another run.
    """
    config, features, output = config or TrainConfig(), features or FeatureConfig(), Path(output)
    device = choose_device(own_device(config.device))
    with joined(device) as processes:
        setup = set_up(dataset, config, features, device)
        for remark in setup.notes if processes.first else ():
            if on_note:
                on_note(remark)
        run = _Run(setup, output, processes)
        if resume:
            run.resume(on_note)
        history = run.train(on_epoch, on_step)
    best = load_model(output / BEST_NAME, device)
    return TrainResult(best, output / BEST_NAME, output / FINAL_NAME, history, run.progress.best_epoch)


class _Run:
    """One run: what was set up, and how far it is."""

    def __init__(self, setup: Setup, output: Path, processes: Processes) -> None:
        self.setup, self.output, self.processes = setup, output, processes
        config, network = setup.config, setup.model.network
        if config.batch_size % processes.count:
            raise UsageError(
                f"batch_size {config.batch_size} cannot be divided by {processes.count} processes"
            )
        self.ema = Ema(network, copy.deepcopy(network), config.ema) if config.ema else None
        if processes.count > 1:
            share_statistics(network)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=config.lr, weight_decay=config.weight_decay)
        self.scaler = gradient_scaler(setup.device, config.precision)
        self.forward = torch.compile(network) if config.compile else network
        self.trained = trained
        self.progress = Progress()
        self.steps_per_epoch = max(1, round(len(setup.batches) / config.batch_size))
        self.steps = self.steps_per_epoch * config.epochs
        self.identity = identity_of(setup)

    def resume(self, on_note: OnNote | None) -> None:
        """Go on from the saved state, if there is one."""
        path, note = self.output / STATE_NAME, "there is no state to resume from: the run starts anew"
        if path.is_file():
            self.progress = load_state(
                path, self.identity, self.setup.model.network, self.optimizer, self.ema, self.scaler
            )
            note = f"resumed after {self.progress.step} of {self.steps} steps"
        if on_note and self.processes.first:
            on_note(note)

    def train(self, on_epoch: OnEpoch | None, on_step: OnStep | None) -> list[EpochResult]:
        """All epochs that are left; the rows of all epochs."""
        progress, saved = self.progress, time.monotonic()
        while progress.step < self.steps and not self._stopped_early():
            self._training_mode()
            left = self.steps_per_epoch - progress.step % self.steps_per_epoch
            began, part = time.perf_counter(), (self.processes.rank, self.processes.count)
            for batch in self.setup.batches.sampled(self.setup.config.batch_size, progress.step, left, part):
                progress.loss_sum += self._step(batch)
                progress.step += 1
                if on_step and self.processes.first:
                    on_step(progress.step, self.steps)
                # Between epochs the state is saved with the epoch's results.
                if time.monotonic() - saved > _SAVE_EVERY_S and progress.step % self.steps_per_epoch:
                    progress.seconds += time.perf_counter() - began
                    began, saved = time.perf_counter(), time.monotonic()
                    self._save_state()
            progress.seconds += time.perf_counter() - began
            result = self._end_epoch()
            saved = time.monotonic()
            if on_epoch and self.processes.first:
                on_epoch(result)
        return [msgspec.convert(row, EpochResult) for row in progress.history]

    def _training_mode(self) -> None:
        self.setup.model.network.train()
        for module in self.setup.frozen:
            module.eval()

    def _step(self, batch: object) -> float:
        """One step of the optimizer; the loss, which is the mean over all processes."""
        setup, config, step = self.setup, self.setup.config, self.progress.step
        seeds = np.random.SeedSequence([config.seed, _DROPOUT, step, self.processes.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        image = batch.features.unsqueeze(1).to(memory_format=torch.channels_last)  # type: ignore[attr-defined]
        with autocast(setup.device, config.precision):
            logits = self.forward(image)
        loss = setup.loss(logits, batch)  # type: ignore[arg-type]
        shown = loss.detach().double().reshape(1)
        self.processes.average([shown])
        value = float(shown)
        if not math.isfinite(value):
            epoch, number = divmod(step, self.steps_per_epoch)
            rows = ", ".join(map(str, batch.rows[:8]))  # type: ignore[attr-defined]
            raise InputError(
                f"training stopped: the loss is {value} in epoch {epoch + 1}, batch {number + 1} "
                f"(dataset rows {rows} …); lower --lr or check these clips"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        self.processes.average([p.grad for p in self.trained if p.grad is not None])
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.trained, config.gradient_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * self.progress.plateau_scale * _rate(config, step, self.steps)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update()
        return value

    def _end_epoch(self) -> EpochResult:
        """Validate, remember, write the model files and the state."""
        progress, config = self.progress, self.setup.config
        epoch = progress.step // self.steps_per_epoch
        found = self._validated()
        result = EpochResult(
            epoch=epoch,
            train_loss=progress.loss_sum / self.steps_per_epoch,
            **found.figures(),
            lr=self.optimizer.param_groups[0]["lr"],
            seconds=progress.seconds,
            clips_per_s=self.steps_per_epoch * config.batch_size / max(progress.seconds, 1e-9),
        )
        progress.history.append(msgspec.to_builtins(result))
        # By loss, not F1: it also hears the classes that validation lacks. Without a validation split there
        # is nothing to choose by, and the latest epoch is the best.
        reached = -found.loss if found.loss is not None else float(epoch)
        better = reached > progress.best_score
        if better:
            progress.best_score, progress.best_epoch = reached, epoch
        self._lower_on_plateau(better)
        progress.loss_sum = progress.seconds = 0.0
        if self.processes.first:
            self._write(better)
        self._save_state()
        return result

    def _validated(self) -> Validation:
        """The first process validates; all of them learn the loss, which they go by."""
        setup = self.setup
        found = Validation()
        if self.processes.first:
            if self.ema:
                setup.model.network, network = self.ema.shadow, setup.model.network
                found = validate(setup)
                setup.model.network = network
            else:
                found = validate(setup)
        loss = math.nan if found.loss is None else found.loss
        (loss,) = self.processes.from_first([loss], setup.device)
        return found if self.processes.first else Validation(loss=None if math.isnan(loss) else loss)

    def _write(self, better: bool) -> None:
        model, progress = self.setup.model, self.progress
        network = model.network
        model.network = self.ema.shadow if self.ema else network
        model.training = summary_of(self.setup, progress)
        if better:
            save_model(model, self.output / BEST_NAME)
        save_model(model, self.output / FINAL_NAME)
        model.network = network
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in progress.history)
        write_bytes(self.output / "history.jsonl", lines)

    def _save_state(self) -> None:
        if self.processes.first:
            save_state(
                self.output / STATE_NAME, self.identity, self.progress, self.setup.model.network,
                self.optimizer, self.ema, self.scaler,
            )  # fmt: skip

    def _stopped_early(self) -> bool:
        progress, patience = self.progress, self.setup.config.patience
        done = len(progress.history)
        held_out = bool(done) and progress.history[-1]["val_loss"] is not None
        return bool(patience and held_out and done - progress.best_epoch >= patience)

    def _lower_on_plateau(self, better: bool) -> None:
        progress, config = self.progress, self.setup.config
        progress.plateau_wait = 0 if better else progress.plateau_wait + 1
        if config.schedule == "plateau" and progress.plateau_wait >= max(1, config.patience // 2):
            progress.plateau_scale *= _PLATEAU_FACTOR
            progress.plateau_wait = 0


def _rate(config: TrainConfig, step: int, steps: int) -> float:
    """Factor of the peak rate: linear warm-up, then half a cosine down to zero, or level."""
    warmup = max(1, round(config.warmup * steps))
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule != "cosine":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
