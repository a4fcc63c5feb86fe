"""What each of two processes does in `test_distributed` when one runs out of memory: the command, with one bad draw.

Started by `torch.distributed.run`, in a process of its own each: `python -m tests.full_run ARGUMENTS`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ddpm_core import cli as options
from ddpm_core import train
from ddpm_core.training.shards import Draw
from ddpm_core.training.stages.jobs import VaeJob

FULL = 2  # the step in which the last process has no memory left

plain = VaeJob.loss


def loss(self: VaeJob, model: Any, draw: Draw) -> dict[str, Tensor]:
    if draw.number == FULL and draw.rank == 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
    return plain(self, model, draw)


if __name__ == "__main__":
    VaeJob.loss = loss  # type: ignore[method-assign]
    options.run(train.main)
