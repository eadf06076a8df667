"""What can go wrong in the middle of training, in one sentence each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from beatsight.errors import InputError, UsageError
from beatsight.train.config import TrainConfig

_ROWS_NAMED = 8
_NO_MEMORY = ("can't allocate memory", "CUDA out of memory", "not enough memory")


@contextmanager
def explained(config: TrainConfig) -> Iterator[None]:
    """Memory that does not suffice, and a network that cannot be compiled, become a sentence with advice.

    Raises:
        InputError: out of memory.
        UsageError: no compiler.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(config) from error
    except RuntimeError as error:
        if any(text in str(error) for text in _NO_MEMORY):
            raise _out_of_memory(config) from error
        # Only what compiles has such errors; torch._dynamo takes seconds to import.
        if config.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise UsageError(
                f"the network cannot be compiled here ({_first_line(error)}); train with --no-compile"
            ) from error
        raise


def _out_of_memory(config: TrainConfig) -> InputError:
    half = max(1, config.batch_size // 2)
    return InputError(
        f"out of memory with --batch-size {config.batch_size}; try --batch-size {half}, --precision bf16 or "
        "--network compact"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].rstrip(".")[:200]


def check_loss(value: float, step: int, steps_per_epoch: int, rows: np.ndarray) -> None:
    """Stop on a loss that is no number, naming what it came from.

    Raises:
        InputError: the loss is infinite or NaN.
    """
    if math.isfinite(value):
        return
    epoch, number = divmod(step, steps_per_epoch)
    named = ", ".join(map(str, rows[:_ROWS_NAMED])) + (" …" if len(rows) > _ROWS_NAMED else "")
    raise InputError(
        f"training stopped: the loss is {value} in epoch {epoch + 1}, batch {number + 1} (dataset rows "
        f"{named}); lower --lr or check these clips"
    )


def check_validation(loss: float | None, epoch: int) -> None:
    """Stop when the validation loss is no number: the last step has spoilt the weights.

    Raises:
        InputError: it is infinite or NaN.
    """
    if loss is not None and not math.isfinite(loss):
        raise InputError(f"training stopped: the validation loss is {loss} after epoch {epoch}; lower --lr")
