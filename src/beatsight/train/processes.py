"""Training in several processes, one a GPU or machine: started by ``torchrun``, which sets the environment.

Every process makes its stretch of each batch (the seed and the batch's number say which clips it holds), and
gradients are averaged, so that a run gives the same losses in one process or in several. For that batch
normalisation must see the whole batch: :class:`SharedBatchNorm` adds its sums up over the processes. (torch's
own SyncBatchNorm does so on GPUs only.)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from beatsight.errors import BeatSightError, UsageError

# A process that has ended is noticed at once; one that hangs, after this. The others wait while the first
# validates, which takes minutes on a large dataset.
_PATIENCE = timedelta(minutes=30)
# Who failed first is asked of a server on the first machine; if that is gone, it is gone at once.
_ANSWER = timedelta(seconds=10)
# How often those that wait for the first look whether it is done.
_LOOK_EVERY_S = 0.5


class LostProcessError(BeatSightError):
    """Another process of the run has ended, or does not answer."""


class StoppedElsewhereError(BeatSightError):
    """Another process of the run failed before this one, and has said why."""


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

    def meet(self) -> None:
        """Wait until all are here; the first, which keeps the others' messages, must not leave before."""
        if self.count > 1:
            dist.barrier()

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value without gradient over the processes."""
        mean = value.clone()
        self.average([mean])
        return mean

    def from_first(self, values: Sequence[float], device: torch.device) -> list[float]:
        """The first process's values, on all of them."""
        if self.count == 1:
            return list(values)
        sent = torch.tensor(values, dtype=torch.float64, device=device)
        dist.broadcast(sent, src=0)
        return sent.tolist()


def _started() -> int:
    """How many processes torchrun started.

    Raises:
        UsageError: its environment is incomplete.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if text == "1":
        return 1
    if not text.isdigit() or not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        raise UsageError(
            f"WORLD_SIZE is {text}, but RANK, MASTER_ADDR and MASTER_PORT do not fit; start with torchrun"
        )
    return int(text)


def is_first() -> bool:
    """Whether this is the only process, or of several the one that writes and reports."""
    return _started() == 1 or os.environ["RANK"] == "0"


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """This process's place among those that ``torchrun`` started; alone where it was not used.

    Inside another one it is the same group: torch does not form a second where the first has met.

    Raises:
        UsageError: the environment of torchrun is incomplete.
        LostProcessError: another process has ended or does not answer.
    """
    if _started() == 1:
        yield Processes()
        return
    if dist.is_initialized():
        yield Processes(dist.get_rank(), dist.get_world_size())
        return
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
        try:
            yield Processes(dist.get_rank(), dist.get_world_size())
        finally:
            dist.destroy_process_group()
    except RuntimeError as error:
        # gloo raises plain runtime errors, with its source files' names in them.
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise LostProcessError(
            f"another process of this run has ended, or has not answered for {_PATIENCE.seconds} s"
        ) from error


@contextmanager
def one_voice() -> Iterator[None]:
    """Let only the process that fails first say why; the others, which fail of it, end without a word.

    Raises:
        StoppedElsewhereError: instead of this process's error, when another one's came first.
    """
    if _started() == 1:
        yield
        return
    store = _meeting()
    try:
        yield
    except (BeatSightError, KeyboardInterrupt) as error:
        if _is_first_failure(store):
            raise
        raise StoppedElsewhereError("another process of this run failed first") from error


def first_alone(name: str, work: Callable[[], None]) -> None:
    """Let the first process do something that may take hours, while the others wait for its end.

    A group of processes, by contrast, gives up when one of them does not come for half an hour.

    Args:
        name: of the work; each name once a run.
        work: called in the first process only.

    Raises:
        LostProcessError: the first process has ended meanwhile.

    >>> first_alone("greeting", lambda: print("done"))
    done
    """
    if _started() == 1:
        work()
        return
    store, done = _meeting(), f"beatsight/done/{name}/{_attempt()}"
    if is_first():
        work()
        store.set(done, "yes")
        return
    try:
        while not store.check([done]):
            time.sleep(_LOOK_EVERY_S)
    except RuntimeError as error:
        raise LostProcessError("the first process of this run has ended") from error


def _meeting() -> Any:
    """Where the processes of a run leave word for each other."""
    try:
        store, _, _ = next(iter(dist.rendezvous("env://", timeout=_PATIENCE)))
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise LostProcessError(f"the processes of this run do not meet at {where}") from error
    return store


def _attempt() -> str:
    # A run that torchrun starts again after a failure counts anew.
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def _is_first_failure(store: Any) -> bool:
    try:
        store.set_timeout(_ANSWER)
        return store.add(f"beatsight/failures/{_attempt()}", 1) == 1
    except RuntimeError:
        # The first process keeps the count, where torchrun itself does not; so it is the one that ended.
        return False


def own_device(name: str) -> str:
    """Under torchrun, ``cuda`` means the GPU of this process on its machine."""
    local = os.environ.get("LOCAL_RANK")
    several = _started() > 1
    if several and local is not None and (name == "cuda" or (name == "auto" and torch.cuda.is_available())):
        return f"cuda:{local}"
    return name


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes, with its gradient (the sum of theirs)."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the clips of all processes, which hold equally many."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (n, channels, height, width)."""
        if not self.training:
            return super().forward(input)
        count = input.numel() / input.shape[1] * dist.get_world_size()
        values = input.float()
        mean = _Sum.apply(values.sum(dim=(0, 2, 3))) / count
        # A pass of its own: the mean square less the squared mean would lose digits.
        centred = values - mean[:, None, None]
        variance = _Sum.apply((centred * centred).sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None and self.momentum is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)


def share_statistics(network: nn.Module) -> None:
    """Turn every batch normalisation of a network into one over all processes.

    In place: the same modules and parameters, whether they are trained or frozen, with another way forward.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm
