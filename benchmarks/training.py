"""Speed of training: ``python benchmarks/training.py [--device cuda] [--batch 32]``, ``make bench-training``.

The loader alone (clips gathered, mixed, augmented, made into log-mel), each network's bare step on a batch
that is already there, and both together as training runs them: what the pipeline takes of a step. On songs
that the program makes itself; the best of some runs is taken, because noise only ever adds time. On a GPU,
the peak of its memory too, and the share of time it computes (bare step divided by whole step).
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from beatsight.audio.features import FeatureConfig
from beatsight.dataset.augment import NOTHING, AugmentConfig
from beatsight.dataset.batches import Batch, Batches
from beatsight.dataset.build import build_dataset
from beatsight.dataset.store import Dataset
from beatsight.models.networks import Network, make_network
from beatsight.models.precision import autocast, choose_device
from beatsight.synth.song import make_song, write_song
from beatsight.train.losses import Loss

SONG_S, SONGS = 40.0, 3
BATCHES = 8
LOADER_GOAL, PIPELINE_GOAL = 4_000, 0.05
NETWORKS = ("cnn", "compact")


def make_dataset(folder: Path) -> Dataset:
    """A few songs of the built-in kit."""
    events = []
    for seed in range(SONGS):
        song = make_song(seed, duration_s=SONG_S)
        write_song(song, folder)
        events += song.events
    return build_dataset(events, folder, folder / "dataset", val_fraction=0.0)


def best_of(runs: int, work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the quickest of some runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times)


def stepper(network: Network, device: torch.device, precision: str) -> Callable[[Batch], None]:
    """One whole step of training on a batch."""
    optimizer = torch.optim.AdamW(network.parameters())
    loss = Loss(network.config.classes, ())

    def step(batch: Batch) -> None:
        image = batch.features.unsqueeze(1).to(memory_format=torch.channels_last)
        with autocast(device, precision):
            logits = network(image)
        optimizer.zero_grad(set_to_none=True)
        loss(logits, batch).backward()
        optimizer.step()

    return step


def loader_rows(dataset: Dataset, device: torch.device, size: int) -> list[list[str]]:
    """The loader alone: bare clips, and with everything that augmentation does by default."""
    rows = []
    for name, config in (("loader, bare clips", NOTHING), ("loader, augmented", AugmentConfig())):
        batches = Batches(dataset, "train", FeatureConfig(), augment=config, device=device, seed=0)
        seconds = best_of(4, lambda b=batches: list(b.sampled(size, 0, BATCHES)), device)  # type: ignore[misc]
        speed = BATCHES * size / seconds
        met = "met" if speed >= LOADER_GOAL else "missed"
        rows.append([name, f"{speed:,.0f}", "-", "-", f"at least {LOADER_GOAL:,}: {met}"])
    return rows


def step_rows(dataset: Dataset, device: torch.device, size: int) -> list[list[str]]:
    """Each network in each precision: whole steps beside bare ones."""
    batches = Batches(dataset, "train", FeatureConfig(), augment=AugmentConfig(), device=device, seed=0)
    [ready] = batches.sampled(size, 0, 1)
    rows = []
    for name in NETWORKS:
        for precision in ("fp32", "bf16"):
            network = make_network(name, len(dataset.labels), 0.3, (), FeatureConfig())
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            step = stepper(network, device, precision)

            def whole(step: Callable[[Batch], None] = step) -> None:
                for batch in batches.sampled(size, 0, BATCHES):
                    step(batch)

            step(ready)
            bare = best_of(4, lambda step=step: step(ready), device)  # type: ignore[misc]
            together = best_of(3, whole, device) / BATCHES
            share = max(0.0, 1 - bare / together)
            goal = f"at most {PIPELINE_GOAL:.0%}: {'met' if share <= PIPELINE_GOAL else 'missed'}"
            rows.append(
                [f"{name}, {precision}", f"{size / together:,.0f}", f"{size / bare:,.0f}", f"{share:.1%}",
                 goal if name == "cnn" else "-"]
            )  # fmt: skip
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    device = choose_device(options.device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    table = Table(
        title=f"{where}, {os.cpu_count()} cores, torch {torch.__version__}, batches of {options.batch}"
    )
    for column in ("what", "clips/s", "bare step, clips/s", "pipeline's share", "goal"):
        table.add_column(column, justify="left" if column in ("what", "goal") else "right")
    with tempfile.TemporaryDirectory() as name:
        dataset = make_dataset(Path(name))
        for row in (*loader_rows(dataset, device, options.batch), *step_rows(dataset, device, options.batch)):
            table.add_row(*row)
    Console(width=120).print(table)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
        print(f"peak GPU memory {peak:.0f} MiB; busy share of a step is 1 less the pipeline's share")


if __name__ == "__main__":
    main()
