"""Size and speed of both networks: ``python benchmarks/networks.py [--device cuda] [--batch 32]``.

Parameters; floating-point operations of one clip (torch's counter: two for a multiplication with addition,
convolutions and matrix products only); clips a second of inference and of a whole training step (forward,
loss, backward, AdamW) in float32 and bfloat16. The clips are made before: this is the bare network.

On a CPU a second is one of CPU time over all threads, which other programs on the machine disturb less than
the clock; on a GPU it is one of the clock. Of several rounds the fastest counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from beatsight.audio.features import FeatureConfig
from beatsight.models.networks import Network, make_network
from beatsight.models.precision import autocast, choose_device
from beatsight.taxonomy import CLASSIFIER

NAMES = ("cnn", "compact")
PRECISIONS = ("fp32", "bf16")
# Rounds that the time is divided into.
ROUNDS = 5


def machine(device: torch.device) -> str:
    """What was measured on, in a line."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return (
        f"{where}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def new_network(name: str, device: torch.device) -> Network:
    """A network for the default clips, laid out as in training."""
    torch.manual_seed(0)
    network = make_network(name, len(CLASSIFIER), 0.3, (), FeatureConfig())
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def operations(network: Network, clip: torch.Tensor) -> int:
    """Floating-point operations of one clip (1, 1, mels, frames)."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(clip)
    return counter.get_total_flops()


def per_second(work: Callable[[], None], clips: int, seconds: float, device: torch.device) -> float:
    """Clips a second of ``work``, which does ``clips`` of them."""
    best = 0.0
    work()
    for _ in range(ROUNDS):
        count, begun, used = 0, time.perf_counter(), _now(device)
        while not count or time.perf_counter() - begun < seconds / ROUNDS:
            work()
            count += 1
        best = max(best, count * clips / (_now(device) - used))
    return best


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


def row_of(name: str, precision: str, batch: int, seconds: float, device: torch.device) -> list[str]:
    """One line of the table."""
    features = FeatureConfig()
    network = new_network(name, device)
    clips = torch.rand(batch, 1, features.n_mels, features.frames, device=device)
    clips = clips.contiguous(memory_format=torch.channels_last)
    labels = (torch.rand(batch, len(CLASSIFIER), device=device) < 0.1).float()
    flops = operations(network, clips[:1])
    optimizer = torch.optim.AdamW(network.parameters())

    def forward() -> None:
        with torch.inference_mode(), autocast(device, precision):
            network(clips)

    def step() -> None:
        with autocast(device, precision):
            logits = network(clips)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    network.eval()
    heard = per_second(forward, batch, seconds, device)
    network.train()
    learnt = per_second(step, batch, seconds, device)
    parameters = sum(value.numel() for value in network.parameters())
    return [
        name, precision, f"{parameters:,}", f"{flops / 1e6:,.1f}", f"{heard:,.0f}", f"{learnt:,.0f}",
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--batch", type=int, default=32, help="clips a step")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each figure")
    given = parser.parse_args()
    device = choose_device(given.device)
    unit = "clips/CPU s" if device.type == "cpu" else "clips/s"
    table = Table(title=f"{machine(device)}; batches of {given.batch}")
    for column in (
        "network",
        "precision",
        "parameters",
        "MFLOP a clip",
        f"inference, {unit}",
        f"training, {unit}",
    ):
        table.add_column(column, justify="left" if column in ("network", "precision") else "right")
    for name in NAMES:
        for precision in PRECISIONS:
            table.add_row(*row_of(name, precision, given.batch, given.seconds, device))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
