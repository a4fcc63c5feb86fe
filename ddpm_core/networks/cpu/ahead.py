"""Kernels compiled before anybody waits for them: `python -m ddpm_core.networks.cpu.ahead`.

Numba takes seconds for a kernel's first call, and keeps it on disk; a process of its own compiles while others import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

KERNELS = Path(__file__).with_name("kernels.py")
CALLED = ("norm_silu", "scan")  # kernels that inference calls


def are_compiled() -> bool:
    """Whether numba has kept every kernel since its code was changed, as far as names and dates tell."""
    beside, users = KERNELS.parent / "__pycache__", Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    named = os.environ.get("NUMBA_CACHE_DIR")
    folders = [Path(named)] if named else [beside, users / "numba"]
    written = KERNELS.stat().st_mtime
    kept = [[file for folder in folders for file in folder.rglob(f"{KERNELS.stem}.{name}-*.nbi")] for name in CALLED]
    return all(any(file.stat().st_mtime >= written for file in files) for files in kept)


def start() -> subprocess.Popen[bytes] | None:
    """Have a process of low priority compile what is missing; None if nothing is, or none can be."""
    if are_compiled() or not sys.executable:
        return None
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "ddpm_core.networks.cpu.ahead"],
            cwd=KERNELS.parents[3],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:  # then they are compiled when they are needed
        return None


def compile_kernels() -> None:
    """Call each kernel once as inference does, in the type that this machine computes in."""
    import torch

    from ddpm_core.machine import resolve_precision
    from ddpm_core.networks.cpu import kernels

    channels, side, directions = 8, 2, 8
    dtype = resolve_precision("auto", torch.device("cpu"))
    x = torch.zeros(1, channels, side, side, dtype=dtype).contiguous(memory_format=torch.channels_last)
    affine, modulation = torch.ones(channels, dtype=dtype), torch.zeros(1, 2 * channels, 1, 1, dtype=dtype)
    sizes = (1, side**2, channels)
    kernels.run(kernels.norm_silu, sizes, affine, affine, modulation, x, torch.empty_like(x))
    paths = torch.arange(side**2).expand(directions, -1).contiguous()
    projected = torch.zeros(1, side**2, 3 * channels, dtype=dtype)
    mixed = torch.empty(1, side**2, channels, dtype=dtype)
    kernels.run(kernels.scan, (1, side**2, directions, channels // directions), projected, paths, mixed, None)


if __name__ == "__main__":
    from ddpm_core.machine import let_others_go_first

    let_others_go_first()
    compile_kernels()
