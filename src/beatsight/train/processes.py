"""Training in several processes, one a GPU or machine: started by ``torchrun``, which sets the environment.

Every process makes its stretch of each batch (the seed and the batch's number say which clips it holds), and
gradients are averaged, so that a run gives the same losses in one process or in several. For that batch
normalisation must see the whole batch: :class:`SharedBatchNorm` adds its sums up over the processes. (torch's
own SyncBatchNorm does so on GPUs only.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce

from beatsight.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that validates, writes and reports."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over the processes, in place, in one exchange."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def from_first(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The first process's values, on all of them."""
        if self.count == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(sent, src=0)
        return sent.tolist()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """This process's place among those that ``torchrun`` started; alone where it was not used.

    Raises:
        UsageError: the environment of torchrun is incomplete.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if "RANK" not in os.environ or "MASTER_ADDR" not in os.environ:
        raise UsageError(f"WORLD_SIZE is {count}, but RANK and MASTER_ADDR are not set; start with torchrun")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def own_device(name: str) -> str:
    """Under torchrun, ``cuda`` means the GPU of this process on its machine."""
    local = os.environ.get("LOCAL_RANK")
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if several and local is not None and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
        return f"cuda:{local}"
    return name


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the clips of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (n, channels, height, width)."""
        if not self.training:
            return super().forward(input)
        count = input.numel() / input.shape[1] * dist.get_world_size()
        values = input.float()
        sums = torch.stack((values.sum(dim=(0, 2, 3)), (values * values).sum(dim=(0, 2, 3))))
        mean, square = all_reduce(sums) / count
        variance = (square - mean * mean).clamp_min(0.0)
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(input.dtype)


def share_statistics(network: nn.Module) -> None:
    """Turn every batch normalisation of a network into one over all processes; weights and names stay."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(network, name, shared.to(child.weight.device))
        else:
            share_statistics(child)
