"""Which device and number format a computation runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from beatsight.errors import InputError, UsageError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; other names are torch's.

    Raises:
        UsageError: no such device name.
        InputError: CUDA was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}; use auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"unsupported device {name!r}; use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, but torch finds no CUDA GPU on this machine")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device {name!r} was asked for, but there are only {torch.cuda.device_count()} GPUs"
        )
    return device


def _bf16_pays(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # bfloat16 convolutions are faster than float32 on CPUs with matrix tiles, and slower elsewhere.
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return device.type == "cpu" and probe is not None and bool(probe())


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context the network runs in: 16 bits if asked for, bfloat16 also if ``auto`` finds that it pays.

    Raises:
        UsageError: no such precision, or float16 on a CPU.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
    if precision == "fp16" and device.type == "cpu":
        raise UsageError("precision fp16 needs a GPU; on a CPU use bf16, fp32 or auto")
    enabled = precision in ("bf16", "fp16") or (precision == "auto" and _bf16_pays(device))
    number = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype=number, enabled=enabled)


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Keeps gradients within float16's range; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16" and device.type != "cpu")
