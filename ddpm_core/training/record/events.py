"""A run as TensorBoard event files: the log, the grids, and how large gradients were."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from ddpm_core.training.loop import TrainStep

FLUSH = 30  # seconds after which, at most, events are on disk
HELD_OUT = "held_out_"  # how the names of measures on held-out pictures begin


class Events:
    """An event file of one stage in `folder`; events of steps after `step`, which were lost, are declared void."""

    def __init__(self, folder: Path, step: int = 0):
        self.former_hook = threading.excepthook
        threading.excepthook = self._ignore_disk_errors
        try:
            self.writer = SummaryWriter(str(folder), purge_step=step + 1, flush_secs=FLUSH)
        except OSError:
            threading.excepthook = self.former_hook
            raise
        self.norms: list[float] = []  # of the gradient, since the last histogram of them

    def write(self, step: TrainStep, held_out: dict[str, float]) -> None:
        scalars = {f"train/{name}": value for name, value in step.losses.items()}
        scalars |= {"train/gradient_norm": step.gradient_norm, "train/learning_rate": step.learning_rate}
        scalars |= {"train/skipped": step.skipped}
        scalars |= {_tag(name): value for name, value in held_out.items()}
        for tag, value in scalars.items():
            self.writer.add_scalar(tag, value, step.step)
        if math.isfinite(step.gradient_norm):  # there is no place for others in a histogram
            self.norms.append(step.gradient_norm)

    def write_grid(self, step: int, name: str, grid: Path) -> None:
        """A sample grid, and the norms of the gradients since the one before."""
        with Image.open(grid) as picture:
            self.writer.add_image(name, np.asarray(picture.convert("RGB")), step, dataformats="HWC")
        if self.norms:
            self.writer.add_histogram("gradient_norm", np.array(self.norms), step)
            self.norms = []

    def close(self) -> None:
        try:
            self.writer.close()
        finally:
            threading.excepthook = self.former_hook

    def _ignore_disk_errors(self, failed: threading.ExceptHookArgs) -> None:
        """A thread that cannot write need not say so: the next event raises its error."""
        if not isinstance(failed.exc_value, OSError):
            self.former_hook(failed)


def _tag(measure: str) -> str:
    return f"held_out/{measure.removeprefix(HELD_OUT)}" if measure.startswith(HELD_OUT) else f"measured/{measure}"
