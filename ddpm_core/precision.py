"""Which device to compute on, and which floating type that machine computes fast in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch

from ddpm_core.schema import Precision


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The autocast type for "auto": bf16 where the machine is fast in it, fp16 on older GPUs, fp32 otherwise.

    Of processors, those are fast that multiply matrices of bf16 (AMX). With vector instructions for it alone
    (avx512_bf16), PyTorch may take twice as long as in fp32.
    """
    if precision != "auto":
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device.type == "cpu" and "amx_bf16" in cpu_flags():
        return torch.bfloat16
    return torch.float32


@lru_cache
def cpu_flags() -> str:
    """The processor's feature flags as Linux lists them; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    return next((line for line in info.open() if line.startswith("flags")), "") if info.exists() else ""


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes a GPU if there is one.

    Raises:
        ValueError: this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind = name.split(":")[0]
    if not available.get(kind, False):
        usable = ", ".join(kind for kind, here in available.items() if here)
        raise ValueError(f"there is no device {name!r} on this machine; choose from: auto, {usable}.")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is no device; choose one like cpu, or cuda:0 for the first GPU.") from None
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there is no GPU {device.index} on this machine; it has {torch.cuda.device_count()}, from 0.")
    return device
