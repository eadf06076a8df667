"""The training of the transcriber: steps, a moving average of the weights, checkpoints, resuming.

Started as one process or by ``torchrun`` as several, whose gradients are averaged. After every ``every``
steps the averaged weights are written; a killed run resumes from there and ends in the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from beatsight.audio.frames import FrameConfig
from beatsight.errors import InputError
from beatsight.files import atomic_path
from beatsight.models.song_config import SongNetworkConfig
from beatsight.models.song_labels import GROUPS
from beatsight.models.song_network import SongNetwork
from beatsight.train.processes import Processes, joined
from beatsight.train.songs.mixtures import Batch, MixConfig, Mixer, Source
from beatsight.train.songs.targets import TargetConfig
from beatsight.train.songs.weights import DAMAGED, read_weights

# Mean and spread of levels in dB over rendered songs; the network sees (level - mean) / spread.
LEVEL_MEAN_DB, LEVEL_SPREAD_DB = -20.0, 20.0


@dataclass(frozen=True)
class SongTrainConfig:
    """Settings of a run.

    Attributes:
        steps: of the optimiser.
        stop: end after so many of them, before the learning rate has fallen; 0 for all.
        lr: highest learning rate; it warms up over ``warmup`` steps and falls as half a cosine.
        weight_decay: of AdamW.
        ema: decay of the moving average of weights.
        velocity_weight, openness_weight: of these losses against the onsets'.
        seed: of everything.
        every: steps between checkpoints.
        bf16: forward pass in bfloat16.
        network, mix, targets, frames: their settings.

    Raises:
        InputError: a number with which no run ends.
    """

    steps: int = 12_000
    stop: int = 0
    lr: float = 2e-3
    warmup: int = 300
    weight_decay: float = 0.01
    ema: float = 0.999
    velocity_weight: float = 0.3
    openness_weight: float = 0.3
    seed: int = 1
    every: int = 500
    bf16: bool = True
    network: SongNetworkConfig = field(default_factory=SongNetworkConfig)
    mix: MixConfig = field(default_factory=MixConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    frames: FrameConfig = field(default_factory=FrameConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.every < 1:
            raise InputError("training settings steps and every must be positive")
        if not 0 <= self.stop <= self.steps:
            raise InputError(f"training setting stop must lie in 0..{self.steps} (steps), not {self.stop}")
        if self.warmup < 0 or self.seed < 0:
            raise InputError("training settings warmup and seed must not be negative")


@dataclass(frozen=True)
class Losses:
    """Mean losses since the last report."""

    onsets: float
    velocity: float
    openness: float


def normalised(levels_db: Tensor) -> Tensor:
    """Levels as the network sees them."""
    return (levels_db - LEVEL_MEAN_DB) / LEVEL_SPREAD_DB


def losses_of(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Onset, velocity and openness losses of a batch."""
    targets, groups = batch.targets, len(GROUPS)
    onsets = torch.from_numpy(targets.onsets)
    count = onsets.shape[-1]
    onset_loss = F.binary_cross_entropy_with_logits(
        logits[..., :count], onsets, torch.from_numpy(targets.weights)
    )
    asked = torch.from_numpy(targets.velocity_weights)
    error = (torch.sigmoid(logits[..., count : count + groups]) - torch.from_numpy(targets.velocity)).abs()
    velocity_loss = (error * asked).sum() / asked.sum().clamp_min(1.0)
    asked = torch.from_numpy(targets.openness_weights)
    error = (torch.sigmoid(logits[..., count + groups :]) - torch.from_numpy(targets.openness)).abs()
    openness_loss = (error * asked).sum() / asked.sum().clamp_min(1.0)
    return onset_loss, velocity_loss, openness_loss


def rate_of(config: SongTrainConfig, step: int) -> float:
    """The learning rate of a step.

    >>> round(rate_of(SongTrainConfig(steps=1000, lr=1.0, warmup=10), 999), 4)
    0.0
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    share = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * share))


class _Average:
    """Moving average of weights and statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def update(self, network: nn.Module, step: int) -> None:
        # Young averages follow faster, or the first steps would weigh on them for long.
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            held = self.state[name]
            if held.dtype.is_floating_point:
                held.lerp_(value.detach(), 1.0 - decay)
            else:
                held.copy_(value)


# Mean errors of velocity and openness are some ten times the onsets' cross-entropy.
_SIDE_SHARE = 0.1
OnBegin = Callable[[int, int], None]
OnReport = Callable[[int, Losses, float], None]


def train_songs(
    config: SongTrainConfig,
    shards: Sequence[Path],
    output: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    on_begin: OnBegin | None = None,
    on_report: OnReport | None = None,
) -> Path | None:
    """Train the transcriber.

    Args:
        config: the settings.
        shards: folders with ``drums`` and ``backings``, as rendered.
        output: folder for ``average.pth`` (the averaged weights) and ``state.pth``.
        resume: go on from ``output`` if there is a state; nothing is done where that run is complete.
        start: averaged weights of another run to begin with; its network may have fewer context layers, and
            the new ones let everything through at first.
        on_begin: called in the first process before the first step, with the steps done already and the last;
            not at all where the run is complete.
        on_report: called in the first process after every ``config.every`` steps with the step, the mean
            losses and seconds since the start.

    Returns:
        where the averaged weights are (None in processes that write nothing).

    Raises:
        InputError: shards are missing or damaged, or a loss is no number.
    """
    output.mkdir(parents=True, exist_ok=True)
    with joined(torch.device("cpu")) as processes:
        run = _Run(config, shards, start, output, processes)
        if resume:
            run.restore()
        if on_begin and processes.first and run.step < run.last:
            on_begin(run.step, run.last)
        run.train(on_report)
    return output / "average.pth" if processes.first else None


class _Run:
    def __init__(
        self,
        config: SongTrainConfig,
        shards: Sequence[Path],
        start: Path | None,
        output: Path,
        processes: Processes,
    ) -> None:
        self.config, self.output, self.processes = config, output, processes
        torch.manual_seed(config.seed)
        self.network = SongNetwork(config.network)
        # Decay holds the weights of convolutions only: not biases, not normalisation.
        decayed = [p for p in self.network.parameters() if p.dim() > 1]
        plain = [p for p in self.network.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)
        if start is not None:
            read_weights(start, self.network)
        self.average = _Average(self.network, config.ema)
        # By names: the folders of a run may be moved together.
        self.made_of = repr((config, [folder.name for folder in shards], start and start.parent.name))
        drums, backings = (Source([folder / kind for folder in shards]) for kind in ("drums", "backings"))
        self.mixer = Mixer(drums, backings, config.mix, config.frames)
        self.step, self.last = 0, config.stop or config.steps

    def train(self, on_report: OnReport | None) -> None:
        config, start = self.config, time.monotonic()
        self.network.train()
        sums, count = np.zeros(3), 0
        self._seed()
        while self.step < self.last:
            sums += self._step()
            count += 1
            if self.step % config.every == 0 or self.step == self.last:
                self.processes.average([b for b in self.network.buffers() if b.dtype.is_floating_point])
                if self.processes.first:
                    self._save()
                    if on_report:
                        mean = Losses(*(sums / count))
                        on_report(self.step, mean, time.monotonic() - start)
                sums, count = np.zeros(3), 0
                self._seed()

    def _seed(self) -> None:
        # Anew at every checkpoint: dropout after it is the same in a run that begins there.
        torch.manual_seed(self.config.seed + 7919 * self.processes.rank + self.step)

    def _step(self) -> np.ndarray:
        config = self.config
        batch = self.mixer.batch(config.seed, self.processes.rank, self.step, config.targets)
        levels = normalised(torch.from_numpy(batch.levels))
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            logits = self.network(levels)
        parts = losses_of(logits.float(), batch)
        side = config.velocity_weight * parts[1] + config.openness_weight * parts[2]
        loss = parts[0] + _SIDE_SHARE * side
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"training stopped: the loss is {value} in step {self.step + 1}; lower lr")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average([p.grad for p in self.network.parameters() if p.grad is not None])
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = rate_of(config, self.step)
        self.optimiser.step()
        self.step += 1
        self.average.update(self.network, self.step)
        return np.array([float(part.detach()) for part in parts])

    def _save(self) -> None:
        content: dict[str, Any] = {
            "step": self.step,
            "made_of": self.made_of,
            "network": self.network.state_dict(),
            "average": self.average.state,
            "optimiser": self.optimiser.state_dict(),
        }
        # The state last: where it says that a run is complete, its averaged weights are there.
        for name, value in (
            ("average.pth", {"weights": self.average.state, "network": asdict(self.config.network)}),
            ("state.pth", content),
        ):
            with atomic_path(self.output / name) as path:
                torch.save(value, path)

    def restore(self) -> None:
        """Go on where the state in the output folder is.

        Raises:
            InputError: it belongs to a run of other settings, or is damaged.
        """
        path = self.output / "state.pth"
        if not path.is_file():
            return
        try:
            content = torch.load(path, weights_only=True)
            if content["made_of"] != self.made_of:
                raise InputError(
                    f"{path}: belongs to a run with other settings, songs or start; train into another folder"
                )
            self.network.load_state_dict(content["network"])
            self.average.state = content["average"]
            self.optimiser.load_state_dict(content["optimiser"])
            self.step = int(content["step"])
        except DAMAGED as error:
            raise InputError(f"{path}: is not a training state: {error}") from None
