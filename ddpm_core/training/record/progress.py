"""The line a training run shows while it goes: loss, rate, time left, memory."""

from __future__ import annotations

import math
import sys

import torch
from tqdm import tqdm

from ddpm_core.display.progress_bar import bar_layout
from ddpm_core.training.loop import TrainStep

SMOOTH = 0.98  # what of the loss shown is kept from step to step


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
