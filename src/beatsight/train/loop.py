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
from beatsight.dataset.batches import Batch
from beatsight.dataset.store import Dataset
from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.models.checkpoint import Model, load_model, save_model
from beatsight.models.precision import autocast, choose_device, gradient_scaler
from beatsight.train.config import TrainConfig
from beatsight.train.faults import check_loss, check_validation, explained
from beatsight.train.processes import Processes, joined, own_device, share_statistics
from beatsight.train.schedule import lower_on_plateau, rate
from beatsight.train.setup import Setup, identity_of, set_up, summary_of
from beatsight.train.state import (
    STATE_NAME,
    Ema,
    EpochResult,
    Progress,
    Trained,
    load_state,
    remove_leftovers,
    save_state,
)
from beatsight.train.validation import Validation, validate

BEST_NAME, FINAL_NAME, HISTORY_NAME = "best_drum_classifier.pth", "final_drum_classifier.pth", "history.jsonl"
# How much work a kill may cost.
_SAVE_EVERY_S = 30.0
# Keeps the generators of dropout apart from those of batches.
_DROPOUT = 3


@dataclass(frozen=True)
class TrainResult:
    """What a run gave: the best model, where it lies, and the history.

    Where several processes trained, all but the first have the last epoch's network, without thresholds, and
    a history without scores: the first one validates and writes.
    """

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
        on_epoch: called after each epoch; for an epoch whose end was killed, again after the resumption.
        on_step: called with (steps done, steps in all).
        on_note: called, before the first epoch, with each remark on the data and the start.

    Raises:
        InputError: nothing to train on, sampling weights or a model to start from that do not fit, no memory,
            or a loss that is not finite (the batch is named).
        UsageError: settings that make no sense together, or a state of another run.
        LostProcessError: of several processes, another one has ended.
    """
    config, features, output = config or TrainConfig(), features or FeatureConfig(), Path(output)
    device = choose_device(own_device(config.device))
    with explained(config), joined(device) as processes:
        setup = set_up(dataset, config, features, device)
        run = _Run(setup, output, processes)
        remarks = [*setup.notes, *run.begin(resume)]
        if on_note and processes.first:
            for remark in remarks:
                on_note(remark)
        history = run.train(on_epoch, on_step)
        model = load_model(output / BEST_NAME, device) if processes.first else setup.model
    return TrainResult(model, output / BEST_NAME, output / FINAL_NAME, history, run.progress.best_epoch)


class _Run:
    """One run: what was set up, and how far it is."""

    def __init__(self, setup: Setup, output: Path, processes: Processes) -> None:
        self.setup, self.output, self.processes = setup, output, processes
        config, network = setup.config, setup.model.network
        if config.batch_size % processes.count:
            raise UsageError(
                f"--batch-size {config.batch_size} cannot be divided among {processes.count} processes"
            )
        ema = Ema(network, copy.deepcopy(network), config.ema) if config.ema else None
        if processes.count > 1:
            share_statistics(network)
        self.weights = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(self.weights, lr=config.lr, weight_decay=config.weight_decay)
        self.trained = Trained(network, optimizer, ema, gradient_scaler(setup.device, setup.precision))
        self.forward = torch.compile(network) if config.compile else network
        self.progress = Progress()
        self.steps_per_epoch = max(1, round(len(setup.batches) / config.batch_size))
        self.steps = self.steps_per_epoch * config.epochs
        self.identity = identity_of(setup)

    def begin(self, resume: bool) -> list[str]:
        """Go on from the saved state, or save the first one; what to say about it."""
        path = self.output / STATE_NAME
        if self.processes.first:
            remove_leftovers(self.output, (STATE_NAME, BEST_NAME, FINAL_NAME, HISTORY_NAME))
        if resume and path.is_file():
            self.progress = load_state(path, self.identity, self.trained)
        (step,) = self.processes.from_first([self.progress.step], self.setup.device)
        if step != self.progress.step:
            raise InputError(f"{path}: is not the first process's; all need one output folder to resume")
        if self.progress.step:
            done = ", the whole run" if self._complete() else ""
            return [f"resumed after {self.progress.step} of {self.steps} steps{done}"]
        # An older run's state must not be what this one is resumed from.
        self._save_state()
        return ["there is nothing to resume from: the run starts anew"] if resume else []

    def train(self, on_epoch: OnEpoch | None, on_step: OnStep | None) -> list[EpochResult]:
        """All epochs that are left; the rows of all epochs."""
        progress, saved = self.progress, time.monotonic()
        while not self._complete():
            self._training_mode()
            left = self.steps_per_epoch - progress.step % self.steps_per_epoch
            began, part = time.perf_counter(), (self.processes.rank, self.processes.count)
            for batch in self.setup.batches.sampled(self.setup.config.batch_size, progress.step, left, part):
                progress.loss_sum += self._step(batch)
                progress.step += 1
                if on_step and self.processes.first:
                    on_step(progress.step, self.steps)
                # At the end of an epoch the state is saved with its results.
                if time.monotonic() - saved > _SAVE_EVERY_S and progress.step % self.steps_per_epoch:
                    progress.seconds += time.perf_counter() - began
                    self._save_state()
                    began, saved = time.perf_counter(), time.monotonic()
            progress.seconds += time.perf_counter() - began
            result = self._end_epoch()
            # Before the state: a kill in between repeats a report, it does not lose one.
            if on_epoch and self.processes.first:
                on_epoch(result)
            self._save_state()
            saved = time.monotonic()
        return progress.history

    def _training_mode(self) -> None:
        self.setup.model.network.train()
        for module in self.setup.frozen:
            module.eval()

    def _step(self, batch: Batch) -> float:
        """One step of the optimizer; the loss, which is the mean over all processes."""
        setup, config, step = self.setup, self.setup.config, self.progress.step
        seeds = np.random.SeedSequence([config.seed, _DROPOUT, step, self.processes.rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        image = batch.features.unsqueeze(1).to(memory_format=torch.channels_last)
        with autocast(setup.device, setup.precision):
            logits = self.forward(image)
        loss = setup.loss(logits, batch, self.processes.mean)
        value = float(self.processes.mean(loss.detach().double()))
        check_loss(value, step, self.steps_per_epoch, batch.rows)
        optimizer, scaler = self.trained.optimizer, self.trained.scaler
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        self.processes.average([p.grad for p in self.weights if p.grad is not None])
        if config.gradient_clip:
            torch.nn.utils.clip_grad_norm_(self.weights, config.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate(config, step, self.steps, self.progress.plateau_scale)
        scaler.step(optimizer)
        scaler.update()
        if self.trained.ema:
            self.trained.ema.update(step)
        return value

    def _end_epoch(self) -> EpochResult:
        """Validate, remember, write the model files and the history."""
        progress, config = self.progress, self.setup.config
        epoch = progress.step // self.steps_per_epoch
        found = self._validated(epoch)
        result = EpochResult(
            epoch=epoch,
            train_loss=progress.loss_sum / self.steps_per_epoch,
            **found.figures(),
            lr=self.trained.optimizer.param_groups[0]["lr"],
            seconds=progress.seconds,
            clips_per_s=self.steps_per_epoch * config.batch_size / max(progress.seconds, 1e-9),
        )
        progress.history.append(result)
        # By loss, not F1: it also hears the classes that validation lacks. Without a validation split there
        # is nothing to choose by, and the latest epoch is the best.
        reached = -found.loss if found.loss is not None else float(epoch)
        better = reached > progress.best_score
        if better:
            progress.best_score, progress.best_epoch = reached, epoch
        lower_on_plateau(progress, config, better)
        progress.loss_sum = progress.seconds = 0.0
        if self.processes.first:
            self._write(better)
        return result

    def _validated(self, epoch: int) -> Validation:
        """The first process validates; all of them learn the loss, which they go by."""
        setup, found, ema = self.setup, Validation(), self.trained.ema
        if self.processes.first:
            network = setup.model.network
            setup.model.network = ema.shadow if ema else network
            found = validate(setup)
            setup.model.network = network
            check_validation(found.loss, epoch)
        loss = math.nan if found.loss is None else found.loss
        (loss,) = self.processes.from_first([loss], setup.device)
        return found if self.processes.first else Validation(loss=None if math.isnan(loss) else loss)

    def _write(self, better: bool) -> None:
        model, progress, ema = self.setup.model, self.progress, self.trained.ema
        network = model.network
        model.network = ema.shadow if ema else network
        model.training = summary_of(self.setup, progress)
        if better:
            save_model(model, self.output / BEST_NAME)
        save_model(model, self.output / FINAL_NAME)
        model.network = network
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in progress.history)
        write_bytes(self.output / HISTORY_NAME, lines)

    def _save_state(self) -> None:
        if self.processes.first:
            save_state(self.output / STATE_NAME, self.identity, self.progress, self.trained)

    def _complete(self) -> bool:
        """Whether all steps are done, or the loss on validation has not fallen for too long."""
        progress, patience = self.progress, self.setup.config.patience
        done = len(progress.history)
        held_out = bool(done) and progress.history[-1].val_loss is not None
        stopped = bool(patience and held_out and done - progress.best_epoch >= patience)
        return stopped or progress.step >= self.steps
