"""The line a training run shows while it goes: loss, rate, time left, memory."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from tqdm import tqdm

from ddpm_core.training.loop import TrainStep

LAYOUT = "{desc} {n_fmt}/{total_fmt} {bar} {rate_fmt}, {remaining} left{postfix}"
SMOOTH = 0.98  # what of the loss shown is kept from step to step
ON_SCREEN, IN_A_FILE = 0.2, 30.0  # seconds between two states of the bar
COLUMNS = 80  # width of the line in a file


def memory_in_use(device: torch.device) -> int | None:
    """The most bytes in use so far, of the GPU or this process; None where nobody counts."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        import resource
    except ImportError:  # Windows counts otherwise
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def in_bytes(count: float) -> str:
    """Bytes as people read them: "3.1 MB", "12 GB"."""
    size, unit = (count / 1e9, "GB") if count >= 1e9 else (count / 1e6, "MB")
    return f"{size:.0f} {unit}" if size >= 10 else f"{size:.1f} {unit}"


def in_hours(seconds: float) -> str:
    """A duration as people say it: "40 s", "3 min 20 s", "1 h 20 min"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def bar_layout() -> dict[str, Any]:
    """How a bar of `tqdm` on standard error is written: in a file, 80 columns twice a minute."""
    watched = sys.stderr.isatty()
    pause = ON_SCREEN if watched else IN_A_FILE
    return {
        "bar_format": LAYOUT,
        "dynamic_ncols": watched,
        "ncols": None if watched else COLUMNS,
        "mininterval": pause,
        "maxinterval": max(10.0, pause),
        "miniters": 1,
    }


class StageBar:
    """The bar of one stage on standard error, a context."""

    def __init__(self, stage: str, iterations: int, device: torch.device, shown: bool = True):
        self.stage, self.device = stage, device
        self.smooth: float | None = None
        self.bar = tqdm(total=iterations, desc=stage, unit="it", disable=not shown, **bar_layout())

    def __enter__(self) -> StageBar:
        return self

    def __exit__(self, *failure: object) -> None:
        self.bar.close()

    def show(self, step: TrainStep, held_out: dict[str, float]) -> None:
        """Move on to `step`; measures on held-out pictures get a line of their own, without tenths."""
        if not self.bar.n:  # of a run resumed: what was done before counts, but not for the rate
            self.bar.initial = self.bar.n = self.bar.last_print_n = step.step - 1
        loss = step.losses["loss"]
        if math.isfinite(loss):
            self.smooth = loss if self.smooth is None else SMOOTH * self.smooth + (1 - SMOOTH) * loss
        postfix = [] if self.smooth is None else [f"loss {self.smooth:.4f}"]
        if memory := memory_in_use(self.device):
            postfix.append(f"{memory / 1e9:.1f} GB")
        if step.skipped:
            postfix.append(f"{step.skipped} skipped")
        self.bar.set_postfix_str(", ".join(postfix), refresh=False)  # shown when the bar itself is
        self.bar.update(step.step - self.bar.n)
        measures = [f"{name} {value:.4f}" for name, value in held_out.items() if "decile" not in name]
        if measures:
            self.bar.write(f"{self.stage} {step.step}: {', '.join(measures)}")
